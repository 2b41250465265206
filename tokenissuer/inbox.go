package tokenissuer

import (
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// inboxPath is where `development` shows the messages it keeps.
const inboxPath = portalPath + "dev/inbox"

var inboxPage = template.Must(template.New("inbox").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Development inbox</title></head>
<body><h1>Development inbox</h1>
<p>These messages were kept in the place of sending them, newest first. Reload the page for newer ones.</p>
{{range .}}<article><h2>{{.To}}</h2><p><time>{{.Time.Format "15:04:05"}}</time> {{.Usage}} {{.ClientID}}</p><pre>{{.Text}}</pre></article>
{{else}}<p>Nothing yet.</p>
{{end}}</body></html>
`))

// inbox is GET /portal/dev/inbox. That the issuer is on loopback does not keep
// its listener off the network, nor a page on another site from a name of this
// machine: both are looked at.
func (i *Issuer) inbox(r *request) error {
	u, err := url.Parse(i.config.Issuer)
	if err != nil || !strings.EqualFold(r.Host, u.Host) || !r.event.From.IsLoopback() {
		return oauth.Fail(oauth.NotFound, oauth.UnknownEndpoint)
	}
	var page strings.Builder
	if err := inboxPage.Execute(&page, i.codes.inbox.Messages()); err != nil {
		return err
	}
	h := r.w.Header()
	noStore(h)
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	r.write(http.StatusOK, "text/html; charset=utf-8", []byte(page.String()))
	return nil
}
