package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A client whose secret is in other hands has nothing any more of what it was given: its
// own tokens, those of people in both forms, their sign-ins and what streams. Everybody
// else goes on, and so does the client.
func TestRevokedClientIsRefusedOnTheNextRequest(t *testing.T) {
	w := newWorld(t)
	w.backend(endless)
	crawler := strings.Replace(oneIssuer, "client shop {", "client crawler {\ntype m2m\nsecret {env.SHOP_SECRET}\ngrants client_credentials\nscopes orders:read\naccess_token opaque\n}\n\t\tclient shop {", 1)
	w.load(h2cServer+crawler, streamSite)
	phones := w.person("ann")
	asShop := func(form url.Values) answer {
		form.Set("client_id", "shop")
		form.Set("client_secret", shopSecret)
		return w.post("/oauth2/token", form)
	}
	signIn := url.Values{"grant_type": {"password"}, "auth_source_id": {"password"}, "username": {"ann"}, "password": {"a password of ann"}}
	a := asShop(signIn)
	var earned struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &earned); err != nil || earned.Refresh == "" {
		t.Fatal(a)
	}
	opaque := w.accessToken(w.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"crawler"}, "client_secret": {shopSecret}}))
	shops := []string{w.accessToken(a), w.token()}
	open := func(token string) int { return w.get("/", "Authorization: Bearer "+token).status }
	for _, token := range append(shops, opaque, phones) {
		if got := open(token); got != http.StatusOK {
			t.Fatalf("before: %d", got)
		}
	}
	ending, going := w.streams(5, "shop", shops[1]), w.streams(5, "phone", phones)

	w.fails([]string{"client", "revoke", "shopp"}, `client "shopp": not found`)
	begun := time.Now()
	w.must("", []string{"client", "revoke", "shop"}, "shop has nothing any more")
	for _, token := range shops {
		if got := open(token); got != http.StatusUnauthorized {
			t.Errorf("a token of the client: %d", got)
		}
	}
	t.Logf("5 streams ended after %s", w.ended(ending).Sub(begun).Round(time.Millisecond))
	if a := asShop(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {earned.Refresh}}); a.status != http.StatusBadRequest || !strings.Contains(a.body, "invalid_grant") {
		t.Errorf("a refresh token of the client: %v", a)
	}
	if x := w.explained(http.MethodGet, "http://app.example.com/", shops[1]); x.Says != "token: all tokens that client shop had were revoked" {
		t.Errorf("explained: %+v", x)
	}
	for _, token := range []string{opaque, phones} {
		if got := open(token); got != http.StatusOK {
			t.Errorf("another client's token: %d", got)
		}
	}
	if !goesOn(going) {
		t.Error("another client's stream ended, too")
	}
	w.must("", []string{"client", "revoke", "crawler"})
	if got := open(opaque); got != http.StatusUnauthorized {
		t.Errorf("an opaque token of the client: %d", got)
	}
	// A token says its second, and the one in which the client was revoked counts as before.
	for _, again := range []func() string{w.token, func() string { return w.accessToken(asShop(signIn)) }} {
		w.must("", []string{"client", "revoke", "shop"})
		if got := open(again()); got != http.StatusOK {
			t.Errorf("the token that the client earns next: %d", got)
		}
	}
	if log := w.logged(); strings.Contains(log, shopSecret) {
		t.Error("the secret is in the log")
	}
}

// People of a client that is revoked are sent to sign in again, and their next sign-in is
// good at once.
func TestPeopleOfARevokedClientSignInAgain(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	const page = "https://app.example.com/orders"
	p.signIn(page, "alice")
	for range 2 { // a third would be a loop
		w.must("", []string{"client", "revoke", "site"})
		a, way := p.follow(page)
		if a.status != http.StatusOK || way[len(way)-1] != page || len(way) < 3 {
			t.Errorf("the next page: %v by %q", a, way)
		}
	}
}
