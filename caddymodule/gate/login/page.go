package login

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"strconv"

	"golang.org/x/text/language"
)

//go:embed page/* words/*.json
var files embed.FS

var (
	layout = template.Must(template.ParseFS(files, "page/page.html"))
	style  = text("page/style.css")

	// The pages have one inline style sheet, named by its hash, and nothing else: a
	// file of their own would be one more path that a site has to let through.
	policy = "default-src 'none'; style-src '" + hash(style) + "'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

	languages = []map[string]string{words("en"), words("zh")}
	matcher   = language.NewMatcher([]language.Tag{language.English, language.Make("zh-Hans")})
)

func text(file string) string {
	b, err := files.ReadFile(file)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(b)
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func words(code string) (m map[string]string) {
	if err := json.Unmarshal([]byte(text("words/"+code+".json")), &m); err != nil {
		panic(err) // it is embedded, and a test reads it
	}
	return m
}

// view is one page. Its texts are found by its name.
type view struct {
	Name   string
	Link   string // of the button
	Other  string // to sign in as somebody else
	Form   string // where the button posts to
	Next   string // the page leads there by itself
	Reason string

	Host  string
	Style template.CSS
	words map[string]string
}

// T is a text of the page's language, "" where it has none of that name.
func (v view) T(key string) string { return v.words[key] }

// Own is a text of this page.
func (v view) Own(key string) string { return v.words[v.Name+"."+key] }

// mostLanguages bounds what is parsed of a header that a stranger wrote.
const mostLanguages = 256

func wordsFor(r *http.Request) map[string]string {
	wish := r.Header.Get("Accept-Language")
	if len(wish) > mostLanguages {
		wish = ""
	}
	tags, _, err := language.ParseAcceptLanguage(wish)
	if err != nil || len(tags) == 0 {
		return languages[0]
	}
	_, i, _ := matcher.Match(tags...)
	return languages[i]
}

// page tells a person what went wrong, and how to go on.
func (l *Login) page(w http.ResponseWriter, r *http.Request, status int, name, to string, o Outcome) Outcome {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	l.show(w, r, status, view{Name: name, Link: begin(to), Reason: string(o.Reason)})
	return o
}

// Forbidden tells a person who is signed in that this is not enough.
func (l *Login) Forbidden(w http.ResponseWriter, r *http.Request, to, reason string) {
	l.show(w, r, http.StatusForbidden, view{Name: "forbidden", Link: begin(to) + "&as=other", Other: logoutPath, Reason: reason})
}

// Remain tells a person who is not signed in, at an address that Changes, that nobody is
// sent to sign in for it.
func (l *Login) Remain(w http.ResponseWriter, r *http.Request) Outcome {
	return l.page(w, r, http.StatusUnauthorized, "changing", "/", Outcome{Reason: Changing})
}

// begin is the address that begins a sign-in.
func begin(to string) string { return startPath + "?return=" + url.QueryEscape(to) }

func (l *Login) show(w http.ResponseWriter, r *http.Request, status int, v view) {
	v.words, v.Host, v.Style = wordsFor(r), r.Host, template.CSS(style) //nolint:gosec // ours
	var b bytes.Buffer
	if err := layout.ExecuteTemplate(&b, "page.html", v); err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.T("language"))
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes()) // an error means that nobody is left to tell
	}
}
