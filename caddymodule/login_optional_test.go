package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

const optionalSites = `
http://auth.example.com {
	token_issuer
}
http://app.example.com, http://wiki.example.com {
	token_gate {
		optional
		login
	}
	token_gate /mine/* {
		login
	}
	reverse_proxy unix/$DIR/backend
}`

// TestCookieThatIsOverKeepsNobodyFromAPublicPage: who has signed out elsewhere, or whose
// account was frozen, sees what everybody sees, and is known nowhere.
func TestCookieThatIsOverKeepsNobodyFromAPublicPage(t *testing.T) {
	for name, over := range map[string]func(*world, *visitor){
		"frozen": func(w *world, _ *visitor) { w.must("", []string{"user", "freeze", "alice"}) },
		"signed out at the portal": func(_ *world, p *visitor) {
			p.follow("https://auth.example.com/logout?client_id=site&logout_redirect_uri=https%3A%2F%2Fapp.example.com%2F", "Sec-Fetch-Site: same-origin")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.backend(nil)
			w.load(loginGlobal, optionalSites)
			w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
			p := w.visitor()
			p.signIn("https://app.example.com/mine/x", "alice")
			if a := p.visit("https://app.example.com/"); a.status != http.StatusOK || a.seen(t).Get("X-Auth-Subject") == "" {
				t.Fatalf("signed in: %v", a)
			}
			over(w, p)
			for what, lines := range map[string][]string{
				"a page":    append([]string{"Sec-Fetch-Site: same-origin"}, navigate...),
				"a picture": {"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"},
			} {
				a := p.do(http.MethodGet, "https://app.example.com/", "", lines...)
				if a.status != http.StatusOK || a.seen(t)["X-Auth-Subject"] != nil {
					t.Errorf("%s: %v", what, a)
				}
			}
			if x := w.explains(question{Method: http.MethodGet, URL: "https://app.example.com/", Cookie: p.header("app.example.com")}); x.Decision != "passed" || x.Token != nil {
				t.Errorf("%+v", x)
			}
			if a := p.visit("https://app.example.com/mine/x", "Sec-Fetch-Site: same-origin"); a.status != http.StatusFound {
				t.Errorf("where a token is asked for: %v", a)
			}
		})
	}
}

// TestSignInThatOpensNothingIsNoSignIn: where nobody needs a token, one for somebody else
// lets people pass as nobody; that their sign-in was in vain is told all the same.
func TestSignInThatOpensNothingIsNoSignIn(t *testing.T) {
	t.Setenv("PARTNER_SECRET", partnerSecret)
	w := newWorld(t)
	w.backend(nil)
	n := newNeighbour(w)
	fits := strings.NewReplacer("embedded off", "embedded off\n\t\toptional", "\treverse_proxy", "\tmetrics /metrics\n\treverse_proxy").Replace(n.sites())
	forOthers := strings.Replace(fits, "audience site", "audience others", 1)
	w.load("", forOthers)
	const counted = `gatehouse_gate_requests_total{outcome="anonymous",reason="wrong_audience"}`
	before := w.metrics()[counted]
	p := n.goesAbroad(w.visitor())
	a, way := p.signIn("https://app.example.com/.gatehouse/login?return=/x", "alice")
	if a.status != http.StatusForbidden || p.cookies("app.example.com")[loginCookie] != "" || !strings.Contains(w.logged(), "token_opens_nothing_here") {
		t.Errorf("by %q: %v", way, a)
	}
	w.load("", fits)
	if a, way := p.follow("https://app.example.com/.gatehouse/login?return=/x"); a.status != http.StatusOK || a.seen(t).Get("X-Auth-Subject") == "" {
		t.Fatalf("by %q: %v", way, a)
	}
	w.load("", forOthers)
	if a := p.visit("https://app.example.com/x"); a.status != http.StatusOK || a.seen(t)["X-Auth-Subject"] != nil {
		t.Errorf("with a cookie for others: %v", a)
	}
	if w.metrics()[counted] == before {
		t.Error("nobody counts it")
	}
	x := w.explains(question{Method: http.MethodGet, URL: "https://app.example.com/x", Cookie: p.header("app.example.com")})
	if says := x.Gates[0].Rules[0].Says; x.Decision != "passed" || !strings.Contains(says, "opens nothing here (wrong_audience") {
		t.Errorf("%+v", x)
	}
}

// Browsers send the cookie with the form of a sibling site as well: signed in or not, a
// public page takes it from nobody.
func TestFormOfAnotherSitePassesAsNobodyWhereNobodyIsAskedFor(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(loginGlobal, optionalSites)
	w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
	p := w.visitor()
	p.signIn("https://app.example.com/mine/x", "alice")
	for _, site := range []string{"same-site", "cross-site"} {
		form := append([]string{"Sec-Fetch-Site: " + site}, navigate...)
		if a := p.do(http.MethodPost, "https://app.example.com/contact", "", form...); a.status != http.StatusOK || a.seen(t)["X-Auth-Subject"] != nil {
			t.Errorf("%s: %v", site, a)
		}
		if a := p.do(http.MethodPost, "https://app.example.com/mine/x", "", form...); a.status != http.StatusUnauthorized {
			t.Errorf("%s, where a token is asked for: %v", site, a)
		}
	}
}
