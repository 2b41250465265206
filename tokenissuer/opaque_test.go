package tokenissuer_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// TestOpaqueTokenSaysWhatAJWTSays: what operators wrote is at the gate and in
// introspection whatever the form of the token, what people wrote in neither.
func TestOpaqueTokenSaysWhatAJWTSays(t *testing.T) {
	app := func(id, form string) tokenissuer.Client {
		return tokenissuer.Client{
			ID: id, Type: "web", Secrets: []string{secret}, Grants: []string{"password", "refresh_token"}, Scopes: []string{"openid"}, AccessToken: form,
			Claims: []string{"role", "address", "team", "email"},
		}
	}
	s := start(t, tokenissuer.Config{
		Attributes: []string{"team"}, OperatorAttributes: []string{"role", "address", "level"},
		Clients: []tokenissuer.Client{app("jwt", "jwt"), app("modern", "at+jwt"), app("opaque", "opaque")},
	})
	s.user("alice", "alice@example.com")
	set := func(role string) {
		t.Helper()
		if err := s.issuer.SetUserAttributes(t.Context(), "alice", map[string]string{"role": role, "address": "1 Road", "level": "9", "team": "red"}); err != nil {
			t.Fatal(err)
		}
	}
	atGate := func(client, raw string) map[string]any {
		t.Helper()
		var c *token.Claims
		var err error
		if client == "opaque" {
			c, err = s.issuer.Opaque(t.Context(), token.Sum(raw))
		} else {
			_, text := decoded(t, raw)
			return answer{body: text}.json(t)
		}
		if err != nil {
			t.Fatal(err)
		}
		return c.All
	}
	told := map[string]any{"role": "admin", "address": map[string]any{"formatted": "1 Road"}}
	set("admin")
	for _, client := range []string{"jwt", "modern", "opaque"} {
		signedIn := s.good(signIn(client, "alice") + "&client_secret=" + secret)
		raw := signedIn.text(t, "access_token")
		introspected := func(raw string) map[string]any {
			return s.send(http.MethodPost, "/oauth2/introspect", form("token", raw), basic(client, secret)).json(t)
		}
		for place, claims := range map[string]map[string]any{"the gate": atGate(client, raw), "introspection": introspected(raw)} {
			for name, want := range map[string]any{"role": told["role"], "address": told["address"], "level": nil, "team": nil, "email": nil} {
				if !reflect.DeepEqual(claims[name], want) {
					t.Errorf("%s, %s at %s: %v, want %v", client, name, place, claims[name], want)
				}
			}
		}
		set("guest")
		if got := introspected(raw); got["active"] != false || got["role"] != nil {
			t.Errorf("%s: a role that was taken away: %v", client, got)
		}
		next := s.good(refresh(client, signedIn.text(t, "refresh_token"))+"&client_secret="+secret).text(t, "access_token")
		if got := atGate(client, next)["role"]; got != "guest" {
			t.Errorf("%s: after a refresh %v", client, got)
		}
		set("admin")
	}
}
