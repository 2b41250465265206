package caddymodule

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token/openssl"
)

// A build without the tag says so where the configuration is loaded or validated,
// and a running one goes on.
func TestCryptoThatIsNotThereIsRefusedWithItsLine(t *testing.T) {
	if (tokenissuer.Config{Crypto: "openssl"}).CheckCrypto() == nil {
		t.Skip("this build has OpenSSL")
	}
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, oneSite)
	t.Setenv("CRYPTO", "openssl")
	for _, word := range []string{"openssl", "{env.CRYPTO}"} {
		asked := strings.Replace(oneIssuer, "signing_algorithm ES256", "crypto "+word, 1)
		text := w.caddyfile(asked, oneSite)
		var config caddy.Config
		if err := caddy.StrictUnmarshalJSON(text, &config); err != nil {
			t.Fatal(err)
		}
		for doing, err := range map[string]error{"validate": caddy.Validate(&config), "reload": caddy.Load(text, true)} {
			if err == nil {
				t.Fatalf("%s: crypto %s: accepted", doing, word)
			}
			for _, want := range []string{"token_issuer: crypto: ", "the tag openssl", "make build-openssl", "or write `crypto go`", "at Caddyfile:16"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: crypto %s: %q is not in: %v", doing, word, want, err)
				}
			}
		}
	}
	if a := w.get("/", "Authorization: Bearer "+w.token()); a.status != http.StatusOK {
		t.Errorf("the configuration that ran before: %v", a)
	}
}

// Whoever computes, a token of before the change opens the gate after it, and the
// keys that OpenSSL had are gone when it is not asked any more.
func TestCryptoChangesUnderRequests(t *testing.T) {
	if err := (tokenissuer.Config{Crypto: "openssl"}).CheckCrypto(); err != nil {
		t.Skip(err)
	}
	w := newWorld(t)
	w.backend(nil)
	inGo := strings.Replace(oneIssuer, "signing_algorithm ES256", "signing_algorithm RS256", 1)
	inOpenSSL := strings.Replace(oneIssuer, "signing_algorithm ES256", "crypto openssl", 1)
	w.load(inOpenSSL, oneSite)
	if a := w.get("/", "Authorization: Bearer "+w.token()); a.status != http.StatusOK {
		t.Errorf("a token that OpenSSL signed, to OpenSSL: %v", a)
	}
	before := theState(t)
	w.underRequests(func() {
		for range 10 {
			w.load(inOpenSSL, oneSite)
			w.load(inGo, oneSite)
		}
		w.load(inOpenSSL, oneSite)
	})
	if theState(t) != before {
		t.Error("the state was opened anew")
	}
	if openssl.Held() == 0 {
		t.Error("OpenSSL holds no key although it signs")
	}
	bearer := "Authorization: Bearer " + w.token()
	w.load(inGo, oneSite)
	if a := w.get("/", bearer); a.status != http.StatusOK {
		t.Errorf("a token that OpenSSL signed, to Go: %v", a)
	}
	// The gate remembers all these tokens, and no key of the library's with them.
	for end := time.Now().Add(far); openssl.Held() > 0; runtime.GC() {
		if time.Now().After(end) {
			t.Fatalf("OpenSSL still holds %d objects", openssl.Held())
		}
	}
}
