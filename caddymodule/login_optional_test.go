package caddymodule

import (
	"net/http"
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
