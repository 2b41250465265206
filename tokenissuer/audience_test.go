package tokenissuer_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

const api = "https://api.example.com"

// machines are clients of every dialect, with an audience and without.
func machines() tokenissuer.Config {
	machine := func(id, dialect string, audiences ...string) tokenissuer.Client {
		return tokenissuer.Client{
			ID: id, Type: "m2m", Dialect: dialect, Secrets: []string{secret}, Grants: []string{"client_credentials"}, Scopes: []string{"orders:read"}, Audiences: audiences,
		}
	}
	return tokenissuer.Config{Clients: []tokenissuer.Client{
		machine("plain", ""), machine("caller", "", api, "billing"), machine("modern", "oauth", api), machine("legacy", "idaas", api), machine("bare", "idaas"),
	}}
}

func tokenPath(client string) string {
	if client == "legacy" || client == "bare" {
		return idaasToken
	}
	return "/oauth2/token"
}

// TestTokenForAnAudience is the row of section 4.4, and what the other dialects
// make of it.
func TestTokenForAnAudience(t *testing.T) {
	s := start(t, machines())
	ask := func(client, audience string) answer {
		return s.send(http.MethodPost, tokenPath(client), form("grant_type", "client_credentials", "audience", audience), basic(client, secret))
	}
	for _, c := range []struct{ client, audience, got, clientID string }{
		{"caller", "", "caller", ""},
		{"caller", "caller", "caller", ""},
		{"caller", api, api, "caller"},
		{"caller", "billing", "billing", "caller"},
		{"modern", api, api, "modern"},
		{"legacy", api, api, "legacy"},
		{"plain", api, "plain", ""}, // no parameter of the documents, and the client has none
	} {
		t.Run(c.client+" for "+c.audience, func(t *testing.T) {
			a := ask(c.client, c.audience)
			if a.status != http.StatusOK {
				t.Fatalf("%d %s", a.status, a.body)
			}
			token := a.text(t, "access_token")
			active := s.send(http.MethodPost, "/oauth2/introspect", form("token", token), basic("caller", secret))
			if c.client == "caller" && (active.json(t)["client_id"] != "caller" || !strings.Contains(active.body, `"aud":["`+c.got+`"]`)) {
				t.Errorf("introspection: %s", active.body)
			}
			if uuidForm.MatchString(token) {
				return
			}
			_, claims := decoded(t, token)
			if !strings.Contains(claims, `"aud":"`+c.got+`"`) || !strings.Contains(claims, `"sub":"`+c.client+`"`) || strings.Contains(claims, "client_id") != (c.clientID != "") {
				t.Errorf("claims: %s", claims)
			}
		})
	}
	for _, r := range []struct {
		client, audience string
		status           int
		body             string
	}{
		{"legacy", "https://other.example", 400, said("access_denied", "Service not enabled within https://other.example")},
		{"bare", api, 400, said("access_denied", "Service not enabled within "+api)},
		{"legacy", `a"b\c<é>` + "\t", 400, said("access_denied", "Service not enabled within abc<>")},
		{"legacy", api + " billing", 400, said("access_denied", "Service not enabled within "+api+" billing")},
		{"legacy", strings.Repeat("x", 5000), 400, said("access_denied", "Service not enabled within "+strings.Repeat("x", 200))},
		{"modern", "https://other.example", 400, said("invalid_target")},
		{"caller", "modern", 400, said("invalid_target")},
	} {
		t.Run(r.client+" is refused", func(t *testing.T) {
			body := strings.ReplaceAll(r.body, "<>", `\u003c\u003e`)
			if a := ask(r.client, r.audience); a.status != r.status || a.body != body {
				t.Errorf("%d %s, want %d %s", a.status, a.body, r.status, body)
			}
		})
	}
	t.Run("its client revokes it", func(t *testing.T) {
		token := ask("caller", api).text(t, "access_token")
		inspect := func() any {
			return s.send(http.MethodPost, "/oauth2/introspect", form("token", token), basic("caller", secret)).json(t)["active"]
		}
		if inspect() != true {
			t.Fatal("not active")
		}
		if a := s.send(http.MethodPost, "/oauth2/revoke", form("token", token), basic("caller", secret)); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if inspect() != false {
			t.Error("active")
		}
	})
}

// A token for another client would pass wherever that one's do.
func TestAudienceIsNoClient(t *testing.T) {
	c := machines()
	c.Issuer = "https://auth.example.com"
	c.Clients[1].Audiences = []string{"plain"}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "client caller: audience: plain is a client") {
		t.Error(err)
	}
}
