package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestExplanationSaysWhatEndedAToken: an operator who reads "revoked" wants to know by
// whose hand.
func TestExplanationSaysWhatEndedAToken(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, strings.Replace(oneSite, "reverse_proxy unix/$DIR/backend", "respond ok", 1))
	for _, name := range []string{"alice", "bob", "carol", "dora"} {
		w.must(herPassword+"\n", []string{"user", "add", name, "--password-stdin"})
	}
	signIn := func(name string) (access, refresh string) {
		a := w.post("/oauth2/token", url.Values{"grant_type": {"password"}, "client_id": {"phone"}, "auth_source_id": {"password"}, "username": {name}, "password": {herPassword}, "scope": {"openid"}})
		var tokens struct {
			RefreshToken string `json:"refresh_token"`
		}
		if err := json.Unmarshal([]byte(a.body), &tokens); err != nil {
			t.Fatalf("%v: %v", a, err)
		}
		return w.accessToken(a), tokens.RefreshToken
	}
	revoke := func(token string) {
		if a := w.post("/oauth2/revoke", url.Values{"token": {token}, "client_id": {"phone"}}); a.status != http.StatusOK {
			t.Fatal(a)
		}
	}
	alone, _ := signIn("alice")
	revoke(alone)
	family, refresh := signIn("alice")
	revoke(refresh)
	frozen, _ := signIn("bob")
	w.must("", []string{"user", "freeze", "bob"})
	gone, _ := signIn("carol")
	w.must("", []string{"user", "remove", "carol"})
	good, _ := signIn("dora")
	for raw, want := range map[string]string{
		alone:  "token: this token was revoked; its sign-in goes on",
		family: "token: its sign-in was ended at 20",
		frozen: "token: its account is frozen",
		gone:   "token: its account is gone",
		good:   "every rule holds",
	} {
		if x := w.explained(http.MethodGet, "http://app.example.com/", raw); !strings.HasPrefix(x.Says, want) || (x.Reason == "revoked_token") != (raw != good) {
			t.Errorf("%+v, want %s", x, want)
		}
	}
	for change, want := range map[string]string{
		"disabled": "token: its client phone is disabled",
		"":         "token: its client phone is gone",
	} {
		global := strings.Replace(oneIssuer, "type mobile", "type mobile\n"+change, 1)
		if change == "" {
			global = strings.Replace(oneIssuer, "client phone", "client tablet", 1)
		}
		w.load(global, strings.Replace(oneSite, "reverse_proxy unix/$DIR/backend", "respond ok", 1))
		if x := w.explained(http.MethodGet, "http://app.example.com/", good); x.Says != want {
			t.Errorf("%+v, want %s", x, want)
		}
	}
}

// A browser that signs out ends the sign-ins of its session.
func TestExplanationKnowsTheSessionThatWasEnded(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(loginGlobal, cookieSites)
	w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
	p := w.visitor()
	p.signIn("https://app.example.com/", "alice")
	raw := w.accessOf(p, "app.example.com")
	a, _ := p.follow("https://auth.example.com/logout?client_id=site&logout_redirect_uri=https%3A%2F%2Fapp.example.com%2F", "Sec-Fetch-Site: same-origin")
	if x := w.explained(http.MethodGet, "https://app.example.com/", raw); !strings.HasSuffix(x.Says, "as the session of its browser was") {
		t.Errorf("%+v after %v", x, a)
	}
}
