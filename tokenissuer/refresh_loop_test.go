package tokenissuer_test

import (
	"database/sql"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// rows counts what a store holds.
func rows(t *testing.T, path, table string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A loop leaves three refresh tokens, and whoever comes with an old one is still
// recognised, at each endpoint that takes one.
func TestOldSpentTokenIsKnownWithoutARow(t *testing.T) {
	t.Parallel()
	for name, present := range map[string]func(s *server, old string){
		"refresh": func(s *server, old string) {
			s.check(s.t, "/oauth2/token", row{form: refresh("spa", old), status: 400, body: invalidGrant})
		},
		"revoke": func(s *server, old string) {
			if a := s.send(http.MethodPost, "/oauth2/revoke", form("client_id", "spa", "token", old)); a.status != http.StatusOK {
				s.t.Error(a)
			}
		},
	} {
		for _, old := range []int{0, 1, 2, 19} {
			path := filepath.Join(t.TempDir(), "issuer.db")
			s := startAt(t, path, clientsOnly())
			s.user("alice", "")
			all := []string{s.good(signIn("spa", "alice")).text(t, "refresh_token")}
			var last answer
			for n := range 20 {
				last = s.good(refresh("spa", all[n]))
				all = append(all, last.text(t, "refresh_token"))
			}
			if n := rows(t, path, "refresh_tokens"); n != 3 {
				t.Errorf("%d rows of refresh tokens", n)
			}
			if again := s.good(refresh("spa", all[19])).text(t, "refresh_token"); again != all[20] {
				t.Error("a lost answer was answered with another successor")
			}
			if old == 19 {
				s.good(refresh("spa", all[20]))
			}
			present(s, all[old])
			s.check(t, "/oauth2/token", row{name: name, form: refresh("spa", all[20]), status: 400, body: invalidGrant})
			if got := s.send(http.MethodGet, "/userinfo", "", "Authorization: Bearer "+last.text(t, "access_token")); got.status != http.StatusUnauthorized {
				t.Errorf("%s of token %d: an access token of the dead family: %d", name, old, got.status)
			}
		}
	}
}

// A mark is believed only where this issuer made it: nobody ends the sign-in of
// somebody else.
func TestForgedMarkEndsNothing(t *testing.T) {
	t.Parallel()
	s := start(t, clientsOnly())
	s.user("alice", "")
	second := s.good(refresh("spa", s.good(signIn("spa", "alice")).text(t, "refresh_token"))).text(t, "refresh_token")
	for at := range second {
		forged := []byte(second)
		if forged[at] = 'A'; second[at] == 'A' {
			forged[at] = 'B'
		}
		s.check(t, "/oauth2/token", row{form: refresh("spa", string(forged)), status: 400, body: invalidGrant})
	}
	s.good(refresh("spa", second))
}

// A client that refreshes in a loop has a thousand living tokens, and then waits.
func TestAccessTokensOfASignInAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	s := startAt(t, path, tokenissuer.Config{SigningAlgorithm: "ES256"})
	s.user("alice", "")
	again := refresh("shop", s.good(signIn("shop", "alice")+"&client_secret="+secret).text(t, "refresh_token")) + "&client_secret=" + secret
	for range 999 {
		s.good(again)
	}
	a := s.token(again)
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || a.json(t)["error"] != "temporarily_unavailable" {
		t.Errorf("the thousand and first: %v", a)
	}
	if n := rows(t, path, "tokens"); n != 1000 {
		t.Errorf("%d access tokens", n)
	}
	s.good(signIn("shop", "alice") + "&client_secret=" + secret)
}
