package tokenissuer_test

import (
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

func refresh(client, token string) string {
	return form("grant_type", "refresh_token", "client_id", client, "refresh_token", token)
}

func TestConfidentialClientKeepsItsRefreshToken(t *testing.T) {
	s := start(t, clientsOnly())
	s.user("alice", "")
	first := s.good(signIn("shop", "alice") + "&client_secret=" + secret)
	for range 3 {
		a := s.good(refresh("shop", first.text(t, "refresh_token")) + "&client_secret=" + secret)
		if got := keys(t, a.body); got != "access_token refresh_token scope id_token token_type expires_in" {
			t.Fatalf("members: %s", got)
		}
		if a.text(t, "refresh_token") != first.text(t, "refresh_token") {
			t.Fatal("the refresh token changed")
		}
		if a.text(t, "access_token") == first.text(t, "access_token") {
			t.Fatal("the access token is the old one")
		}
	}
}

func TestSpentTokenEarnsTheSameSuccessorInsideTheWindow(t *testing.T) {
	s := start(t, clientsOnly())
	s.user("alice", "")
	first := s.good(signIn("spa", "alice")).text(t, "refresh_token")
	second := s.good(refresh("spa", first)).text(t, "refresh_token")
	if second == first || len(second) != 128 {
		t.Fatalf("no rotation: %d characters", len(second))
	}
	if again := s.good(refresh("spa", first)).text(t, "refresh_token"); again != second {
		t.Fatal("a lost answer was answered with another successor")
	}
	third := s.good(refresh("spa", second)).text(t, "refresh_token")
	// The successor was spent: whoever sends the first one now is not the client
	// that lost an answer.
	s.check(t, "/oauth2/token", row{form: refresh("spa", first), status: 400, body: invalidGrant})
	s.check(t, "/oauth2/token", row{form: refresh("spa", third), status: 400, body: invalidGrant})
}

func TestReuseAfterTheWindowEndsTheFamily(t *testing.T) {
	s := start(t, tokenissuer.Config{RefreshWindow: tokenissuer.Never})
	s.user("alice", "")
	a := s.good(signIn("spa", "alice"))
	first := a.text(t, "refresh_token")
	b := s.good(refresh("spa", first))
	s.check(t, "/oauth2/token", row{form: refresh("spa", first), status: 400, body: invalidGrant})
	s.check(t, "/oauth2/token", row{form: refresh("spa", b.text(t, "refresh_token")), status: 400, body: invalidGrant})
	for _, t2 := range []answer{a, b} {
		if got := s.send(http.MethodGet, "/userinfo", "", "Authorization: Bearer "+t2.text(t, "access_token")); got.status != http.StatusUnauthorized {
			t.Errorf("an access token of the dead family: %d", got.status)
		}
	}
}

func TestRefreshRows(t *testing.T) {
	s := start(t, tokenissuer.Config{Clients: append(clients(),
		tokenissuer.Client{ID: "spa2", Type: "spa", Grants: []string{"password", "refresh_token"}, Scopes: []string{"openid"}})})
	s.user("alice", "")
	s.user("bob", "")
	a := s.good(signIn("spa", "alice"))
	for _, r := range []row{
		{name: "unknown", form: refresh("spa", "garbage"), status: 400, body: invalidGrant},
		{name: "20 kB of garbage", form: refresh("spa", string(make20k())), status: 400, body: invalidGrant},
		{name: "an access token (E07)", form: refresh("spa", a.text(t, "access_token")), status: 400, body: invalidGrant},
		{name: "an ID token (E07)", form: refresh("spa", a.text(t, "id_token")), status: 400, body: invalidGrant},
		{name: "of another client (E04)", form: refresh("spa2", a.text(t, "refresh_token")), status: 400, body: invalidGrant},
		{name: "wider scope (E04)", form: refresh("spa", a.text(t, "refresh_token")) + "&scope=openid+profile", status: 400, body: invalidScope},
	} {
		t.Run(r.name, func(t *testing.T) { s.check(t, "/oauth2/token", r) })
	}
	t.Run("none of that spent it", func(t *testing.T) { s.good(refresh("spa", a.text(t, "refresh_token"))) })
	t.Run("frozen account", func(t *testing.T) {
		b := s.good(signIn("spa", "bob"))
		if _, err := s.issuer.SetUserState(t.Context(), "bob", "frozen", ""); err != nil {
			t.Fatal(err)
		}
		s.check(t, "/oauth2/token", row{form: refresh("spa", b.text(t, "refresh_token")), status: 400, body: invalidGrant})
	})
}

func make20k() []byte {
	b := make([]byte, 20_000)
	for n := range b {
		b[n] = 'a'
	}
	return b
}

// TestParallelUsesOfOneToken is E02: at most one living chain, whatever the
// race.
func TestParallelUsesOfOneToken(t *testing.T) {
	s := start(t, clientsOnly())
	s.user("alice", "")
	const rounds, uses = 100, 8
	current := s.good(signIn("spa", "alice")).text(t, "refresh_token")
	for range rounds {
		got := make([]string, uses)
		var all sync.WaitGroup
		for n := range uses {
			all.Go(func() {
				if a := s.token(refresh("spa", current)); a.status == http.StatusOK {
					got[n] = a.text(t, "refresh_token")
				} else {
					t.Errorf("%d %s", a.status, a.body)
				}
			})
		}
		all.Wait()
		for _, g := range got {
			if g != got[0] || g == current {
				t.Fatal("two successors of one token")
			}
		}
		current = got[0]
	}
}

func TestFamilyEndsAtSignInPlusLifetime(t *testing.T) {
	s := start(t, tokenissuer.Config{RefreshTokenLifetime: time.Minute})
	s.user("alice", "")
	a := s.good(signIn("shop", "alice") + "&client_secret=" + secret)
	i := s.send(http.MethodPost, "/oauth2/introspect", form("token", a.text(t, "refresh_token")), basic("shop", secret)).json(t)
	if i["active"] != true || i["exp"].(float64)-i["iat"].(float64) != 60 {
		t.Errorf("%v", i)
	}
}

func TestRestartKeepsTokensAndKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	s := startAt(t, path, clientsOnly())
	s.user("alice", "")
	a := s.good(signIn("spa", "alice"))
	b := s.good(refresh("spa", a.text(t, "refresh_token")))
	revoked := s.good(signIn("spa", "alice"))
	if r := s.send(http.MethodPost, "/oauth2/revoke", form("client_id", "spa", "token", revoked.text(t, "access_token"))); r.status != http.StatusOK {
		t.Fatal(r.status)
	}
	jwks := s.send(http.MethodGet, "/oauth2/jwks", "").body
	s.stop()

	s = startAt(t, path, clientsOnly())
	if got := s.send(http.MethodGet, "/oauth2/jwks", "").body; got != jwks {
		t.Error("the key set changed")
	}
	for name, want := range map[string]int{a.text(t, "access_token"): 200, b.text(t, "access_token"): 200, revoked.text(t, "access_token"): 401} {
		if got := s.send(http.MethodGet, "/userinfo", "", "Authorization: Bearer "+name); got.status != want {
			t.Errorf("after the restart %d, want %d", got.status, want)
		}
	}
	if again := s.good(refresh("spa", a.text(t, "refresh_token"))); again.text(t, "refresh_token") != b.text(t, "refresh_token") {
		t.Error("another successor after the restart")
	}
}
