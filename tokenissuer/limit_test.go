package tokenissuer_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
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
