package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

const forwardSites = `
http://app.example.com {
	token_issuer
	handle_path /signed/* {
		token_gate {
			forward signed https://orders.internal
		}
		reverse_proxy unix/$DIR/backend
	}
	handle_path /token/* {
		token_gate {
			forward token
		}
		reverse_proxy unix/$DIR/backend
	}
	handle_path /both/* {
		token_gate {
			forward token
		}
		token_gate {
			scope orders:read
		}
		reverse_proxy unix/$DIR/backend
	}
}`

func TestBackendVerifiesASignedTokenWithTheIssuersKeys(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, forwardSites)
	access := w.token()
	seen := w.get("/signed/", "Authorization: Bearer "+access).seen(t)
	raw, _ := strings.CutPrefix(seen.Get("Authorization"), "Bearer ")
	if raw == access || raw == "" {
		t.Fatalf("the backend got %q", seen.Get("Authorization"))
	}
	keys, err := jwk.ParseString(w.get("/oauth2/jwks").body)
	if err != nil {
		t.Fatal(err)
	}
	who, err := jwt.ParseString(raw, jwt.WithKeySet(keys), jwt.WithIssuer("https://auth.example.com"), jwt.WithAudience("https://orders.internal"))
	if err != nil {
		t.Fatal(err)
	}
	if life := who.Expiration().Sub(who.IssuedAt()); life != time.Minute || time.Until(who.Expiration()) > time.Minute {
		t.Errorf("good for %v", life)
	}
	for name, want := range map[string]any{"sub": "shop", "azp": "shop", "client_id": "shop", "scope": "orders:read", "subject_issuer": "https://auth.example.com"} {
		if got, _ := who.Get(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if again := w.get("/signed/", "Authorization: Bearer "+access).seen(t).Get("Authorization"); again != "Bearer "+raw {
		t.Error("signed anew for the next request")
	}
	w.opensNothing(raw)
}

// opensNothing shows a token to everything that takes one.
func (w *world) opensNothing(raw string) {
	w.Helper()
	for _, path := range []string{"/signed/", "/token/", "/userinfo"} {
		if a := w.get(path, "Authorization: Bearer "+raw); a.status != http.StatusUnauthorized {
			w.Errorf("%s with the backend's token: %v", path, a)
		}
	}
	secret := url.Values{"token": {raw}, "client_id": {"shop"}, "client_secret": {shopSecret}}
	if a := w.post("/oauth2/introspect", secret); !strings.Contains(a.body, `"active":false`) {
		w.Errorf("introspected: %v", a)
	}
}

func TestForwardTokenLetsTheCallersThrough(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, forwardSites)
	access := w.token()
	if got := w.get("/token/", "Authorization: bearer "+access).seen(t)["Authorization"]; len(got) != 1 || got[0] != "Bearer "+access {
		t.Errorf("the backend got %q", got)
	}
	// Of several gates the innermost decides.
	if got := w.get("/both/", "Authorization: Bearer "+access).seen(t)["Authorization"]; got != nil {
		t.Errorf("behind a gate that forwards nothing the backend got %q", got)
	}
}
