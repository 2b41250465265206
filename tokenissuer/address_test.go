package tokenissuer_test

import (
	"net/http"
	"strings"
	"testing"
)

// The standard scope `address` tells the attribute of this name in the standard's
// form, and to nobody who did not ask for it.
func TestAddressIsToldToWhoHasItsScope(t *testing.T) {
	config := authorizing()
	config.Attributes = []string{"address"}
	for n := range config.Clients {
		if config.Clients[n].ID == "shop" {
			config.Clients[n].Scopes = append(config.Clients[n].Scopes, "address")
		}
	}
	s := start(t, config)
	s.user("alice", "")
	if err := s.issuer.SetUserAttributes(t.Context(), "alice", map[string]string{"address": "1 Main Street, Springfield"}); err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	for scope, told := range map[string]bool{"openid address": true, "openid": false} {
		code := b.signedIn("/oauth2/authorize?"+form("response_type", "code", "client_id", "shop", "redirect_uri", callback, "scope", scope), "alice").Get("code")
		a := s.good(form("grant_type", "authorization_code", "client_id", "shop", "client_secret", secret, "code", code, "redirect_uri", callback))
		info := s.send(http.MethodGet, "/userinfo", "", "Authorization: Bearer "+a.text(t, "access_token"))
		if got := strings.Contains(info.body, `"address":{"formatted":"1 Main Street, Springfield"}`); info.status != 200 || got != told {
			t.Errorf("%s: %d %s", scope, info.status, info.body)
		}
	}
	if a := s.send(http.MethodGet, "/.well-known/openid-configuration", ""); !strings.Contains(a.body, `"address"`) {
		t.Errorf("not in the metadata: %s", a.body)
	}
	config.Issuer, config.Attributes = "https://auth.example.com", nil
	if err := config.Validate(); err == nil || !strings.Contains(err.Error(), "client shop: scopes: address tells nothing") {
		t.Errorf("a scope that nobody can fill: %v", err)
	}
	config.OperatorAttributes = []string{"address"}
	if err := config.Validate(); err != nil {
		t.Error(err)
	}
}
