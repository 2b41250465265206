package caddymodule

import (
	"net/http"
	"net/url"
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
	page, way := p.follow(first.header.Get("Location"))
	_, way = p.submit(way[len(way)-1], page, url.Values{"username": {"alice"}, "password": {herPassword}})
	_ = way
	for _, set := range first.header["Set-Cookie"] {
		for _, want := range []string{"__Host-gatehouse-", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
			if !strings.Contains(set, want) {
				t.Errorf("%s is without %s", set, want)
			}
		}
		if strings.Contains(set, "Domain") || strings.Contains(set, "Max-Age") {
			t.Errorf("%s: for others, or for longer", set)
		}
	}
	if len(first.header["Set-Cookie"]) != 1 || first.header.Get("Cache-Control") != "no-store" {
		t.Errorf("sent away with %v", first.header)
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
