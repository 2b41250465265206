package portal

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

const right = "correct horse battery"

var staff = account.Source{ID: "staff", Failures: 5, Lock: 15 * time.Minute}

// world is a portal on https over a real store. Its apps all live at
// https://app.example, which nobody asks: a test looks at the redirect.
type world struct {
	t        testing.TB
	p        *Portal
	st       *store.Store
	accounts *account.Accounts
	server   *httptest.Server
	ann      store.Account

	mu      sync.Mutex
	now     time.Time
	ended   []string
	refused []oauth.Reason
	asking  Request // what /authorize asks for
}

func newWorld(t testing.TB, change func(*Options)) *world {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "issuer.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	accounts, err := account.New(st, account.Options{Memory: 8, Passes: 1, Wait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, st: st, accounts: accounts, now: noon}
	w.asking = Request{Client: "shop", RedirectURI: "https://app.example/callback", Scopes: []string{"openid", "orders:read"}, State: "s", MaxAge: -1}
	w.server = httptest.NewTLSServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.server.Close)
	apps, err := client.NewRegistry([]client.Registration{
		{ID: "shop", Name: "The Shop", Type: client.Web, Sources: []string{"staff"}},
		{ID: "own", Name: "Ours", Type: client.Web, Sources: []string{"staff", "mail", "sms"}, FirstParty: true, SignUp: true},
		{ID: "markup", Name: `<script>alert(1)</script>"><img src=x>`, Type: client.Web, Sources: []string{"staff"}},
		{ID: "off", Type: client.Web, Sources: []string{"staff"}, Disabled: true},
		{ID: "nobody", Type: client.Web},
	}, false, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Issuer: w.server.URL, Store: st, Accounts: accounts, Key: make([]byte, 32), Clients: apps.Client, Sources: []account.Source{staff},
		Scopes: map[string]string{"orders:read": "See your orders"}, Name: "Example",
		Finish: func(rw http.ResponseWriter, r *http.Request, _ time.Time, req Request, s store.Session) error {
			return answer(rw, r, req, "code", s.Account+" "+s.ID)
		},
		Deny: func(rw http.ResponseWriter, r *http.Request, _ time.Time, req Request, code string) error {
			return answer(rw, r, req, "error", code)
		},
		End: func(_ context.Context, _ time.Time, s store.Session) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ended = append(w.ended, s.ID)
			return nil
		},
		Refused: func(_ *http.Request, _ int, e *oauth.Error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.refused = append(w.refused, e.Reason)
		},
	}
	rand.Read(o.Key)
	if change != nil {
		change(&o)
	}
	if w.p, err = New(o); err != nil {
		t.Fatal(err)
	}
	w.ann = w.create("ann", right)
	return w
}

// answer is what the authorization endpoint would answer.
func answer(w http.ResponseWriter, r *http.Request, req Request, name, value string) error {
	q := url.Values{name: {value}, "state": {req.State}}
	http.Redirect(w, r, req.RedirectURI+"?"+q.Encode(), http.StatusFound)
	return nil
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	now, req := w.now, w.asking
	w.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/portal") {
		if err := w.p.Serve(rw, r, now); err != nil {
			w.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		return
	}
	if err := w.p.Begin(rw, r, now, req); err != nil {
		http.Error(rw, err.Error(), http.StatusTeapot)
	}
}

func (w *world) create(name, password string) store.Account {
	w.t.Helper()
	a, writes, err := w.accounts.Create(w.t.Context(), noon, "operator", staff, account.Create{Username: name, Email: name + "@example.com", Password: password})
	if err != nil {
		w.t.Fatal(err)
	}
	w.apply(writes...)
	return a
}

func (w *world) apply(writes ...store.Write) {
	w.t.Helper()
	if err := w.st.Apply(w.t.Context(), noon, writes...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) ask(change func(*Request)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.asking)
}

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

// sessions are those of an account.
func (w *world) sessions(account string) []store.Session {
	w.t.Helper()
	list, err := w.st.SessionsOf(w.t.Context(), w.now, account)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// codes is a source of one-time codes: the code is the number of the sending.
type codes struct {
	mu   sync.Mutex
	sent []Destination
	who  map[string]store.Account // by address
	fail error
}

func (c *codes) Kind(source string) (store.IdentifierKind, bool) {
	kind, ok := map[string]store.IdentifierKind{"mail": store.ByEmail, "sms": store.ByPhone}[source]
	return kind, ok
}

func (c *codes) Send(_ context.Context, _ time.Time, d Destination) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return "", c.fail
	}
	c.sent = append(c.sent, d)
	return "token-" + strconv.Itoa(len(c.sent)), nil
}

func (c *codes) Check(_ context.Context, _ time.Time, d Destination, token, code string) (store.Account, []store.Write, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := strconv.Atoi(code)
	if err != nil || token != "token-"+code || n > len(c.sent) || c.sent[n-1] != d {
		return store.Account{}, nil, oauth.Fail(oauth.InvalidGrant, oauth.WrongOTP)
	}
	return c.who[d.To], nil, nil
}

var _ OneTimeCodes = (*codes)(nil)

// addresses are proved by codes of the same kind, sent by mail.
type addresses struct{ *codes }

func (addresses) Kinds() []store.IdentifierKind { return []store.IdentifierKind{store.ByEmail} }

func (a addresses) SendTo(ctx context.Context, now time.Time, d Destination) (string, error) {
	return a.Send(ctx, now, d)
}

func (a addresses) Prove(ctx context.Context, now time.Time, d Destination, token, code string) (string, []store.Write, error) {
	_, writes, err := a.Check(ctx, now, d, token, code)
	return d.To, writes, err
}
