package tokenissuer_test

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// TestRefusedRequestsAreLimitedAndGoodOnesAreNot is C15 from one address.
func TestRefusedRequestsAreLimitedAndGoodOnesAreNot(t *testing.T) {
	s := start(t, tokenissuer.Config{FailuresPerAddress: 20, FailuresWindow: time.Hour})
	s.user("alice", "")
	good := form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret)
	wrong := form("grant_type", "client_credentials", "client_id", "shop", "client_secret", "wrong")
	for range 100 {
		s.good(good)
	}
	// A proven client stands for many people: their mistakes do not add up to its.
	for range 30 {
		if a := s.token(signIn("shop", "nobody") + "&client_secret=" + secret); a.status != http.StatusBadRequest {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	// Nor does what is asked without a POST, such as userinfo with an old token.
	for range 30 {
		s.send(http.MethodGet, "/userinfo", "", "Authorization: Bearer x")
	}
	refused := 0
	var last answer
	for range 100 {
		if last = s.token(wrong); last.status != http.StatusUnauthorized {
			break
		}
		refused++
	}
	if refused != 20 {
		t.Errorf("%d wrong secrets were answered 401", refused)
	}
	if last.status != http.StatusTooManyRequests || last.body != `{"error":"temporarily_unavailable"}` || last.header.Get("Retry-After") == "" {
		t.Errorf("then %d %s %v", last.status, last.body, last.header)
	}
	if a := s.send(http.MethodGet, "/oauth2/jwks", ""); a.status != http.StatusOK {
		t.Errorf("the key set is refused too: %d", a.status)
	}
}

// Codes that are none count, whoever shows them: at a gate's callback anybody can. What a
// sign-in keeps goes on being good for a new token.
func TestCodesThatAGateIsShownAreLimited(t *testing.T) {
	s := start(t, tokenissuer.Config{FailuresPerAddress: 5, FailuresWindow: time.Hour, Clients: []tokenissuer.Client{
		{ID: "site", Type: "web", Secrets: []string{secret}, Grants: []string{"authorization_code", "refresh_token"}, RedirectURIs: []string{"https://app.example.com/.gatehouse/callback"}, Scopes: []string{"openid"}},
	}})
	stranger, person := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	earn := func(from netip.Addr, grant, name string) oauth.Reason {
		_, err := s.issuer.Earn(t.Context(), "site", from, url.Values{"grant_type": {grant}, name: {"made up"}, "redirect_uri": {"https://app.example.com/.gatehouse/callback"}})
		return oauth.AsError(err).Reason
	}
	for n := range 5 {
		if got := earn(stranger, "authorization_code", "code"); got == oauth.TooManyRequests {
			t.Fatalf("code %d: %s", n, got)
		}
	}
	if got := earn(stranger, "authorization_code", "code"); got != oauth.TooManyRequests {
		t.Errorf("one more: %s", got)
	}
	if got := earn(stranger, "refresh_token", "refresh_token"); got == oauth.TooManyRequests {
		t.Errorf("a sign-in from there: %s", got)
	}
	if got := earn(person, "authorization_code", "code"); got == oauth.TooManyRequests {
		t.Errorf("from elsewhere: %s", got)
	}
}

// Many share an address: what some of them fail keeps nobody out who proves a secret
// or has a token. Secrets can be guessed at too, so what is tried at one client
// counts for itself.
func TestWhoProvesASecretPassesWhereOthersFailed(t *testing.T) {
	const most = 20
	c := newPost(t).otp()
	c.FailuresPerAddress, c.FailuresWindow = most, time.Hour
	c.Sources = append(c.Sources, tokenissuer.Source{ID: "password", Type: "password"})
	c.Clients = append(c.Clients,
		tokenissuer.Client{ID: "wiki", Type: "spa", Grants: []string{"password"}, Sources: []string{"password"}},
		tokenissuer.Client{ID: "bot", Type: "m2m", Secrets: []string{secret}, Grants: []string{"client_credentials"}, Scopes: []string{"x"}},
		tokenissuer.Client{ID: "old", Type: "web", Secrets: []string{secret}, Grants: []string{"client_credentials"}, Dialect: "idaas"})
	s := start(t, c)
	s.user("alice", mailbox)
	person := s.good(signIn("wiki", "alice")).text(t, "access_token")
	for range most {
		if a := s.token(signIn("wiki", "nobody")); a.status != http.StatusBadRequest {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	late := errorOf("temporarily_unavailable")
	want(t, s.token(signIn("wiki", "alice")), 429, late)
	want(t, s.token(form("grant_type", "client_credentials")), 429, late)
	want(t, s.token("%%%"), 429, late)
	want(t, s.json(http.MethodPatch, "/userinfo", "{}", bearer("x")), 429, late)

	proof := form("grant_type", "client_credentials", "client_id", "robot", "client_secret", secret)
	for name, ask := range map[string]func(secret string) answer{
		"form": func(secret string) answer {
			return s.token(form("grant_type", "client_credentials", "client_id", "robot", "client_secret", secret))
		},
		"Basic": func(secret string) answer {
			return s.token(form("grant_type", "client_credentials"), basic("robot", secret))
		},
		"JSON": func(secret string) answer {
			return s.token(object("grant_type", "client_credentials", "client_id", "robot", "client_secret", secret), asJSON)
		},
		"introspect": func(secret string) answer {
			return s.send(http.MethodPost, "/oauth2/introspect", form("token", "x"), basic("robot", secret))
		},
		"revoke": func(secret string) answer {
			return s.send(http.MethodPost, "/oauth2/revoke", form("token", "x"), basic("robot", secret))
		},
		"a message": func(secret string) answer {
			return s.send(http.MethodPost, sendPath, form("phone_number", number, "auth_source_id", "sms"), basic("shop", secret))
		},
		"idaas": func(secret string) answer {
			return s.send(http.MethodPost, "/api/v1/oauth2/token", form("grant_type", "client_credentials"), basic("old", secret))
		},
	} {
		if a := ask(secret); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if a := ask("wrong"); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
			t.Errorf("%s, a wrong secret: %d %s", name, a.status, a.body)
		}
	}
	// What a proven client asks for may be wrong, and is said as always.
	want(t, s.token(form("grant_type", "x"), basic("robot", secret)), 400, strings.Replace(parameterMissing("grant_type"), "invalid_request", "unsupported_grant_type", 1))
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch} {
		body := map[string]string{http.MethodPatch: "{}"}[method]
		if a := s.json(method, "/userinfo", body, bearer(person)); a.status != http.StatusOK {
			t.Errorf("%s /userinfo: %d %s", method, a.status, a.body)
		}
	}
	if a := s.json(http.MethodPost, "/userinfo", "", bearer("x")); a.status != http.StatusUnauthorized {
		t.Errorf("POST /userinfo with another token: %d %s", a.status, a.body)
	}

	for range most {
		s.token(form("grant_type", "client_credentials", "client_id", "robot", "client_secret", "wrong"))
	}
	want(t, s.token(proof), 429, late)
	want(t, s.token(form("grant_type", "client_credentials"), "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("%72obot:"+secret))), 429, late)
	if a := s.token(form("grant_type", "client_credentials"), basic("bot", secret)); a.status != http.StatusOK {
		t.Errorf("another client: %d %s", a.status, a.body)
	}
	if a := s.from(t, "192.0.2.1", "/oauth2/token", proof); a.status != http.StatusOK {
		t.Errorf("from another address: %d %s", a.status, a.body)
	}
}

// A page that somebody looks at can make the browser post to the issuer. Nothing
// is looked at then, and nothing counts: it would lock out everybody who shares
// the visitor's address.
func TestPageOfAnotherSiteUsesUpNobodysTries(t *testing.T) {
	const most = 3
	c := newPost(t).peopled()
	c.FailuresPerAddress, c.FailuresWindow = most, time.Hour
	c.Clients[0].CORSOrigins = []string{"https://shop.example.com"}
	c.Clients[0].SignUp = true
	s := start(t, c)
	s.user("alice", mailbox)
	const evil = "Origin: https://evil.example"
	right := form("grant_type", "password", "client_id", "legacy", "client_secret", secret, "username", "alice", "password", password)
	for _, path := range []string{
		"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect", "/otp/send", "/userinfo", "/signup", "/change_user_password", "/reset_user_password",
		"/api/v1/oauth2/token", "/oauth2/authorize", "/logout",
		"/portal/login", "/portal/code", "/portal/reset", "/portal/signup", "/portal/account/password",
	} {
		for range most {
			for _, body := range []string{"", "x=1", "%%%", "client_id=a&client_id=b", right, form("redirect_uri", "https://evil.example", "username", "alice")} {
				if a := s.send(http.MethodPost, path, body, "Sec-Fetch-Site: cross-site", evil); a.status == http.StatusOK || a.status == http.StatusTooManyRequests {
					t.Errorf("%s %q: %d %s", path, body, a.status, a.body)
				}
			}
			s.send(http.MethodPost, path, "x", "Sec-Fetch-Site: cross-site", evil, "Content-Type: text/plain")
		}
	}
	// The address has all of its tries, and an app of a registered origin asks as ever.
	for range most {
		want(t, s.token(form("grant_type", "client_credentials", "client_id", "robot", "client_secret", "wrong")), 401, invalidClient)
	}
	want(t, s.token(form("grant_type", "client_credentials", "client_id", "robot", "client_secret", "wrong")), 429, errorOf("temporarily_unavailable"))
	listed := s.send(http.MethodPost, "/oauth2/revoke", form("token", "x"), basic("second", secret), "Sec-Fetch-Site: cross-site", "Origin: https://shop.example.com")
	if listed.status != http.StatusOK {
		t.Errorf("a registered origin: %d %s", listed.status, listed.body)
	}
}

// TestGuessesByPatchAreLimited: one-time codes are guessed there too.
func TestGuessesByPatchAreLimited(t *testing.T) {
	s := start(t, tokenissuer.Config{FailuresPerAddress: 5, FailuresWindow: time.Hour})
	for range 5 {
		if a := s.json(http.MethodPatch, "/userinfo", "{}", bearer("x")); a.status != http.StatusUnauthorized {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	want(t, s.json(http.MethodPatch, "/userinfo", "{}", bearer("x")), http.StatusTooManyRequests, errorOf("temporarily_unavailable"))
}

// TestNoEventHoldsASecret is K04 for what the edge tells.
func TestNoEventHoldsASecret(t *testing.T) {
	s := start(t, clientsOnly())
	s.user("alice", "")
	a := s.good(signIn("spa", "alice"))
	s.good(refresh("spa", a.text(t, "refresh_token")))
	s.token(form("grant_type", "password", "client_id", "spa", "auth_source_id", "password", "username", "alice", "password", "a wrong password"))
	s.token(form("grant_type", "refresh_token", "client_id", "spa", "refresh_token", "not a refresh token"))
	s.token(form("grant_type", "not-a-known-grant", "client_id", "shop", "client_secret", secret))
	s.send(http.MethodGet, "/userinfo", "", "Authorization: Bearer "+a.text(t, "id_token"))
	s.lock.Lock()
	defer s.lock.Unlock()
	if len(s.events) != 6 {
		t.Fatalf("%d events of 6 requests", len(s.events))
	}
	for _, e := range s.events {
		text := strings.Join([]string{e.Endpoint, e.Grant, e.Client, e.Account, e.Scope, e.Error, e.Reason}, " ")
		if e.Cause != nil {
			text += e.Cause.Error()
		}
		for _, hidden := range []string{password, "a wrong password", "not a refresh token", "not-a-known-grant", secret, a.text(t, "access_token"), a.text(t, "id_token"), a.text(t, "refresh_token")} {
			if strings.Contains(text, hidden) {
				t.Errorf("event %q holds %q", text, hidden)
			}
		}
	}
}

// TestRefusalsSayWho: an operator has to see which account is being guessed at.
func TestRefusalsSayWho(t *testing.T) {
	s := start(t, clientsOnly())
	u := s.user("alice", "")
	a := s.good(signIn("spa", "alice"))
	s.token(form("grant_type", "password", "client_id", "spa", "auth_source_id", "password", "username", "alice", "password", "wrong"))
	s.send(http.MethodPost, "/oauth2/revoke", form("client_id", "spa", "token", a.text(t, "refresh_token")))
	s.token(refresh("spa", a.text(t, "refresh_token")))
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, e := range s.events {
		if e.Account != u.ID || e.Client != "spa" {
			t.Errorf("%s %s is about account %q of client %q", e.Endpoint, e.Reason, e.Account, e.Client)
		}
	}
}

// TestGuessesAtThePagesAreLimited: the answer of a form that is not taken is a
// redirect, and counts as the page that it leads to.
func TestGuessesAtThePagesAreLimited(t *testing.T) {
	const most = 3
	c := authorizing()
	c.FailuresPerAddress, c.FailuresWindow = most, time.Hour
	s := start(t, c)
	s.user("alice", "")
	b := s.browser()
	page := b.follow(b.get(authorizePath("shop")))
	for range most {
		if a := b.submit(page, "username", "nobody", "password", "wrong"); a.status != http.StatusBadRequest || !strings.Contains(a.body, "not right") {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := b.submit(page, "username", "alice", "password", password); a.status != http.StatusTooManyRequests {
		t.Errorf("%d %s", a.status, a.header.Get("Location"))
	}
}
