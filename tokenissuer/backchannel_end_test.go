package tokenissuer_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// However a session ends, a client that got a sign-in in it is told, also where
// the sign-in itself was over before.
func TestEveryEndOfASessionIsTold(t *testing.T) {
	signOut := func(_ *testing.T, _ *server, b *browser) { b.get("/logout?" + form("client_id", "shop")) }
	by := func(end func(context.Context, *tokenissuer.Issuer) error) func(*testing.T, *server, *browser) {
		return func(t *testing.T, s *server, _ *browser) {
			if err := end(t.Context(), s.issuer); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name   string
		before func(s *server, code string, tokens answer)
		end    func(*testing.T, *server, *browser)
	}{
		{"sign-out", nil, signOut},
		{"after a code that came twice", func(s *server, code string, _ answer) { s.token(redeemShop(code)) }, signOut},
		{"after the client revoked its refresh token", func(s *server, _ string, tokens answer) {
			s.send("POST", "/oauth2/revoke", form("client_id", "shop", "client_secret", secret, "token", tokens.text(s.t, "refresh_token")))
		}, signOut},
		{"locked by the operator", nil, by(func(ctx context.Context, i *tokenissuer.Issuer) error {
			_, err := i.SetUserState(ctx, "alice", store.Locked, "")
			return err
		})},
		{"frozen by the operator", nil, by(func(ctx context.Context, i *tokenissuer.Issuer) error {
			_, err := i.SetUserState(ctx, "alice", store.Frozen, "")
			return err
		})},
		{"removed by the operator", nil, by(func(ctx context.Context, i *tokenissuer.Issuer) error { return i.RemoveUser(ctx, "alice") })},
		{"a password of the operator", nil, by(func(ctx context.Context, i *tokenissuer.Issuer) error {
			return i.SetUserPassword(ctx, "alice", "another long password")
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			told, config := listen(t), authorizing()
			config.Clients[0].BackchannelLogoutURI = told.URL
			s := start(t, config)
			s.user("alice", "")
			b := s.browser()
			code := b.signedIn(authorizePath("shop"), "alice").Get("code")
			tokens := s.good(redeemShop(code))
			if c.before != nil {
				c.before(s, code, tokens)
			}
			c.end(t, s, b)
			told.next(t)
		})
	}
}

func TestSessionRemembersItsClientsLongerThanTheirSignIns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	told, config := listen(t), authorizing()
	config.Clients[0].BackchannelLogoutURI = told.URL
	config.RefreshTokenLifetime = time.Hour
	s := startAt(t, path, config)
	s.user("alice", "")
	b := s.browser()
	tokens := s.good(redeemShop(b.signedIn(authorizePath("shop"), "alice").Get("code")))
	s.stop()
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Sweep(t.Context(), time.Now().Add(2*time.Hour), 1000); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	s = startAt(t, path, config)
	jar := b.Jar
	b = s.browser()
	b.Jar = jar
	if a := s.token(redeemed(tokens.text(t, "refresh_token"))); a.status != http.StatusBadRequest || !b.isSignedIn() {
		t.Fatalf("the sign-in is not over, or the session is: %d", a.status)
	}
	b.get("/logout?" + form("client_id", "shop"))
	told.next(t)
}

// A client whose sign-in goes on after the session is told of the session once,
// whatever ends the sign-in later.
func TestClientThatWorksOnIsToldOfItsSessionOnce(t *testing.T) {
	told, config := listen(t), authorizing()
	config.Clients[0].BackchannelLogoutURI, config.Clients[0].Logout = told.URL, "session"
	s := start(t, config)
	s.user("alice", "")
	b := s.browser()
	tokens := s.good(redeemShop(b.signedIn(authorizePath("shop"), "alice").Get("code")))
	b.get("/logout?" + form("client_id", "shop"))
	told.next(t)
	tokens = s.good(redeemed(tokens.text(t, "refresh_token"))) // it works on
	if payload, err := base64.RawURLEncoding.DecodeString(strings.Split(tokens.text(t, "id_token"), ".")[1]); err != nil || strings.Contains(string(payload), `"sid"`) {
		t.Errorf("of a session that is over: %s", payload)
	}
	again := s.browser()
	s.good(redeemShop(again.signedIn(authorizePath("shop"), "alice").Get("code")))
	if _, err := s.issuer.SetUserState(t.Context(), "alice", store.Locked, ""); err != nil {
		t.Fatal(err)
	}
	told.next(t) // of the second session
	if a := s.token(redeemed(tokens.text(t, "refresh_token"))); a.status != http.StatusBadRequest {
		t.Errorf("of a locked account: %d", a.status)
	}
	select {
	case <-told.got:
		t.Error("told again of the first")
	case <-time.After(time.Second): // notices are sent at once, in their order
	}
}
