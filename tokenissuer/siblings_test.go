package tokenissuer_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// siblings is authorizing with what the rows of the neighbouring pages need.
func siblings() tokenissuer.Config {
	c := authorizing()
	legacy := slices.IndexFunc(c.Clients, func(r tokenissuer.Client) bool { return r.ID == "legacy" })
	c.Clients[legacy].Grants = append(c.Clients[legacy].Grants, "password")
	c.Clients[legacy].LogoutRedirectURIs = []string{bye}
	native := tokenissuer.Client{
		ID: "native", Type: "mobile", Dialect: "oauth", Secrets: []string{secret}, Grants: []string{"authorization_code", "refresh_token"},
		Scopes: []string{"openid", "profile"}, RedirectURIs: []string{callback}, FirstParty: true,
	}
	server := native
	server.ID, server.Type = "server", "web"
	second := c.Clients[legacy]
	second.ID, second.RedirectURIs = "second", []string{callback}
	c.Clients = append(c.Clients, native, server, second)
	return c
}

func pkce() []string { return []string{"code_challenge", challenge(), "code_challenge_method", "S256"} }

// TestSiblingsOfTheFirstAPI are rows of sections 2.1.2, 2.1.3 and 2.1.8.
func TestSiblingsOfTheFirstAPI(t *testing.T) {
	s := start(t, siblings())
	s.user("alice", "")
	b := s.browser()
	t.Run("2.1.2 not logged in", func(t *testing.T) {
		a := b.get(authorizePath("shop"))
		if to := a.header.Get("Location"); a.status != http.StatusFound || !strings.HasPrefix(to, "https://auth.example.com/portal/login?p_state=") {
			t.Errorf("%d %s", a.status, to)
		}
	})
	for _, how := range []spelling{inForm, inJSON} {
		t.Run("2.1.3 success, "+how.name, func(t *testing.T) {
			code := b.signedIn(authorizePath("spa", pkce()...), "alice").Get("code")
			a := how.send(s, "/oauth2/token", "spa", "", []string{"grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier})
			if a.status != http.StatusOK {
				t.Fatalf("%d %s", a.status, a.body)
			}
			described(t, a, false)
			personal.compare(t, "spa", a)
		})
	}
	t.Run("2.1.8 revoked", func(t *testing.T) {
		token := s.good(signIn("spa", "alice")).text(t, "access_token")
		s.send(http.MethodPost, "/oauth2/revoke", form("client_id", "spa", "token", token))
		a := s.send(http.MethodGet, "/userinfo", "", bearer(token))
		if got := a.header.Get("WWW-Authenticate"); a.status != 401 || a.body != "" ||
			got != `Bearer error="invalid_token", error_description="Error decoding JWT", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"` {
			t.Errorf("%d %s %s", a.status, got, a.body)
		}
	})
}

// TestSiblingsOfTheSecondAPI are rows of sections 2.2.2, 4.4 and 4.5.
func TestSiblingsOfTheSecondAPI(t *testing.T) {
	s := start(t, siblings())
	u, err := s.issuer.AddUser(t.Context(), tokenissuer.NewUser{Username: "alice", Email: mailbox, PhoneNumber: number, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	code := func(scope string) string {
		return b.signedIn(strings.Replace(authorizePath("legacy"), "scope=openid", "scope="+scope, 1), "alice").Get("code")
	}
	redeem := func(client, code string, more ...string) answer {
		return s.send(http.MethodPost, idaasToken, form(append([]string{"grant_type", "authorization_code", "code", code}, more...)...), raw(client, secret))
	}
	for scope, members := range map[string]string{
		"get_user_info": "access_token token_type refresh_token expires_in scope",
		"openid":        "access_token token_type refresh_token expires_in scope id_token",
	} {
		t.Run("code for "+scope, func(t *testing.T) {
			a := redeem("legacy", code(scope), "redirect_uri", callback)
			if a.status != http.StatusOK || keys(t, a.body) != members {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if m := a.json(t); m["token_type"] != "Bearer" || m["expires_in"] != 7199.0 || m["scope"] != scope {
				t.Errorf("%v", m)
			}
		})
	}
	used := code("get_user_info")
	first := redeem("legacy", used, "redirect_uri", callback)
	if first.status != http.StatusOK {
		t.Fatalf("%d %s", first.status, first.body)
	}
	gone, badCode, badToken := errorOf("invalid_grant", "Invalid refresh token"), errorOf("invalid_grant", "Invalid authorization code"), first.text(t, "refresh_token")
	for name, c := range map[string]struct {
		a    answer
		body string
	}{
		"code of another client": {redeem("second", code("openid"), "redirect_uri", callback), badCode},
		"code with a verifier":   {redeem("legacy", code("openid"), "redirect_uri", callback, "code_verifier", verifier), badCode},
		"code used":              {redeem("legacy", used, "redirect_uri", callback), badCode},
		"refresh token of a code used twice": {
			s.send(http.MethodPost, idaasToken, form("grant_type", "refresh_token", "refresh_token", badToken), raw("legacy", secret)), gone,
		},
		"refresh token of another client": {
			s.send(http.MethodPost, idaasToken, form("grant_type", "refresh_token", "refresh_token", redeem("legacy", code("openid"), "redirect_uri", callback).text(t, "refresh_token")), raw("second", secret)), gone,
		},
		"grant that is not enabled": {s.send(http.MethodPost, idaasToken, form("grant_type", "client_credentials"), raw("legacy", secret)), errorOf("unauthorized_client", "Unauthorized grant type")},
	} {
		t.Run(name, func(t *testing.T) { want(t, c.a, http.StatusBadRequest, c.body) })
	}
	t.Run("4.5 userinfo", func(t *testing.T) {
		token := redeem("legacy", code("get_user_info"), "redirect_uri", callback).text(t, "access_token")
		a := s.send(http.MethodGet, "/api/v1/oauth2/userinfo", "", bearer(token))
		if a.status != http.StatusOK || a.body != `{"id":"`+u.ID+`","userName":"alice","mobile":"+86-13612345678","email":"ann@example.com"}` {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
	t.Run("4.5 logout to a registered address, and without one", func(t *testing.T) {
		b.get("/api/v1/logout?"+form("redirect_url", bye)).goesTo(t, bye)
		b.get("/api/v1/logout").goesTo(t, "https://auth.example.com/portal/")
	})
	t.Run("GET", func(t *testing.T) {
		if a := s.send(http.MethodGet, idaasToken, ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
			t.Errorf("%d %v", a.status, a.header)
		}
	})
}

// TestCodesOfTheRFCs are the rows of section 4.6 that concern codes.
func TestCodesOfTheRFCs(t *testing.T) {
	s := start(t, siblings())
	s.user("alice", "")
	b := s.browser()
	back := func(path string) url.Values { return b.signedIn(path, "alice") }
	redeem := func(client, code string, more ...string) string {
		pairs := append([]string{"client_id", client, "grant_type", "authorization_code", "code", code}, more...)
		if client != "modern" {
			pairs = append(pairs, "client_secret", secret)
		}
		return form(pairs...)
	}
	with := []string{"redirect_uri", callback, "code_verifier", verifier}
	for _, client := range []string{"modern", "native", "server"} {
		code := func() string { return back(authorizePath(client, pkce()...)).Get("code") }
		used := code()
		s.good(redeem(client, used, with...))
		other := map[string]string{"modern": "server", "native": "modern", "server": "native"}[client]
		for name, body := range map[string]string{
			"unknown":               redeem(client, "x", with...),
			"used":                  redeem(client, used, with...),
			"of another client":     redeem(other, code(), with...),
			"redirect_uri differs":  redeem(client, code(), "redirect_uri", callback+"/", "code_verifier", verifier),
			"redirect_uri missing":  redeem(client, code(), "code_verifier", verifier),
			"another code_verifier": redeem(client, code(), "redirect_uri", callback, "code_verifier", strings.Repeat("a", 43)),
		} {
			t.Run(client+": "+name, func(t *testing.T) { s.check(t, "/oauth2/token", row{form: body, status: 400, body: invalidGrant}) })
		}
	}
	t.Run("no redirect_uri where the request had none", func(t *testing.T) {
		path := strings.Replace(authorizePath("server"), "&"+form("redirect_uri", callback), "", 1)
		s.good(redeem("server", back(path).Get("code")))
		s.good(redeem("server", back(path).Get("code"), "redirect_uri", callback))
		s.check(t, "/oauth2/token", row{form: redeem("server", back(path).Get("code"), "redirect_uri", bye), status: 400, body: invalidGrant})
	})
	t.Run("iss in the answer", func(t *testing.T) {
		if got := back(authorizePath("server")).Get("iss"); got != "https://auth.example.com" {
			t.Errorf("%q", got)
		}
	})
	const about = "&error_uri=https://datatracker.ietf.org/doc/html/"
	for name, c := range map[string]struct{ path, want string }{
		"response_type missing":           {strings.Replace(authorizePath("server"), "response_type=code&", "", 1), "?error=invalid_request&error_description=OAuth%202.0%20Parameter:%20response_type" + about + "rfc6749%23section-4.1.2.1&state=xyz&iss=https://auth.example.com"},
		"spa without code_challenge":      {authorizePath("modern"), "?error=invalid_request&error_description=OAuth%202.0%20Parameter:%20code_challenge" + about + "rfc7636%23section-4.4.1&state=xyz&iss=https://auth.example.com"},
		"mobile with a secret without it": {authorizePath("native"), "?error=invalid_request&error_description=OAuth%202.0%20Parameter:%20code_challenge" + about + "rfc7636%23section-4.4.1&state=xyz&iss=https://auth.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := b.get(c.path); a.status != http.StatusFound || a.header.Get("Location") != callback+c.want {
				t.Errorf("%d %s", a.status, a.header.Get("Location"))
			}
		})
	}
}
