package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
)

const loginCookie = "__Host-gatehouse-login"

// Requests of other sites' making, with the cookie that the browser adds to them.
func TestCookieCountsForNobodyElsesRequests(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	p.signIn("https://app.example.com/", "alice")
	upgrade := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="}
	with := func(lines ...string) []string { return append(lines, upgrade...) }
	linked := []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	for name, c := range map[string]struct {
		method string
		lines  []string
		status int
	}{
		"a form of another site":                {"POST", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example.net", "Sec-Fetch-Mode: navigate"}, 401},
		"a form of a sibling":                   {"POST", []string{"Sec-Fetch-Site: same-site", "Origin: https://evil.example.com"}, 401},
		"a form in an old browser":              {"POST", []string{"Origin: https://evil.example.net"}, 401},
		"a form from nowhere":                   {"POST", []string{"Origin: null"}, 401},
		"a form over http":                      {"POST", []string{"Origin: http://app.example.com"}, 401},
		"another port":                          {"POST", []string{"Origin: https://app.example.com:8443"}, 401},
		"a program that says nothing":           {"POST", nil, 401},
		"a browser of two minds":                {"POST", []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"}, 401},
		"DELETE of another site":                {"DELETE", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"}, 401},
		"a method that nobody knows":            {"FROB", []string{"Sec-Fetch-Site: cross-site"}, 401},
		"a WebSocket of another site":           {"GET", with("Origin: https://evil.example.net", "Sec-Fetch-Site: cross-site"), 401},
		"a WebSocket of an old browser":         {"GET", with("Origin: https://evil.example.net"), 401},
		"a WebSocket without an origin":         {"GET", with(), 401},
		"a WebSocket dressed as a navigation":   {"GET", with("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"), 401},
		"a script on another site":              {"GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"}, 401},
		"fetch on another site":                 {"GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"}, 401},
		"a link that is read as another method": {"GET", append([]string{"X-HTTP-Method-Override: DELETE", "Accept: text/html"}, linked...), 401},
		"one that names two":                    {"GET", append([]string{"X-HTTP-Method-Override: GET", "X-HTTP-Method: PUT", "X-Method-Override: HEAD"}, linked...), 401},
		"a link that names its own":             {"GET", append([]string{"X-HTTP-Method-Override: get"}, linked...), 200},
		"the site's own with another method":    {"GET", []string{"Sec-Fetch-Site: same-origin", "X-HTTP-Method-Override: DELETE"}, 200},
		"the site's own form":                   {"POST", []string{"Sec-Fetch-Site: same-origin"}, 200},
		"the site's own form, old browser":      {"POST", []string{"Origin: https://app.example.com"}, 200},
		"the site's own fetch":                  {"PUT", []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"}, 200},
		"a bookmark":                            {"GET", []string{"Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"}, 200},
		"a link on another site":                {"GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 200},
		"reading in an old browser":             {"GET", nil, 200},
		"a picture of the site's own":           {"GET", []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: no-cors"}, 200},
		"the site's own WebSocket":              {"GET", with("Sec-Fetch-Site: same-origin", "Origin: https://app.example.com"), 200},
		"the site's own WebSocket, old browser": {"GET", with("Origin: https://app.example.com"), 200},
	} {
		a := p.do(c.method, "https://app.example.com/", "", c.lines...)
		if a.status != c.status {
			t.Errorf("%s: %d, want %d", name, a.status, c.status)
		}
	}
	if a := p.do("GET", "https://app.example.com/?_method=DELETE", "", linked...); a.status != http.StatusUnauthorized {
		t.Errorf("an address that is read as another method: %v", a)
	}
	if log := w.logged(); !strings.Contains(log, `"reason":"request_of_another_site"`) {
		t.Error("nobody is told why")
	}
}

// B12: who did not ask for the cookie does not take tokens from it.
func TestGateWithoutTheWordReadsNoCookie(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	p.signIn("https://app.example.com/", "alice")
	w.load(loginGlobal, `
http://auth.example.com {
	token_issuer
}
http://app.example.com {
	token_gate
	reverse_proxy unix/$DIR/backend
}`)
	if a := p.visit("https://app.example.com/"); a.status != http.StatusUnauthorized {
		t.Errorf("with the cookie alone: %v", a)
	}
}

func TestForeignAndBrokenCookiesAreNone(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	p.signIn("https://app.example.com/", "alice")
	good := p.cookies("app.example.com")[loginCookie]
	flipped := []byte(good)
	flipped[len(good)/2] ^= 1
	for name, value := range map[string]string{
		"empty": "x", "garbage": "1AAAA", "no number": good[1:], "another number": "2" + good[1:], "cut": good[:len(good)-4],
		"longer": good + "AAAA", "changed": string(flipped), "not base64": good[:9] + "*" + good[10:], "the session of nobody": "0" + good[1:],
	} {
		q := w.visitor()
		q.set("app.example.com", loginCookie, value)
		if a := q.visit("https://app.example.com/"); a.status != http.StatusFound {
			t.Errorf("%s: %v", name, a)
		}
	}
	q := w.visitor()
	q.set("wiki.example.com", loginCookie, good)
	if a := q.visit("https://wiki.example.com/"); a.status != http.StatusFound {
		t.Errorf("of another host: %v", a)
	}
	// A page of a sibling domain sets one beside it, as old browsers let it.
	if a := p.visit("https://app.example.com/", "Cookie: "+loginCookie+"=1AAAA"); a.status != http.StatusFound {
		t.Errorf("tossed: %v", a)
	}
	if a := p.visit("https://app.example.com/", "Cookie: __host-gatehouse-LOGIN="+good); a.status != http.StatusOK || a.seen(t)["Cookie"] != nil {
		t.Errorf("in other letters, beside it: %v", a)
	}
}

// Login CSRF: somebody who is signed in as mallory hands alice the address that
// mallory's own browser was sent back to.
func TestNobodyIsSignedInAsSomebodyElse(t *testing.T) {
	w := loginWorld(t)
	w.must(herPassword+"\n", []string{"user", "add", "mallory", "--password-stdin"})
	mallory, alice := w.visitor(), w.visitor()
	back := mallory.toCallback("https://app.example.com/", "mallory")

	if a := alice.visit(back); a.status != http.StatusBadRequest || a.header.Get("Location") != "" || !strings.Contains(a.body, "Cookies are needed") {
		t.Errorf("a browser that began nothing: %v", a)
	}
	alice.visit("https://app.example.com/") // now she has begun one
	a := alice.visit(back)
	if !strings.HasPrefix(a.header.Get("Location"), "https://auth.example.com/oauth2/authorize?") || alice.cookies("app.example.com")[loginCookie] != "" {
		t.Errorf("a browser that began another: %v", a)
	}
	alice.signIn("https://app.example.com/", "alice")
	if a := alice.visit(back); a.header.Get("Location") != "/" {
		t.Errorf("a browser that is signed in: %v", a)
	}
	if got := alice.visit("https://app.example.com/").seen(t).Get("X-Auth-Subject"); got != w.userID("alice") {
		t.Errorf("alice is %s", got)
	}
	// It was mallory's, and still is.
	if a := mallory.visit(back); a.status != http.StatusSeeOther || mallory.visit("https://app.example.com/").seen(t).Get("X-Auth-Subject") != w.userID("mallory") {
		t.Errorf("mallory: %v", a)
	}
}

// toCallback signs in and stops before the browser comes back to the site.
func (p *visitor) toCallback(address, name string) string {
	p.Helper()
	page, way := p.follow(address)
	at := way[len(way)-1]
	action := formAction.FindStringSubmatch(page.body)
	fields := url.Values{"username": {name}, "password": {herPassword}}
	for _, h := range hidden.FindAllStringSubmatch(page.body, -1) {
		fields.Set(h[1], strings.ReplaceAll(h[2], "&amp;", "&"))
	}
	a := p.do(http.MethodPost, against(p.T, at, strings.ReplaceAll(action[1], "&amp;", "&")), fields.Encode(), "Origin: https://auth.example.com", "Sec-Fetch-Site: same-origin")
	for range 5 {
		to := a.header.Get("Location")
		if m := refresh.FindStringSubmatch(a.body); to == "" && m != nil {
			to = strings.ReplaceAll(m[1], "&amp;", "&")
		}
		if strings.Contains(to, "/.gatehouse/callback") {
			return to
		}
		a = p.visit(against(p.T, at, to))
	}
	p.Fatalf("never sent back: %v", a)
	return ""
}

func TestBackButtonEndsNoSignIn(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	back := p.toCallback("https://app.example.com/here?a=b", "alice")
	for n := range 3 {
		if a := p.visit(back); a.status != http.StatusSeeOther || a.header.Get("Location") != "/here?a=b" {
			t.Fatalf("visit %d: %v", n, a)
		}
		w.forgetEarned() // time goes by
		if a := p.visit("https://app.example.com/here"); a.status != http.StatusOK {
			t.Fatalf("visit %d, the page: %v", n, a)
		}
	}
}

// forgetEarned is what the running configuration does after a while.
func (w *world) forgetEarned() {
	w.Helper()
	app, err := caddy.ActiveContext().App("token_issuer")
	if err != nil {
		w.Fatal(err)
	}
	for _, l := range app.(*App).running.Load().logins {
		l.Memory = login.NewMemory(func(string) {})
	}
}

// A browser that keeps no cookies gets a page and not the way round once more.
func TestBrowserWithoutCookiesDoesNotGoRound(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	back := p.toCallback("https://app.example.com/", "alice")
	p.forgetFlows("app.example.com")
	a := p.visit(back)
	if a.status != http.StatusBadRequest || !strings.Contains(a.body, "Cookies are needed") {
		t.Fatalf("came back without: %v", a)
	}
	for name, want := range map[string]string{
		"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
	} {
		if a.header.Get(name) != want {
			t.Errorf("%s: %q", name, a.header.Get(name))
		}
	}
	if csp := a.header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy: %s", csp)
	}

	// One that loses the session alone, as an extension may do, is stopped as well.
	for range 20 {
		p.set("app.example.com", loginCookie, "")
		if a, _ = p.follow("https://app.example.com/"); a.status != http.StatusOK {
			break
		}
	}
	if a.status != http.StatusForbidden || !strings.Contains(a.body, "The sign-in does not hold") {
		t.Errorf("lost the session again and again: %v", a)
	}
}

// F05, F06: what a stranger writes into an address leads nowhere else.
func TestSignInLeadsToNoOtherSite(t *testing.T) {
	w := loginWorld(t)
	for target, want := range map[string]string{
		"//evil.example.net": "/", "/\\evil.example.net": "/", "https://evil.example.net/": "/", "https:evil": "/", "javascript:alert(1)": "/",
		"/.gatehouse/logout": "/", "/./.gatehouse/logout": "/", "/%09/evil": "/%09/evil",
	} {
		p := w.visitor()
		a, way := p.signIn("https://app.example.com/.gatehouse/login?return="+url.QueryEscape(target), "alice")
		if last := way[len(way)-1]; a.status != http.StatusOK || last != "https://app.example.com"+want {
			t.Errorf("%s: %d by %q", target, a.status, way)
		}
	}
	p := w.visitor()
	sent := p.visit("https://app.example.com/", "X-Forwarded-Host: evil.example.net", "Forwarded: host=evil.example.net")
	if to, err := url.Parse(sent.header.Get("Location")); err != nil || to.Host != "auth.example.com" || to.Query().Get("redirect_uri") != "https://app.example.com/.gatehouse/callback" {
		t.Errorf("another host in what a proxy says: %v", sent)
	}
	// The issuer knows the addresses of the site, and sends nobody anywhere else.
	w.load(loginGlobal, strings.ReplaceAll(loginSites, "http://wiki.example.com", "http://evil.example.net"))
	page, way := w.visitor().follow("https://evil.example.net/")
	if last := way[len(way)-1]; !strings.HasPrefix(last, "https://auth.example.com/oauth2/authorize") || page.status != http.StatusBadRequest {
		t.Errorf("%v by %q", page, way)
	}
	p = w.visitor()
	back := p.toCallback("https://app.example.com/", "alice")
	u, _ := url.Parse(back)
	q := u.Query()
	for name, change := range map[string]func(){
		"no state":      func() { q.Del("state") },
		"another state": func() { q.Set("state", strings.Repeat("A", 400)) },
		"two codes":     func() { q.Add("code", "x") },
	} {
		q = u.Query()
		change()
		if a := p.visit("https://app.example.com/.gatehouse/callback?" + q.Encode()); a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
			t.Errorf("%s: %v", name, a)
		}
	}
	for name, query := range map[string]string{
		"an error":             "error=%3Cscript%3E&state=" + u.Query().Get("state"),
		"a code of no request": "code=AAAA&state=" + u.Query().Get("state"),
		"of another issuer":    "iss=https://evil.example.net&code=AAAA&state=" + u.Query().Get("state"),
	} {
		a := p.visit("https://app.example.com/.gatehouse/callback?" + query)
		if a.status < 400 || a.status >= 500 || strings.Contains(a.body, "<script") || strings.Contains(w.logged(), "u003cscript") {
			t.Errorf("%s: %v", name, a)
		}
	}
	if a := p.visit(back); a.status != http.StatusSeeOther {
		t.Errorf("untouched: %v", a)
	}
}

// F05: a sign-in ends with a request that the site's own page has begun, so nobody comes
// back to an address of somebody else's making that the backend reads as more than reading.
func TestSignInLeadsToNoOtherMethod(t *testing.T) {
	w := newWorld(t)
	var asked []string
	w.backend(func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.URL.RequestURI()) })
	one := strings.NewReplacer("auth.example.com", "app.example.com")
	w.load(one.Replace(loginGlobal), `
http://app.example.com {
	token_issuer
	token_gate {
		login
	}
	reverse_proxy unix/$DIR/backend
}`)
	w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
	for _, target := range []string{"/x?_method=DELETE", "/x?a=b&%5FMETHOD=delete", "/x%3F_method=DELETE", "/x?a;_method=PUT", "/x?X-HTTP-Method-Override=DELETE", "/x?_method=GET&_method=PUT"} {
		a := w.visitor().visit("https://app.example.com"+target, "Sec-Fetch-Site: cross-site")
		if a.status != http.StatusUnauthorized || a.header.Get("Location") != "" || a.header.Get("WWW-Authenticate") == "" || !strings.Contains(a.body, "Please sign in first") {
			t.Errorf("%s: %v", target, a)
		}
		if !strings.Contains(w.logged(), `"reason":"address_read_as_another_method"`) {
			t.Errorf("%s: nobody is told why", target)
		}
		for _, door := range []string{"/.gatehouse/login?return=", "/.gatehouse/login?as=other&return="} {
			_, way := w.visitor().signIn("https://app.example.com"+door+url.QueryEscape(target), "alice")
			if last := way[len(way)-1]; last != "https://app.example.com/" {
				t.Errorf("%s: by %q", target, way)
			}
		}
	}
	for _, target := range asked {
		if target != "/" {
			t.Errorf("the backend was asked for %s", target)
		}
	}
	if _, way := w.visitor().signIn("https://app.example.com/x?_method=get", "alice"); way[len(way)-1] != "https://app.example.com/x?_method=get" {
		t.Errorf("an address that names its own method: %q", way)
	}
}
