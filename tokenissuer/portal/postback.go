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
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Continue</title></head>
<body><form method="post" action="{{.Target}}">{{range .Fields}}<input type="hidden" name="{{index . 0}}" value="{{index . 1}}">{{end}}
<button type="submit">Continue · 继续</button></form><script>` + postScript + `</script></body></html>
`))

var postPolicy = func() string {
	sum := sha256.Sum256([]byte(postScript))
	return "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

// PostBack answers an authorization request by response_mode=form_post (OAuth
// 2.0 Form Post Response Mode §2): a page that posts the fields to the client's
// address.
func (p *Portal) PostBack(w http.ResponseWriter, target string, fields [][2]string) error {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", postPolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	return postPage.Execute(w, struct {
		Target template.URL // registered, and compared byte by byte
		Fields [][2]string
	}{template.URL(target), fields}) //nolint:gosec // the address is the operator's
}
