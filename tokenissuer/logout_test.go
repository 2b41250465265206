package tokenissuer_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

const bye = "https://shop.example.com/bye"

// hintOf is the ID token that a client gets of the browser's session.
func (b *browser) hintOf(s *server, client, name string) string {
	b.t.Helper()
	code := b.signedIn(authorizePath(client, "claims", `{"id_token":{"sid":null}}`), name).Get("code")
	path := "/oauth2/token"
	if client == "legacy" {
		path = idaasToken
	}
	a := s.send(http.MethodPost, path, form("client_id", client, "client_secret", secret, "grant_type", "authorization_code", "code", code, "redirect_uri", callback))
	return a.text(b.t, "id_token")
}

func (b *browser) isSignedIn() bool {
	b.t.Helper()
	return strings.Contains(b.get(authorizePath("shop", "prompt", "none")).header.Get("Location"), "?code=")
}

// goesTo asserts where an answer sends the browser.
func (a answer) goesTo(t *testing.T, want string) {
	t.Helper()
	if a.status != http.StatusFound && a.status != http.StatusSeeOther || a.header.Get("Location") != want {
		t.Errorf("%d to %q, want %q: %s", a.status, a.header.Get("Location"), want, a.body)
	}
}

// TestHintOfAnotherSessionEndsNothingUnasked is RP-Initiated Logout 1.0 §2: whose
// ID token is not of the session that the browser has, asks its person.
func TestHintOfAnotherSessionEndsNothingUnasked(t *testing.T) {
	s := start(t, authorizing())
	s.user("alice", "")
	s.user("mallory", "")
	foreign := s.browser().hintOf(s, "shop", "mallory")
	elsewhere := s.browser().hintOf(s, "shop", "alice") // alice too, in another browser
	for name, query := range map[string]string{
		"of another person, standard":       form("id_token_hint", foreign, "post_logout_redirect_uri", bye),
		"of another person, documented":     form("client_id", "shop", "id_token_hint", foreign, "logout_redirect_uri", bye),
		"of another browser of the person":  form("id_token_hint", elsewhere, "post_logout_redirect_uri", bye, "state", "x"),
		"of another person, by its id, too": form("client_id", "shop", "id_token_hint", foreign),
	} {
		t.Run(name, func(t *testing.T) {
			b := s.browser()
			b.hintOf(s, "shop", "alice")
			asked := b.get("/logout?" + query)
			asked.goesTo(t, "https://auth.example.com/portal/logout")
			if !b.isSignedIn() {
				t.Fatal("ended without a question")
			}
			if page := b.follow(b.submit(b.follow(asked))); page.status != http.StatusOK || b.isSignedIn() {
				t.Errorf("who says yes is not signed out: %d %s", page.status, page.body)
			}
		})
	}
}

func TestHintOfTheSessionEndsIt(t *testing.T) {
	s := start(t, authorizing())
	s.user("alice", "")
	b := s.browser()
	hint := b.hintOf(s, "shop", "alice")
	b.get("/logout?"+form("id_token_hint", hint, "post_logout_redirect_uri", bye, "state", "x")).goesTo(t, bye+"?state=x")
	if b.isSignedIn() {
		t.Error("still signed in")
	}
	// The session is over, and so the hint ends nothing; the app gets its person back.
	b.get("/logout?"+form("id_token_hint", hint, "post_logout_redirect_uri", bye)).goesTo(t, bye)
	// An ID token without a sid, of a sign-in without a browser: the person decides.
	plain := s.good(signIn("shop", "alice")+"&client_secret="+secret).text(t, "id_token")
	b.hintOf(s, "shop", "alice")
	b.get("/logout?"+form("id_token_hint", plain)).goesTo(t, bye)
	if b.isSignedIn() {
		t.Error("the same person's hint: still signed in")
	}
}

// TestHintAloneNeedsNoAddress: the standard asks for a redirect with an address
// only, so an app with several gets the page that says good-bye.
func TestHintAloneNeedsNoAddress(t *testing.T) {
	config := authorizing()
	config.Clients[0].LogoutRedirectURIs = []string{bye, bye + "2"}
	s := start(t, config)
	s.user("alice", "")
	b := s.browser()
	hint := b.hintOf(s, "shop", "alice")
	if a := b.get("/logout?" + form("client_id", "shop")); a.status != http.StatusBadRequest || !b.isSignedIn() {
		t.Errorf("documented, several and none given: %d %s", a.status, a.body)
	}
	b.get("/logout?"+form("id_token_hint", hint)).goesTo(t, "https://auth.example.com/portal/logout")
	if b.isSignedIn() {
		t.Error("still signed in")
	}
}

// TestPostedLogoutArrivesWithItsCookie: a browser sends the cookie of the session
// not with a form of another site, but with the redirect that follows.
func TestPostedLogoutArrivesWithItsCookie(t *testing.T) {
	s := start(t, authorizing())
	s.user("alice", "")
	b := s.browser()
	hint := b.hintOf(s, "shop", "alice")
	request := form("id_token_hint", hint, "post_logout_redirect_uri", bye, "state", "a b")
	again := s.browser().do(http.MethodPost, "https://auth.example.com/logout", request)
	if to := again.header.Get("Location"); again.status != http.StatusSeeOther || !strings.HasPrefix(to, "https://auth.example.com/logout?") {
		t.Fatalf("%d %s", again.status, to)
	}
	b.get(again.header.Get("Location")).goesTo(t, bye+"?state=a%20b")
	if b.isSignedIn() {
		t.Error("still signed in")
	}
	long := s.browser().do(http.MethodPost, "https://auth.example.com/logout", form("client_id", "shop", "ui_locales", strings.Repeat("l", 30_000)))
	if long.status != http.StatusBadRequest || long.header.Get("Location") != "" {
		t.Errorf("more than an address holds: %d %.100s", long.status, long.header.Get("Location"))
	}
	b.hintOf(s, "shop", "alice")
	b.do(http.MethodPost, "https://auth.example.com/logout", form("client_id", "shop")).goesTo(t, bye)
	if b.isSignedIn() {
		t.Error("a form of our own site: still signed in")
	}
}

func TestDisabledClientSignsNobodyOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	s := startAt(t, path, authorizing())
	s.user("alice", "")
	hint := s.browser().hintOf(s, "shop", "alice")
	s.stop()
	config := authorizing()
	legacy := slices.IndexFunc(config.Clients, func(c tokenissuer.Client) bool { return c.ID == "legacy" })
	config.Clients[0].Disabled, config.Clients[legacy].Disabled = true, true
	config.Clients[legacy].LogoutRedirectURIs = []string{bye}
	s = startAt(t, path, config)
	b := s.browser()
	b.signedIn(authorizePath("spa", "code_challenge", challenge(), "code_challenge_method", "S256"), "alice")
	signedIn := func() bool {
		return strings.Contains(b.get(authorizePath("spa", "prompt", "none", "code_challenge", challenge(), "code_challenge_method", "S256")).header.Get("Location"), "?code=")
	}
	for _, query := range []string{form("client_id", "shop"), form("client_id", "shop", "logout_redirect_uri", bye), form("id_token_hint", hint)} {
		if a := b.get("/logout?" + query); a.status != http.StatusBadRequest || !strings.Contains(a.body, `"invalid_request"`) || !signedIn() {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	staysOnAPage(t, b.get("/logout?"+form("id_token_hint", hint, "post_logout_redirect_uri", bye)))
	if !signedIn() {
		t.Error("signed out by a client that is disabled")
	}
	b.get("/api/v1/logout?"+form("redirect_url", bye)).goesTo(t, "https://auth.example.com/portal/")
}

// TestHintOfTheSecondAPI: the standard has one address for the whole provider, and
// both metadata documents name it.
func TestHintOfTheSecondAPI(t *testing.T) {
	told, config := listen(t), authorizing()
	legacy := slices.IndexFunc(config.Clients, func(c tokenissuer.Client) bool { return c.ID == "legacy" })
	config.Clients[legacy].LogoutRedirectURIs, config.Clients[legacy].BackchannelLogoutURI = []string{bye}, told.URL
	s := start(t, config)
	s.user("alice", "")
	s.user("mallory", "")
	for _, path := range []string{"/.well-known/openid-configuration", "/api/v1/oauth2/.well-known/openid-configuration"} {
		m := s.send(http.MethodGet, path, "").json(t)
		if m["end_session_endpoint"] != "https://auth.example.com/logout" || m["backchannel_logout_supported"] != true || m["backchannel_logout_session_supported"] != true {
			t.Errorf("%s: %v", path, m)
		}
	}
	foreign := s.browser().hintOf(s, "legacy", "mallory")
	b := s.browser()
	hint := b.hintOf(s, "legacy", "alice")
	signedIn := func() bool {
		return strings.Contains(b.get(authorizePath("legacy", "prompt", "none")).header.Get("Location"), "?code=")
	}
	for name, query := range map[string]string{
		"an address of nobody":  form("id_token_hint", hint, "post_logout_redirect_uri", "https://evil.example/"),
		"another client's hint": form("client_id", "shop", "id_token_hint", hint, "post_logout_redirect_uri", bye),
		"an address alone":      form("client_id", "legacy", "post_logout_redirect_uri", bye),
	} {
		if staysOnAPage(t, b.get("/logout?"+query)); !signedIn() {
			t.Fatalf("%s: signed out", name)
		}
	}
	// The documented spelling is the other API's, where this client is unknown.
	if a := b.get("/logout?" + form("client_id", "legacy")); a.status != http.StatusBadRequest || !signedIn() {
		t.Errorf("by its id alone: %d %s", a.status, a.body)
	}
	b.get("/logout?"+form("id_token_hint", foreign, "post_logout_redirect_uri", bye)).goesTo(t, "https://auth.example.com/portal/logout")
	b.get("/logout?"+form("id_token_hint", hint, "post_logout_redirect_uri", bye, "state", "x")).goesTo(t, bye+"?state=x")
	if signedIn() {
		t.Error("still signed in")
	}
	if _, notice := decoded(t, told.next(t)); !strings.Contains(notice, `"iss":"https://auth.example.com/api/v1/oauth2"`) {
		t.Errorf("told by another issuer: %s", notice)
	}
}
