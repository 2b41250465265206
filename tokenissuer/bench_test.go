package tokenissuer_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// benchIssuer is an issuer without a network in front of it.
func benchIssuer(b *testing.B, algorithm string) *tokenissuer.Issuer {
	b.Helper()
	config := tokenissuer.Config{Issuer: "https://auth.example.com", SigningAlgorithm: algorithm, Clients: clients()}
	st, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "issuer.db"))
	if err != nil {
		b.Fatal(err)
	}
	state, err := tokenissuer.OpenState(b.Context(), st, config.KeyRules(""), func(err error) { b.Error(err) })
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := state.Close(); err != nil {
			b.Error(err)
		}
	})
	i, err := tokenissuer.New(config, state)
	if err != nil {
		b.Fatal(err)
	}
	return i
}

func ask(b *testing.B, i *tokenissuer.Issuer, body string) []byte {
	b.Helper()
	r := httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		b.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// BenchmarkBareRSA is what one RS256 token costs at the least.
func BenchmarkBareRSA(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("token"))
	for b.Loop() {
		if _, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClientCredentials(b *testing.B) {
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			i := benchIssuer(b, alg)
			body := form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret)
			b.ReportAllocs()
			for b.Loop() {
				ask(b, i, body)
			}
		})
	}
}

func BenchmarkPassword(b *testing.B) {
	i := benchIssuer(b, "ES256")
	benchUser(b, i)
	for b.Loop() {
		ask(b, i, signIn("spa", "alice"))
	}
}

// BenchmarkRefresh is one durable write and two signatures.
func BenchmarkRefresh(b *testing.B) {
	for name, client := range map[string]string{"rotate": "spa", "reuse": "shop"} {
		b.Run(name, func(b *testing.B) {
			i := benchIssuer(b, "ES256")
			benchUser(b, i)
			suffix := ""
			if client == "shop" {
				suffix = "&client_secret=" + secret
			}
			var last struct {
				RefreshToken string `json:"refresh_token"`
			}
			body := ask(b, i, signIn(client, "alice")+suffix)
			b.ReportAllocs()
			for b.Loop() {
				if err := json.Unmarshal(body, &last); err != nil {
					b.Fatal(err)
				}
				body = ask(b, i, refresh(client, last.RefreshToken)+suffix)
			}
		})
	}
}

func benchUser(b *testing.B, i *tokenissuer.Issuer) {
	b.Helper()
	if _, err := i.AddUser(b.Context(), tokenissuer.NewUser{Username: "alice", Password: password}); err != nil {
		b.Fatal(err)
	}
}
