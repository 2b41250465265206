package portal

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

//go:embed page/*.html
var pageFiles embed.FS

// pages are the templates by name, each with the layout around it.
var pages = func() map[string]*template.Template {
	layout := template.Must(template.ParseFS(pageFiles, "page/layout.html", "page/parts.html"))
	m := map[string]*template.Template{}
	for _, name := range []string{
		"login", "code", "reset", "set", "signup", "taken", "contact", "consent", "continue", "finished", "logout", "bye", "profile", "password", "nopassword", "browsers", "apps", "error", "inbox",
	} {
		m[name] = template.Must(template.Must(layout.Clone()).ParseFS(pageFiles, "page/"+name+".html"))
	}
	return m
}()

// view is what every template gets; Data is what its own page needs.
type view struct {
	*words
	Page, Title    string
	Name           string // the operator's
	Logo, Style    string
	State          string // p_state
	Token          string // of forms
	Chosen         string // lang, where the person chose one
	Languages      []choice
	SignedIn, Menu bool
	Problem        *problem
	Done           string
	Next           string // the page leads there by itself
	Data           any

	zone *time.Location
}

// choice is one of several addresses.
type choice struct {
	Text, Href, Lang string
	Here             bool
}

// problem is what is wrong with a form, and at which field.
type problem struct{ Field, Text string }

// field is one labelled input.
type field struct {
	Name, Label, Hint, Value, Type, Autocomplete, Mode string
	Optional, Focus                                    bool
	Prose                                              bool // may begin with a capital
	Problem                                            string
}

// the headers of every page. form-action 'self' can be strict because no form's
// answer leads to the client: browsers apply it to redirects, too.
const pagePolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func pageHeaders(h http.Header) {
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Vary", "Accept-Language, Cookie")
}

// show answers a page. What is wrong with a form is told by the page it leads to.
func (v *visit) show(status int, name string, data view) error {
	switch {
	case data.Problem == nil:
	case v.r.Method == http.MethodPost && status == http.StatusBadRequest:
		if led, err := v.turnBack(v.r.URL.Path, *data.Problem, v.allTyped()); led || err != nil {
			return err
		}
	case data.Problem == v.wrong:
		// Not 200, by which a password manager would take the password for a right one.
		status = http.StatusBadRequest
	}
	data.words, data.Page = v.words, name
	data.Name, data.Logo, data.Style = v.p.o.Name, v.p.logo.address(), v.p.style.address()
	data.State, data.Chosen, data.SignedIn = v.state, v.lang, v.signedIn
	data.zone = time.UTC
	if v.zone != nil {
		data.zone = v.zone
	}
	data.Token = v.p.formToken(v.browser, v.formSession())
	if data.Title == "" {
		data.Title = v.words.T("title." + name)
	}
	data.Languages = v.translations(name == "error" || name == "finished")
	var b bytes.Buffer
	if err := pages[name].ExecuteTemplate(&b, "layout", data); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	h := v.w.Header()
	pageHeaders(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.words.T("language"))
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		_, _ = v.w.Write(b.Bytes()) // an error means that nobody is left to tell
	}
	return nil
}

// speak is for a language that the person chose, if it is one.
func (v *visit) speak(lang string) {
	if w := v.p.languages.chosen(lang); w != nil {
		v.lang, v.words = lang, w
	}
}

// translations are the addresses of the page in every language. A page that says
// no is asked for once more as it was; to a form, the page that it is on.
func (v *visit) translations(refused bool) (list []choice) {
	posted, path := v.r.Method != http.MethodGet && v.r.Method != http.MethodHead, v.r.URL.Path
	state := v.form.Get("p_state")
	if page := routes[path]; posted && refused && (page.get == nil || page.anybody && state == "") {
		return nil // nothing to ask for: the request of an app, for one, is not sent again
	}
	for _, w := range v.p.languages.all {
		href := v.href(v.r.URL.Path, "lang", w.code)
		switch {
		case refused && !posted:
			href = v.again(w.code)
		case refused && state != "": // the page of the form
			href = v.href(path, "lang", w.code, "p_state", state)
		}
		list = append(list, choice{Text: w.T("language.name"), Lang: w.T("language"), Here: w == v.words, Href: href})
	}
	return list
}

// again is the address of this very request in another language. The query stays
// as it is, for that it cannot be read may be what is wrong, but for what no
// answer repeats.
func (v *visit) again(lang string) string {
	pairs := slices.DeleteFunc(strings.Split(v.r.URL.RawQuery, "&"), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains([]string{"", "lang", "id_token_hint", "access_token", "client_secret", "password"}, name)
	})
	return v.r.URL.EscapedPath() + "?" + strings.Join(append(pairs, "lang="+lang), "&")
}

// href is the address of one of our pages, with what goes from page to page.
func (v *visit) href(path string, more ...string) string {
	q := url.Values{}
	if v.state != "" {
		q.Set("p_state", v.state)
	}
	if v.lang != "" {
		q.Set("lang", v.lang)
	}
	if v.method != "" {
		q.Set("source", v.method)
	}
	if path == loginPath && v.form.Get("switch") != "" {
		q.Set("switch", "1")
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// see answers 303: whatever the browser sent, it comes back with GET, and nothing
// of a form is sent on (RFC 9700 §4.12).
func (v *visit) see(address string) error {
	h := v.w.Header()
	pageHeaders(h)
	h.Set("Location", address)
	h.Set("Content-Length", "0")
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// When is a time as people read it, where the person is.
func (v view) When(t time.Time) string { return t.In(v.zone).Format("2006-01-02 15:04 MST") }

// Clock is the time of a day, for what is a moment old.
func (v view) Clock(t time.Time) string { return t.In(v.zone).Format("15:04:05") }

// About is what a message is for.
func (v view) About(usage string) string { return cmp.Or(v.first("inbox."+usage), usage) }

// Link is the address of a page in the language the person chose.
func (v view) Link(path string) string {
	if v.Chosen == "" {
		return path
	}
	return path + "?lang=" + v.Chosen
}

// Device is a browser's name in the language of the page.
func (v view) Device(s store.Session) string {
	browser, system, both := strings.Cut(s.Device, " on ")
	switch {
	case both:
		return v.T("device.on", browser, system)
	case browser == "":
		return v.T("device.unknown")
	}
	return browser
}
