package tokenissuer_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// open opens a state with a key-encryption key, as a start of the server does.
func open(t *testing.T, path, kek string) (*tokenissuer.State, error) {
	t.Helper()
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := tokenissuer.OpenState(t.Context(), st, tokenissuer.Config{}.KeyRules(kek), func(err error) { t.Error(err) })
	if err != nil {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		return nil, err
	}
	return s, nil
}

func TestKeysAreSealedWithTheKeyEncryptionKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	const one, other = "one key-encryption key of the operator", "another key-encryption key"
	for _, step := range []struct {
		name, kek, refusal string
	}{
		{"made in plain text", "", ""},
		{"sealed from now on", one, ""},
		{"opened again", one, ""},
		{"with another key", other, "this key_encryption_key does not open them"},
		{"without the key", "", "set key_encryption_key"},
		{"and still with the right one", one, ""},
	} {
		t.Run(step.name, func(t *testing.T) {
			s, err := open(t, path, step.kek)
			switch {
			case step.refusal == "" && err != nil:
				t.Fatal(err)
			case step.refusal != "" && (err == nil || !strings.Contains(err.Error(), step.refusal)):
				t.Fatalf("got %v, want %q", err, step.refusal)
			case err == nil:
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	keys, err := st.Keys(t.Context())
	if err != nil || len(keys) < 3 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for _, k := range keys {
		if !k.Sealed {
			t.Errorf("key %s is in plain text", k.ID)
		}
	}
}

func TestRotationAnnouncesTheNewKeyFirst(t *testing.T) {
	s := start(t, clientsOnly())
	if err := s.issuer.RotateKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.issuer.RotateKeys(t.Context()); !errors.Is(err, tokenissuer.ErrAnnounced) {
		t.Errorf("a second rotation while the first is under way: %v", err)
	}
	list := s.issuer.KeyList(time.Now())
	if len(list) != 2 || list[0].State != "signing" || list[1].State != "announced" {
		t.Fatalf("%+v", list)
	}
	jwks := s.send(http.MethodGet, "/oauth2/jwks", "").body
	a := s.good(form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret))
	header, _ := decoded(t, a.text(t, "access_token"))
	for _, k := range list {
		if !strings.Contains(jwks, k.ID) {
			t.Errorf("key %s (%s) is not published", k.ID, k.State)
		}
	}
	if !strings.Contains(header, list[0].ID) {
		t.Error("a key signed before others could know it")
	}
	if later := s.issuer.KeyList(time.Now().Add(time.Hour)); later[0].State != "retired" || later[1].State != "signing" {
		t.Errorf("an hour later: %+v", later)
	}
}

func TestAnotherAlgorithmTakesOverWithoutAGap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	s := startAt(t, path, clientsOnly())
	cc := form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret)
	old := s.good(cc).text(t, "access_token")
	s.stop()
	s = startAt(t, path, tokenissuer.Config{SigningAlgorithm: "ES256"})
	now := s.good(cc).text(t, "access_token")
	if header, _ := decoded(t, now); !strings.Contains(header, "RS256") {
		t.Errorf("the new key signs before it was announced: %s", header)
	}
	for _, token := range []string{old, now} {
		if got := s.send(http.MethodPost, "/oauth2/introspect", form("token", token), basic("shop", secret)).json(t)["active"]; got != true {
			t.Error("a token of the old algorithm is refused")
		}
	}
	if jwks := s.send(http.MethodGet, "/oauth2/jwks", "").body; !strings.Contains(jwks, `"ES256"`) || !strings.Contains(jwks, `"RS256"`) {
		t.Error(jwks)
	}
}

func TestEveryAlgorithmSigns(t *testing.T) {
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			s := start(t, tokenissuer.Config{SigningAlgorithm: alg})
			a := s.good(form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret))
			if header, _ := decoded(t, a.text(t, "access_token")); !strings.HasSuffix(header, `"alg":"`+alg+`"}`) {
				t.Error(header)
			}
			if got := s.send(http.MethodPost, "/oauth2/introspect", form("token", a.text(t, "access_token")), basic("shop", secret)).json(t)["active"]; got != true {
				t.Error("our own token is refused")
			}
		})
	}
}

func TestJWKSShape(t *testing.T) {
	s := start(t, clientsOnly())
	a := s.send(http.MethodGet, "/oauth2/jwks", "")
	if a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if got := keys(t, a.body); got != "keys" {
		t.Errorf("members: %s", got)
	}
	one := strings.TrimSuffix(strings.TrimPrefix(a.body, `{"keys":[`), `]}`)
	if got := keys(t, one); got != "kty e kid n use alg" {
		t.Errorf("members of a key: %s", got)
	}
	if strings.Contains(a.body, `"d"`) {
		t.Error("a private member is published")
	}
}

func TestDiscovery(t *testing.T) {
	s := start(t, clientsOnly())
	const want = `{"issuer":"https://auth.example.com","authorization_endpoint":"https://auth.example.com/oauth2/authorize",` +
		`"token_endpoint":"https://auth.example.com/oauth2/token","token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","none"],` +
		`"jwks_uri":"https://auth.example.com/oauth2/jwks","response_types_supported":["code"],` +
		`"grant_types_supported":["authorization_code","client_credentials","refresh_token","password"],"subject_types_supported":["public"],` +
		`"id_token_signing_alg_values_supported":["RS256"],"scopes_supported":["openid"],` +
		`"userinfo_endpoint":"https://auth.example.com/userinfo","revocation_endpoint":"https://auth.example.com/oauth2/revoke",` +
		`"revocation_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","none"],` +
		`"introspection_endpoint":"https://auth.example.com/oauth2/introspect","introspection_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"],` +
		`"code_challenge_methods_supported":["S256"]}`
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		a := s.send(http.MethodGet, path, "", "X-Forwarded-Host: evil.example")
		if a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.body != want {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}
