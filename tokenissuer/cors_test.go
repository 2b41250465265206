package tokenissuer_test

import (
	"net/http"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

func TestScriptsOfRegisteredOriginsReadAnswers(t *testing.T) {
	list := clients()
	list[2].CORSOrigins = []string{"https://spa.example.com"}
	s := start(t, tokenissuer.Config{Clients: list})
	const app = "Origin: https://spa.example.com"
	pre := s.send(http.MethodOptions, "/oauth2/token", "", app, "Access-Control-Request-Method: POST")
	if pre.status != http.StatusNoContent || pre.header.Get("Access-Control-Allow-Origin") != "https://spa.example.com" || pre.header.Get("Access-Control-Allow-Methods") != "POST" {
		t.Errorf("preflight: %d %v", pre.status, pre.header)
	}
	pre = s.send(http.MethodOptions, "/userinfo", "", app, "Access-Control-Request-Method: PATCH")
	if pre.status != http.StatusNoContent || pre.header.Get("Access-Control-Allow-Methods") != "GET, HEAD, POST, PATCH" {
		t.Errorf("preflight of PATCH: %d %v", pre.status, pre.header)
	}
	pre = s.send(http.MethodOptions, "/change_user_password", "", app, "Access-Control-Request-Method: POST")
	if pre.status != http.StatusNoContent || pre.header.Get("Access-Control-Allow-Methods") != "POST" {
		t.Errorf("preflight of a change of password: %d %v", pre.status, pre.header)
	}
	for _, path := range []string{"/oauth2/jwks", "/.well-known/openid-configuration", "/userinfo"} {
		a := s.send(http.MethodGet, path, "", app)
		if got := a.header.Get("Access-Control-Allow-Origin"); got != "https://spa.example.com" {
			t.Errorf("%s: %q", path, got)
		}
		if a.header.Get("Access-Control-Allow-Credentials") != "" || a.header.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", path, a.header)
		}
		// What a cache keeps of an answer to nobody's script is no answer to a script.
		a = s.send(http.MethodGet, path, "")
		if a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Vary") != "Origin" {
			t.Errorf("%s, without an origin: %v", path, a.header)
		}
	}
	t.Run("C28: no other origin", func(t *testing.T) {
		for _, origin := range []string{"https://evil.example", "https://spa.example.com.evil.example", "http://spa.example.com", "null", "https://SPA.example.com"} {
			a := s.send(http.MethodOptions, "/oauth2/token", "", "Origin: "+origin, "Access-Control-Request-Method: POST")
			if a.status != http.StatusMethodNotAllowed || a.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %d %v", origin, a.status, a.header)
			}
		}
	})
	t.Run("not where a script has no business", func(t *testing.T) {
		if a := s.send(http.MethodPost, "/oauth2/introspect", "token=x", app); a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v", a.header)
		}
	})
}
