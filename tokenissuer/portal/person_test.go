package portal

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// person is a browser with its cookies, standing before a page.
type person struct {
	*world
	http   *http.Client
	agent  string
	header http.Header // sent with every request

	status int
	head   http.Header
	at     *url.URL // of the page
	left   *url.URL // where the app is, when the issuer led there
	body   string
	page   *html.Node
}

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"

func (w *world) person() *person {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &person{world: w, agent: firefox, header: http.Header{}}
	c := *w.server.Client()
	c.Jar = jar
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.http = &c
	return p
}

// goes asks for a page, and follows redirects as a browser does: to the app only
// by name.
func (p *person) goes(address string) *person {
	p.t.Helper()
	return p.send(http.MethodGet, address, nil)
}

func (p *person) send(method, address string, form url.Values) *person {
	p.t.Helper()
	p.left = nil
	for range 10 {
		p.once(method, address, form)
		location := p.head.Get("Location")
		if location == "" {
			return p
		}
		to, err := p.at.Parse(location)
		if err != nil {
			p.t.Fatal(err)
		}
		if to.Host == "app.example" {
			if method == http.MethodPost {
				p.t.Errorf("the answer of a form leads to the app: form-action would stop it")
			}
			p.left = to
			return p
		}
		if !strings.HasPrefix(to.String(), p.server.URL) {
			p.t.Fatalf("led to %s", to)
		}
		method, address, form = http.MethodGet, to.String(), nil
	}
	p.t.Fatal("redirects without an end")
	return p
}

// once is one request and its answer.
func (p *person) once(method, address string, form url.Values) {
	p.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = p.server.URL + address
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, address, body)
	if err != nil {
		p.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "null") // what Referrer-Policy no-referrer makes of it
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	r.Header.Set("User-Agent", p.agent)
	for name, values := range p.header {
		r.Header[name] = values
	}
	answer, err := p.http.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.status, p.head, p.at, p.body = answer.StatusCode, answer.Header, r.URL, string(text)
	if p.page, err = html.Parse(strings.NewReader(p.body)); err != nil {
		p.t.Fatal(err)
	}
}

// filled is the form of the page with an action, as a browser would send it.
func (p *person) filled(action string, values ...string) url.Values {
	p.t.Helper()
	form := p.form(action)
	if form == nil {
		p.t.Fatalf("no form for %s on %s:\n%.4000s", action, p.at.Path, p.body)
	}
	sent := url.Values{}
	for n := range form.Descendants() {
		if n.Data == "input" && attr(n, "name") != "" {
			sent.Set(attr(n, "name"), attr(n, "value"))
		}
	}
	for i := 0; i+1 < len(values); i += 2 {
		sent.Set(values[i], values[i+1])
	}
	return sent
}

func (p *person) form(action string) *html.Node {
	for n := range p.page.Descendants() {
		if n.Data == "form" && attr(n, "action") == action {
			return n
		}
	}
	return nil
}

// follows is a click on the first link to a page.
func (p *person) follows(path string) *person {
	p.t.Helper()
	for n := range p.page.Descendants() {
		if href := attr(n, "href"); n.Data == "a" && (href == path || strings.HasPrefix(href, path+"?")) {
			return p.goes(href)
		}
	}
	p.t.Fatalf("no link to %s on %s:\n%.4000s", path, p.at.Path, p.body)
	return p
}

// value is what stands in a field of the page.
func (p *person) value(name string) string {
	for n := range p.page.Descendants() {
		if n.Data == "input" && attr(n, "name") == name {
			return attr(n, "value")
		}
	}
	return ""
}

// submits fills in the form of the page and sends it.
func (p *person) submits(action string, values ...string) *person {
	p.t.Helper()
	return p.send(http.MethodPost, action, p.filled(action, values...)).refresh()
}

// refresh does what a page asks the browser to do by itself.
func (p *person) refresh() *person {
	p.t.Helper()
	for n := range p.page.Descendants() {
		if n.Data == "meta" && attr(n, "http-equiv") == "refresh" {
			delay, address, ok := strings.Cut(attr(n, "content"), "; url=")
			if !ok || delay != "0" {
				p.t.Fatalf("refresh %q", attr(n, "content"))
			}
			return p.goes(address)
		}
	}
	return p
}

// signsIn goes from the app to the end of the sign-in.
func (p *person) signsIn(name, password string) *person {
	p.t.Helper()
	return p.goes("/authorize").submits("/portal/login", "username", name, "password", password)
}

func (p *person) allows() *person {
	p.t.Helper()
	return p.submits("/portal/consent", "decision", "allow")
}

// arrives checks that the app got something.
func (p *person) arrives(name, value string) {
	p.t.Helper()
	if p.left == nil {
		p.t.Fatalf("at %s with status %d, not at the app:\n%.4000s", p.at.Path, p.status, p.body)
	}
	if got := p.left.Query().Get(name); got == "" || value != "" && !strings.HasPrefix(got, value) {
		p.t.Fatalf("the app got %s, want %s=%s", p.left.RawQuery, name, value)
	}
}

// sees checks the page that the person stands before.
func (p *person) sees(path string, status int, texts ...string) {
	p.t.Helper()
	if p.left != nil || p.at.Path != path || p.status != status {
		p.t.Fatalf("at %s with status %d (left to %v), want %s with %d", p.at.Path, p.status, p.left, path, status)
	}
	for _, text := range texts {
		if !strings.Contains(textOf(p.page), text) {
			p.t.Errorf("%s does not say %q:\n%s", path, text, p.body)
		}
	}
}

// textOf is the text of a page.
func textOf(page *html.Node) string {
	var b strings.Builder
	for n := range page.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(strings.Join(strings.Fields(n.Data), " ") + " ")
		}
	}
	return b.String()
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// cookie is the value of one of the browser's cookies.
func (p *person) cookie(name string) string {
	at, err := url.Parse(p.server.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range p.http.Jar.Cookies(at) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}
