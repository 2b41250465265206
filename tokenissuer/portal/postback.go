package portal

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// postScript sends the form without waiting for anybody. The page works without
// it: then there is a button.
const postScript = `document.forms[0].submit()`

var postPage = template.Must(template.New("postback").Parse(`<!doctype html>
<html lang="{{.T "language"}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex"><title>{{.T "title.continue"}} – {{.Name}}</title><link rel="stylesheet" href="{{.Style}}"></head>
<body><div class="frame"><header>{{if .Logo}}<img class="logo" src="{{.Logo}}" alt="">{{end}}<span class="name">{{.Name}}</span></header>
<main><h1>{{.T "title.continue"}}</h1><form method="post" action="{{.Target}}">{{range .Fields}}<input type="hidden" name="{{index . 0}}" value="{{index . 1}}">
{{end}}<button type="submit">{{.T "continue.link" .App}}</button></form></main></div><script>` + postScript + `</script></body></html>
`))

// postPolicy is pagePolicy but for the script, and for where the form may lead:
// to the client, and to wherever that sends the browser on.
var postPolicy = func() string {
	sum := sha256.Sum256([]byte(postScript))
	hash := base64.StdEncoding.EncodeToString(sum[:])
	return "default-src 'none'; script-src 'sha256-" + hash + "'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'"
}()

// PostBack answers an authorization request by response_mode=form_post (OAuth
// 2.0 Form Post Response Mode §2): a page that posts the fields to the client's
// address.
func (p *Portal) PostBack(w http.ResponseWriter, r *http.Request, req Request, fields [][2]string) error {
	h, said := w.Header(), p.languages.pick(r.URL.Query().Get("lang"), req.Locales, r)
	pageHeaders(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", postPolicy)
	h.Set("Content-Language", said.T("language"))
	app := place(req.RedirectURI)
	if c, ok := p.o.Clients(req.Client); ok {
		app = appName(c)
	}
	return postPage.Execute(w, struct {
		*words
		Target                 template.URL // registered, and compared byte by byte
		Fields                 [][2]string
		Name, Logo, Style, App string
	}{said, template.URL(req.RedirectURI), fields, p.o.Name, p.logo.address(), p.style.address(), app}) //nolint:gosec // the address is the operator's
}
