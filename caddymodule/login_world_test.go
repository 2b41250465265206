package caddymodule

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

const loginGlobal = `
	token_issuer {
		issuer https://auth.example.com
		store sqlite $DIR/store/issuer.db
		signing_algorithm ES256
		operator_attribute role
		client site {
			type web
			secret {env.SHOP_SECRET}
			grants authorization_code refresh_token
			redirect_uris https://app.example.com/.gatehouse/callback https://wiki.example.com/.gatehouse/callback
			logout_redirect_uris https://app.example.com/ https://wiki.example.com/
			logout tokens
			scopes openid orders:read
			claims role
			first_party
		}
	}`

const loginSites = `
http://auth.example.com {
	token_issuer
}
http://app.example.com, http://wiki.example.com {
	token_gate {
		login
		except /open/*
	}
	reverse_proxy unix/$DIR/backend
}`

const herPassword = "correct horse battery staple"

// visitor is somebody with a browser: it keeps cookies as browsers do, speaks https
// and follows nothing by itself.
type visitor struct {
	*world
	http *http.Client
	jar  *cookiejar.Jar
}

// overSocket carries https addresses over the world's socket.
type overSocket struct{ http.RoundTripper }

func (p overSocket) RoundTrip(r *http.Request) (*http.Response, error) {
	inner := r.Clone(r.Context())
	inner.URL.Scheme = "http"
	return p.RoundTripper.RoundTrip(inner)
}

func (w *world) visitor() *visitor {
	w.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	return &visitor{w, &http.Client{Jar: jar, Transport: overSocket{w.client.Transport}, CheckRedirect: w.client.CheckRedirect}, jar}
}

// loginWorld is two sites behind one sign-in, and alice.
func loginWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.backend(nil)
	w.load(loginGlobal, loginSites)
	w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
	return w
}

// navigate are the headers of somebody who follows a link or types an address.
var navigate = []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html"}

func (p *visitor) do(method, address, body string, lines ...string) answer {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), method, address, strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	res, err := p.persist(body == "", func() (*http.Response, error) {
		return p.http.Do(r.Clone(p.Context())) // the client adds its cookies to what it is given
	})
	if err != nil {
		p.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

// visit goes to an address as people do.
func (p *visitor) visit(address string, lines ...string) answer {
	p.Helper()
	return p.do(http.MethodGet, address, "", append(lines, navigate...)...)
}

var (
	refresh    = regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=([^"]+)">`)
	formAction = regexp.MustCompile(`<form method="post" action="([^"]+)"`)
	hidden     = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
)

// follow visits an address, and where that leads, until a page stays. It returns
// that page and all addresses on the way.
func (p *visitor) follow(address string, lines ...string) (answer, []string) {
	p.Helper()
	var way []string
	for range 12 {
		way = append(way, address)
		a := p.visit(address, lines...)
		to := a.header.Get("Location")
		if m := refresh.FindStringSubmatch(a.body); to == "" && m != nil {
			to = html.UnescapeString(m[1])
		}
		if to == "" {
			return a, way
		}
		address = against(p.T, address, to)
	}
	p.Fatalf("redirected without end: %s", strings.Join(way, "\n"))
	return answer{}, nil
}

func against(t *testing.T, base, to string) string {
	t.Helper()
	from, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	u, err := from.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// submit posts a page's first form with further fields, and follows.
func (p *visitor) submit(at string, page answer, fields url.Values) (answer, []string) {
	p.Helper()
	body, _, _ := strings.Cut(page.body, "</form>")
	action := formAction.FindStringSubmatch(body)
	if action == nil {
		p.Fatalf("no form at %s: %v", at, page)
	}
	for _, h := range hidden.FindAllStringSubmatch(body, -1) {
		fields.Set(h[1], html.UnescapeString(h[2]))
	}
	to := against(p.T, at, html.UnescapeString(action[1]))
	u, _ := url.Parse(to)
	a := p.do(http.MethodPost, to, fields.Encode(), "Origin: https://"+u.Host, "Sec-Fetch-Site: same-origin")
	if next := a.header.Get("Location"); next != "" {
		return p.follow(against(p.T, to, next))
	}
	return a, []string{to}
}

// signIn goes to an address and signs in on the way.
func (p *visitor) signIn(address, name string) (answer, []string) {
	p.Helper()
	page, way := p.follow(address)
	return p.submit(way[len(way)-1], page, url.Values{"username": {name}, "password": {herPassword}})
}

// cookies are what the browser has for a host.
func (p *visitor) cookies(host string) map[string]string {
	all := map[string]string{}
	for _, c := range p.jar.Cookies(&url.URL{Scheme: "https", Host: host, Path: "/"}) {
		all[c.Name] = c.Value
	}
	return all
}

// set puts a cookie into the browser; "" takes it out.
func (p *visitor) set(host, name, value string) {
	age := 0
	if value == "" {
		age = -1
	}
	p.jar.SetCookies(&url.URL{Scheme: "https", Host: host, Path: "/"}, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true, MaxAge: age}})
}
