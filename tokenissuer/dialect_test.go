package tokenissuer_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// both is a configuration with clients of every dialect.
func both() tokenissuer.Config {
	return tokenissuer.Config{Clients: append(clients(),
		tokenissuer.Client{ID: "legacy", Type: "web", Dialect: "idaas", Secrets: []string{secret, "p@ss:w%rd+&="}, Grants: []string{"password", "client_credentials", "refresh_token"}, Scopes: []string{"openid", "get_user_info", "orders:read"}},
		tokenissuer.Client{ID: "modern", Type: "web", Dialect: "oauth", Secrets: []string{secret}, Grants: []string{"password", "client_credentials", "refresh_token"}, Scopes: []string{"openid", "profile", "orders:read"}},
	)}
}

func raw(id, pass string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+pass))
}

const idaasToken = "/api/v1/oauth2/token"

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// TestIdaasRows is section 4.4 for the grants without a browser.
func TestIdaasRows(t *testing.T) {
	s := start(t, both())
	for _, n := range []string{"alice", "frozen", "locked"} {
		s.user(n, "")
	}
	for _, n := range []string{"frozen", "locked"} {
		if _, err := s.issuer.SetUserState(t.Context(), n, store.AccountState(n), ""); err != nil {
			t.Fatal(err)
		}
	}
	const bad = `{"error":"invalid_client","error_description":"Bad client credentials"}`
	said := func(code, text string) string { return `{"error":"` + code + `","error_description":"` + text + `"}` }
	auth := []string{raw("legacy", secret)}
	sign := func(name, pass string) string {
		return form("grant_type", "password", "username", name, "password", pass)
	}
	for _, r := range []row{
		{name: "Basic wrong (seed 23)", form: sign("alice", password), headers: []string{raw("legacy", "wrong")}, status: 401, body: bad, basic: true},
		{name: "Basic unknown", form: sign("alice", password), headers: []string{raw("nobody", secret)}, status: 401, body: bad, basic: true},
		{name: "Basic malformed", form: sign("alice", password), headers: []string{"Authorization: Basic !!!"}, status: 401, body: bad, basic: true},
		{name: "Basic of the other API's client", form: sign("alice", password), headers: []string{raw("shop", secret)}, status: 401, body: bad, basic: true},
		{name: "another client_id in the body", form: sign("alice", password) + "&client_id=shop", headers: auth, status: 401, body: said("invalid_client", "Given client ID does not match authenticated client"), basic: true},
		{name: "secret in the body, wrong", form: sign("alice", password) + "&client_id=legacy&client_secret=wrong", status: 401, body: bad},
		{name: "no credentials", form: sign("alice", password), status: 401, body: bad},
		{name: "client_id alone (C11)", form: sign("alice", password) + "&client_id=legacy", status: 401, body: bad},
		{name: "JSON (C01)", form: `{"grant_type":"password"}`, headers: append([]string{"Content-Type: application/json"}, auth...), status: 400, body: said("invalid_request", "Unsupported content type")},
		{name: "parameter twice (4.1, C05)", form: sign("alice", password) + "&username=alice", headers: auth, status: 400, body: `{"error":"invalid_request","error_description":"OAuth 2.0 Parameter: username","error_uri":"https://datatracker.ietf.org/doc/html/rfc6749#section-5.2"}`},
		{name: "client_credentials, scope of people (C21)", form: form("grant_type", "client_credentials", "scope", "get_user_info"), headers: auth, status: 400, body: invalidScope},
		{name: "text (C01)", form: "grant_type=password", headers: append([]string{"Content-Type: text/plain"}, auth...), status: 400, body: said("invalid_request", "Unsupported content type")},
		{name: "grant_type missing", form: form("username", "alice"), headers: auth, status: 400, body: said("invalid_request", "Missing grant type")},
		{name: "grant_type unknown", form: form("grant_type", "magic"), headers: auth, status: 400, body: said("unsupported_grant_type", "Unsupported grant type")},
		{name: "username empty (seed 18)", form: sign("", password), headers: auth, status: 400, body: said("invalid_request", "An authorization username must be supplied.")},
		{name: "password empty", form: sign("alice", ""), headers: auth, status: 400, body: said("invalid_request", "An authorization password must be supplied.")},
		{name: "wrong password (seed 19)", form: sign("alice", "wrong"), headers: auth, status: 400, body: said("invalid_grant", "Bad credentials")},
		{name: "unknown user (seed 19)", form: sign("nobody", password), headers: auth, status: 400, body: said("invalid_grant", "Bad credentials")},
		{name: "kind of name that the source has not", form: sign("+8613612345678", password), headers: auth, status: 400, body: said("invalid_grant", "Bad credentials")},
		{name: "locked (seed 20)", form: sign("locked", password), headers: auth, status: 400, body: said("invalid_grant", "User is locked")},
		{name: "disabled (seed 21)", form: sign("frozen", password), headers: auth, status: 400, body: said("invalid_grant", "User is disabled")},
		{name: "disabled, wrong password (C23)", form: sign("frozen", "wrong"), headers: auth, status: 400, body: said("invalid_grant", "Bad credentials")},
		{name: "scope not registered", form: sign("alice", password) + "&scope=admin", headers: auth, status: 400, body: invalidScope},
		{name: "refresh_token absent", form: form("grant_type", "refresh_token"), headers: auth, status: 400, body: said("invalid_request", "refresh_token parameter not provided")},
		{name: "refresh_token wrong", form: form("grant_type", "refresh_token", "refresh_token", "x"), headers: auth, status: 400, body: said("invalid_grant", "Invalid refresh token")},
		{name: "client_credentials, scope not allowed", form: form("grant_type", "client_credentials", "scope", "admin"), headers: auth, status: 400, body: invalidScope},
	} {
		t.Run(r.name, func(t *testing.T) { s.check(t, idaasToken, r) })
	}
}

func TestIdaasAnswers(t *testing.T) {
	s := start(t, both())
	u := s.user("alice", "alice@example.com")
	for name, auth := range map[string]string{
		"raw Basic":          raw("legacy", secret),
		"raw odd secret":     raw("legacy", "p@ss:w%rd+&="),
		"encoded Basic":      basic("legacy", "p@ss:w%rd+&="),
		"secret in the body": "",
	} {
		t.Run(name, func(t *testing.T) {
			body, headers := form("grant_type", "password", "username", "alice", "password", password), []string{auth}
			if auth == "" {
				body, headers = body+"&client_id=legacy&client_secret="+secret, nil
			}
			a := s.send(http.MethodPost, idaasToken, body, headers...)
			if a.status != http.StatusOK {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if got := keys(t, a.body); got != "access_token token_type refresh_token expires_in scope" {
				t.Errorf("members: %s", got)
			}
			m := a.json(t)
			if m["token_type"] != "bearer" || m["expires_in"] != 7199.0 || m["scope"] != "get_user_info" {
				t.Errorf("%v", m)
			}
			if !uuidForm.MatchString(a.text(t, "access_token")) || !uuidForm.MatchString(a.text(t, "refresh_token")) {
				t.Error("not in the documented form")
			}
			b := s.send(http.MethodPost, idaasToken, form("grant_type", "refresh_token", "refresh_token", a.text(t, "refresh_token")), raw("legacy", secret))
			if b.status != 200 || b.text(t, "token_type") != "Bearer" || b.text(t, "refresh_token") != a.text(t, "refresh_token") {
				t.Errorf("refresh: %d %s", b.status, b.body)
			}
			info := s.send(http.MethodGet, "/api/v1/oauth2/userinfo", "", "Authorization: Bearer "+b.text(t, "access_token"))
			if want := `{"id":"` + u.ID + `","userName":"alice","email":"alice@example.com"}`; info.status != 200 || info.body != want {
				t.Errorf("userinfo: %d %s", info.status, info.body)
			}
			if r := s.send(http.MethodPost, "/oauth2/introspect", form("token", b.text(t, "access_token")), basic("robot", secret)).json(t); r["active"] != true || r["client_id"] != "legacy" {
				t.Errorf("introspection: %v", r)
			}
		})
	}
	t.Run("client_credentials", func(t *testing.T) {
		a := s.send(http.MethodPost, idaasToken, form("grant_type", "client_credentials"), raw("legacy", secret))
		if got := keys(t, a.body); got != "access_token token_type expires_in scope" || a.text(t, "token_type") != "Bearer" || a.text(t, "scope") != "orders:read" {
			t.Errorf("%d %s", a.status, a.body)
		}
		info := s.send(http.MethodGet, "/api/v1/oauth2/userinfo", "", "Authorization: Bearer "+a.text(t, "access_token"))
		if info.status != http.StatusForbidden {
			t.Errorf("C21: userinfo: %d %s", info.status, info.body)
		}
	})
	t.Run("openid gives an ID token of this API's issuer", func(t *testing.T) {
		a := s.send(http.MethodPost, idaasToken, form("grant_type", "password", "username", "alice", "password", password, "scope", "openid"), raw("legacy", secret))
		if _, claims := decoded(t, a.text(t, "id_token")); !strings.Contains(claims, `"iss":"https://auth.example.com/api/v1/oauth2"`) {
			t.Error(claims)
		}
		// 2.2.2: the whole mapping is what get_user_info gives.
		info := s.send(http.MethodGet, "/api/v1/oauth2/userinfo", "", "Authorization: Bearer "+a.text(t, "access_token"))
		if want := `{"id":"` + u.ID + `"}`; info.status != 200 || info.body != want {
			t.Errorf("userinfo: %d %s", info.status, info.body)
		}
		for _, name := range []string{"access_token", "refresh_token"} {
			r := s.send(http.MethodPost, "/oauth2/introspect", form("token", a.text(t, name)), basic("robot", secret)).json(t)
			if r["iss"] != "https://auth.example.com/api/v1/oauth2" {
				t.Errorf("introspection of the %s: %v", name, r)
			}
		}
	})
	t.Run("discovery", func(t *testing.T) {
		m := s.send(http.MethodGet, "/api/v1/oauth2/.well-known/openid-configuration", "").json(t)
		if m["issuer"] != "https://auth.example.com/api/v1/oauth2" || m["jwks_uri"] != "https://auth.example.com/api/v1/oauth2/jwks" || fmt.Sprint(m["scopes_supported"]) != "[openid get_user_info]" {
			t.Errorf("%v", m)
		}
	})
}

func TestIdaasUserinfoRefusals(t *testing.T) {
	s := start(t, both())
	for _, r := range []struct {
		name, header, body string
		headers            []string
	}{
		{"no token", `Bearer realm="oauth"`, `{"error":"unauthorized","error_description":"Full authentication is required to access this resource"}`, nil},
		{"unknown token", `Bearer error="invalid_token", error_description="Invalid access token"`, `{"error":"invalid_token","error_description":"Invalid access token"}`, []string{"Authorization: Bearer 8ab9812c-1076-47f0-9e4a-6d48280ec524"}},
	} {
		t.Run(r.name, func(t *testing.T) {
			a := s.send(http.MethodGet, "/api/v1/oauth2/userinfo", "", r.headers...)
			if a.status != 401 || a.body != r.body || a.header.Get("WWW-Authenticate") != r.header {
				t.Errorf("%d %s %q", a.status, a.body, a.header.Get("WWW-Authenticate"))
			}
		})
	}
}

func TestRevokedOpaqueTokenIsDead(t *testing.T) {
	s := start(t, both())
	s.user("alice", "")
	a := s.send(http.MethodPost, idaasToken, form("grant_type", "password", "username", "alice", "password", password), raw("legacy", secret))
	status := func() int {
		return s.send(http.MethodGet, "/api/v1/oauth2/userinfo", "", "Authorization: Bearer "+a.text(t, "access_token")).status
	}
	if got := status(); got != http.StatusOK {
		t.Fatal(got)
	}
	if _, err := s.issuer.SetUserState(t.Context(), "alice", store.Frozen, ""); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != http.StatusUnauthorized {
		t.Errorf("of a frozen account: %d", got)
	}
}

func TestPathsOfTheOtherAPIAreABackendsWithoutItsClients(t *testing.T) {
	s := start(t, clientsOnly())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+idaasToken, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.issuer.Handles(r) {
		t.Error("taken from the backend")
	}
	with := start(t, both())
	if !with.issuer.Handles(r) {
		t.Error("not served")
	}
}

// TestOAuthRows is section 4.6 for the grants without a browser.
func TestOAuthRows(t *testing.T) {
	s := start(t, func() tokenissuer.Config { c := both(); c.Dialect = "oauth"; return c }())
	for _, n := range []string{"alice", "frozen"} {
		s.user(n, "")
	}
	if _, err := s.issuer.SetUserState(t.Context(), "frozen", store.Frozen, ""); err != nil {
		t.Fatal(err)
	}
	shop := s.good(form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret)).text(t, "access_token")
	modern := func(pairs ...string) string {
		return form(append([]string{"client_id", "modern", "client_secret", secret}, pairs...)...)
	}
	for _, r := range []row{
		{name: "no client authentication", form: form("grant_type", "authorization_code"), status: 401, body: invalidClient},
		{name: "unknown client", form: form("grant_type", "magic", "client_id", "nobody", "client_secret", secret), status: 401, body: invalidClient},
		{name: "unknown client with code_verifier", form: form("grant_type", "authorization_code", "client_id", "nobody", "code_verifier", "v"), status: 401, body: invalidClient},
		{name: "Basic malformed", form: form("grant_type", "client_credentials"), headers: []string{"Authorization: Basic !!!"}, status: 401, body: invalidClient, basic: true},
		{name: "wrong password", form: modern("grant_type", "password", "username", "alice", "password", "wrong"), status: 400, body: invalidGrant},
		{name: "frozen, right password (C23)", form: modern("grant_type", "password", "username", "frozen", "password", password), status: 400, body: invalidGrant},
		{name: "unknown source", form: modern("grant_type", "password", "auth_source_id", "x", "username", "alice", "password", password), status: 400, body: invalidGrant},
		{name: "scope not registered", form: modern("grant_type", "password", "username", "alice", "password", password, "scope", "admin"), status: 400, body: invalidScope},
		{name: "refresh token unknown", form: modern("grant_type", "refresh_token", "refresh_token", "x"), status: 400, body: invalidGrant},
	} {
		t.Run(r.name, func(t *testing.T) { s.check(t, "/oauth2/token", r) })
	}
	t.Run("revoking another client's token", func(t *testing.T) {
		s.check(t, "/oauth2/revoke", row{form: modern("token", shop), status: 400, body: `{"error":"unauthorized_client"}`})
	})
	t.Run("userinfo without a token", func(t *testing.T) {
		if a := s.send(http.MethodGet, "/userinfo", ""); a.status != 401 || a.header.Get("WWW-Authenticate") != "Bearer" || a.body != "" {
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
	})
	t.Run("a ciam client keeps its answers", func(t *testing.T) {
		s.check(t, "/oauth2/token", row{form: signIn("spa", "nobody"), status: 400, body: `{"error":"invalid_grant","error_description":"Wrong username or password"}`})
	})
	t.Run("at+jwt", func(t *testing.T) {
		a := s.good(modern("grant_type", "password", "username", "alice", "password", password, "scope", "profile openid"))
		header, claims := decoded(t, a.text(t, "access_token"))
		if !strings.Contains(header, `"typ":"at+jwt"`) || !strings.Contains(claims, `"scope":"profile openid"`) || !strings.Contains(claims, `"client_id":"modern"`) ||
			!strings.Contains(claims, `"auth_time":1`) {
			t.Errorf("%s %s", header, claims)
		}
	})
}
