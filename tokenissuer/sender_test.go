package tokenissuer_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

func TestClientWithAPrivateAuthorityIsTold(t *testing.T) {
	t.Parallel()
	told := listen(t)
	private := httptest.NewTLSServer(told.Config.Handler)
	t.Cleanup(private.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: private.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	list := authorizing().Clients
	for n := range list {
		if list[n].ID == "shop" {
			list[n].BackchannelLogoutURI, list[n].BackchannelLogoutCAFile = private.URL, file
		}
	}
	s := start(t, tokenissuer.Config{Clients: list})
	s.user("alice", "")
	b := s.browser()
	code := b.signedIn(authorizePath("shop"), "alice").Get("code")
	s.good(form("client_id", "shop", "grant_type", "authorization_code", "code", code, "redirect_uri", callback, "client_secret", secret))
	b.get("/logout?" + form("client_id", "shop"))
	if raw := told.next(t); !strings.Contains(raw, ".") {
		t.Errorf("not a token: %s", raw)
	}
}

func TestAuthorityOfAClientThatCannotBeRead(t *testing.T) {
	t.Parallel()
	list := authorizing().Clients
	list[0].BackchannelLogoutURI, list[0].BackchannelLogoutCAFile = "https://shop.example.com/bye", "/no/such.pem"
	s := start(t, authorizing())
	config := tokenissuer.Config{Issuer: "https://auth.example.com", Clients: list}
	if _, err := tokenissuer.New(config, s.state); err == nil || !strings.Contains(err.Error(), "client "+list[0].ID+": backchannel_logout_ca_file: CA file: open /no/such.pem") {
		t.Errorf("%v", err)
	}
}
