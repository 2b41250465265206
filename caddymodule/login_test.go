package caddymodule

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestPersonComesToAPageAndIsSignedIn(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	const page = "https://app.example.com/orders?year=2026&q=a%20b"
	a, way := p.signIn(page, "alice")
	if last := way[len(way)-1]; last != page || a.status != http.StatusOK {
		t.Fatalf("came to %s: %v", last, a)
	}
	seen := a.seen(t)
	if seen.Get("X-Auth-Client") != "site" || seen.Get("X-Auth-Subject") != w.userID("alice") {
		t.Errorf("backend saw %v", seen)
	}
	if seen["Cookie"] != nil || seen["Authorization"] != nil {
		t.Errorf("backend got the sign-in: %v", seen)
	}
	a = p.visit("https://app.example.com/")
	if a.status != http.StatusOK || a.header["Set-Cookie"] != nil {
		t.Errorf("the next page: %v", a)
	}

	// The other site has a cookie of its own, and the portal's session gives it
	// without a question.
	a, way = p.follow("https://wiki.example.com/start")
	if a.status != http.StatusOK || way[len(way)-1] != "https://wiki.example.com/start" || len(way) < 3 {
		t.Errorf("the other site: %v by %q", a, way)
	}
	for _, step := range append(way, w.logged()) {
		if strings.Contains(step, p.cookies("app.example.com")["__Host-gatehouse-login"]) {
			t.Error("the cookie is in an address or in the log")
		}
	}
}

// What F08 wants of every cookie.
func TestCookiesOfASignInAreTheHostsAlone(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	first := p.visit("https://app.example.com/")
	back := p.visit(p.toCallback("https://app.example.com/", "alice"))
	if len(first.header["Set-Cookie"]) != 1 || first.header.Get("Cache-Control") != "no-store" {
		t.Errorf("sent away with %v", first.header)
	}
	if len(back.header["Set-Cookie"]) != 2 || !strings.HasPrefix(back.header["Set-Cookie"][0], loginCookie+"=") || back.header.Get("Cache-Control") != "no-store" {
		t.Errorf("come back with %v", back.header)
	}
	p.age("app.example.com")
	renewed := p.visit("https://app.example.com/")
	if len(renewed.header["Set-Cookie"]) != 1 {
		t.Errorf("renewed with %v", renewed.header)
	}
	for _, set := range slices.Concat(first.header["Set-Cookie"], back.header["Set-Cookie"], renewed.header["Set-Cookie"]) {
		for _, want := range []string{"__Host-gatehouse-", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
			if !strings.Contains(set, want) {
				t.Errorf("%s is without %s", set, want)
			}
		}
		if strings.Contains(set, "Domain") || strings.Contains(set, "Max-Age") || strings.Contains(set, "Expires") {
			t.Errorf("%s: for others, or for longer", set)
		}
	}
}

func TestProgramsAreToldAndPeopleAreSent(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	const page = "https://app.example.com/"
	for name, c := range map[string]struct {
		method string
		lines  []string
		sent   bool
	}{
		"a link":                  {"GET", navigate, true},
		"an old browser":          {"GET", []string{"Accept: text/html,*/*;q=0.8"}, true},
		"curl":                    {"GET", []string{"Accept: */*"}, false},
		"nothing at all":          {"GET", nil, false},
		"fetch":                   {"GET", []string{"Accept: text/html", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}, false},
		"XMLHttpRequest":          {"GET", []string{"Accept: text/html", "X-Requested-With: XMLHttpRequest"}, false},
		"a picture":               {"GET", []string{"Accept: image/png", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, false},
		"a frame":                 {"GET", []string{"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, false},
		"a prefetch":              {"GET", append([]string{"Sec-Purpose: prefetch"}, navigate...), false},
		"a form":                  {"POST", navigate, false},
		"HEAD":                    {"HEAD", navigate, false},
		"a program with a token":  {"GET", append([]string{"Authorization: Bearer bad"}, navigate...), false},
		"server-sent events":      {"GET", []string{"Accept: text/event-stream", "Sec-Fetch-Mode: cors"}, false},
		"a WebSocket":             {"GET", []string{"Connection: Upgrade", "Upgrade: websocket", "Accept: text/html"}, false},
		"two modes":               {"GET", []string{"Sec-Fetch-Mode: cors", "Sec-Fetch-Mode: navigate", "Accept: text/html"}, false},
		"another site's own link": {"GET", append([]string{"Sec-Fetch-Site: cross-site"}, navigate...), true},
	} {
		a := p.do(c.method, page, "", c.lines...)
		sent := a.status == http.StatusFound && strings.HasPrefix(a.header.Get("Location"), "https://auth.example.com/oauth2/authorize?")
		if sent != c.sent || !sent && (a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "") {
			t.Errorf("%s: %v", name, a)
		}
	}
}

func TestEveryKindOfClientSignsPeopleIn(t *testing.T) {
	for name, words := range map[string]string{
		"oauth": "dialect oauth", "idaas": "dialect idaas", "opaque": "access_token opaque", "rotated": "refresh rotate",
	} {
		t.Run(name, func(t *testing.T) {
			w := loginWorld(t)
			w.load(strings.Replace(loginGlobal, "first_party", "first_party\n\t\t\t"+words, 1), loginSites)
			p := w.visitor()
			if a, way := p.signIn("https://app.example.com/", "alice"); a.status != http.StatusOK || a.seen(t).Get("X-Auth-Client") != "site" {
				t.Fatalf("by %q: %v", way, a)
			}
			p.age("app.example.com")
			if a := p.visit("https://app.example.com/"); a.status != http.StatusOK || a.header["Set-Cookie"] == nil {
				t.Errorf("at its end: %v", a)
			}
			a := p.visit("https://app.example.com/.gatehouse/logout", "Sec-Fetch-Site: none")
			if page, way := p.follow(a.header.Get("Location")); !strings.Contains(page.body, `name="password"`) {
				t.Errorf("signed out by %q: %v", way, page)
			}
		})
	}
}

// Browsers send a Basic field of a dialog long ago, or of an address, by themselves: it
// is no token, and does not stand between a person and the sign-in.
func TestBasicFieldIsNoTokenThatSomebodyShows(t *testing.T) {
	w := loginWorld(t)
	const basic = "Authorization: Basic YTpi"
	for _, words := range []string{"header cookie", "cookie header", "cookie"} {
		w.load(loginGlobal, strings.Replace(loginSites, "\t\tlogin\n", "\t\tlogin\n\t\ttoken_from "+words+"\n", 1))
		p := w.visitor()
		p.set("app.example.com", loginCookie, "1AAAA")
		for range 2 { // with a cookie that is none, and without one
			if a := p.visit("https://app.example.com/", basic); a.status != http.StatusFound {
				t.Errorf("%s: %v", words, a)
			}
			p.set("app.example.com", loginCookie, "")
		}
		p.signIn("https://app.example.com/", "alice")
		if a := p.visit("https://app.example.com/", basic); a.status != http.StatusOK || a.seen(t)["Authorization"] != nil {
			t.Errorf("%s, signed in: %v", words, a)
		}
	}
}

// In the shadow the backend gets the Authorization that came, and of a cookie none.
func TestShadowLeavesTheAuthorizationAsItCame(t *testing.T) {
	w := loginWorld(t)
	w.load(loginGlobal, strings.Replace(loginSites, "\t\tlogin\n", "\t\tlogin\n\t\tshadow\n", 1))
	p := w.visitor()
	p.signIn("https://app.example.com/.gatehouse/login?return=/", "alice")
	for _, field := range []string{"", "Basic YTpi"} {
		var lines []string
		if field != "" {
			lines = []string{"Authorization: " + field}
		}
		seen := p.visit("https://app.example.com/", lines...).seen(t)
		if seen.Get("Authorization") != field || seen.Get("X-Auth-Subject") != w.userID("alice") {
			t.Errorf("%q: the backend saw %v", field, seen)
		}
	}
}

// The longest place to come back to, and one that is too long to be kept.
func TestLongAddressesSurviveTheSignIn(t *testing.T) {
	w := loginWorld(t)
	for length, want := range map[int]int{1999: 1999, 2000: 2000, 2001: 1, 9000: 1} {
		p := w.visitor()
		path := "/" + strings.Repeat("%26", (length-1)/3)
		path += strings.Repeat("x", length-len(path))
		_, way := p.signIn("https://app.example.com"+path, "alice")
		if got := strings.TrimPrefix(way[len(way)-1], "https://app.example.com"); len(got) != want {
			t.Errorf("%d: came back to one of %d: %.60s", length, len(got), got)
		}
	}
}

// B12: a cookie beside a token in the header; the order of the words decides.
func TestHeaderAndCookieComeInTheOrderOfTheWords(t *testing.T) {
	w := loginWorld(t)
	w.must(herPassword+"\n", []string{"user", "add", "bob", "--password-stdin"})
	a := w.visitor()
	a.signIn("https://app.example.com/", "alice")
	cookie := "Cookie: " + loginCookie + "=" + a.cookies("app.example.com")[loginCookie]
	w.load(loginGlobal, strings.Replace(loginSites, "\t\tlogin\n", "\t\tlogin\n\t\tforward token\n", 1))
	b := w.visitor()
	page, _ := b.signIn("https://app.example.com/", "bob")
	bearer := "Authorization: " + page.seen(t).Get("Authorization")
	alice, bob := w.userID("alice"), w.userID("bob")
	for words, want := range map[string]string{"header cookie": bob, "cookie header": alice, "cookie": alice} {
		w.load(loginGlobal, strings.Replace(loginSites, "\t\tlogin\n", "\t\tlogin\n\t\ttoken_from "+words+"\n", 1))
		if got := w.visitor().visit("https://app.example.com/", cookie, bearer).seen(t).Get("X-Auth-Subject"); got != want {
			t.Errorf("%s: %s", words, got)
		}
		a := w.visitor().do(http.MethodGet, "https://app.example.com/", "", cookie, "Authorization: Bearer bad")
		if good := a.status == http.StatusOK; good != (words != "header cookie") {
			t.Errorf("%s, a bad token in the header: %v", words, a)
		}
		a = w.visitor().do(http.MethodGet, "https://app.example.com/", "", bearer)
		if good := a.status == http.StatusOK; good != (words != "cookie") {
			t.Errorf("%s, the header alone: %v", words, a)
		}
	}
}

func TestClientWithoutRefreshTokensIsWarnedOf(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(strings.Replace(loginGlobal, "authorization_code refresh_token", "authorization_code", 1), loginSites)
	if !strings.Contains(w.logged(), "client site has no grant refresh_token") {
		t.Error("nobody is told")
	}
}
