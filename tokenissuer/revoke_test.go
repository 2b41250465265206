package tokenissuer_test

import (
	"net/http"
	"testing"
)

func (s *server) userinfoStatus(token string) int {
	return s.send(http.MethodGet, "/userinfo", "", "Authorization: Bearer "+token).status
}

func TestRevokeRows(t *testing.T) {
	s := start(t, clientsOnly())
	s.user("alice", "")
	spa := s.good(signIn("spa", "alice"))
	for _, r := range []row{
		{name: "no client authentication", form: form("token", "x"), status: 401, bare: true},
		{name: "unknown client", form: form("token", "x", "client_id", "nobody", "client_secret", secret), status: 401, body: invalidClient},
		{name: "unknown client by Basic", form: form("token", "x"), headers: []string{basic("nobody", secret)}, status: 401, body: invalidClient, basic: true},
		{name: "wrong secret", form: form("token", "x", "client_id", "shop", "client_secret", "wrong"), status: 401, body: invalidClient},
		{name: "confidential client by its id", form: form("token", "x", "client_id", "shop"), status: 401, body: invalidClient},
		{name: "token missing", form: form("client_id", "shop", "client_secret", secret), status: 400, body: `{"error":"invalid_request","error_description":"OAuth 2.0 Token Revocation Parameter: token","error_uri":"https://tools.ietf.org/html/rfc7009#section-2.1"}`},
		{name: "access token of another client", form: form("token", spa.text(t, "access_token"), "client_id", "shop", "client_secret", secret), status: 401, body: invalidClient},
		{name: "refresh token of another client", form: form("token", spa.text(t, "refresh_token"), "client_id", "shop", "client_secret", secret), status: 401, body: invalidClient},
	} {
		t.Run(r.name, func(t *testing.T) { s.check(t, "/oauth2/revoke", r) })
	}
	if got := s.userinfoStatus(spa.text(t, "access_token")); got != http.StatusOK {
		t.Errorf("another client revoked it: %d", got)
	}
	t.Run("unknown token", func(t *testing.T) {
		a := s.send(http.MethodPost, "/oauth2/revoke", form("token", "garbage", "client_id", "spa"))
		if a.status != http.StatusOK || a.body != "" || a.header.Get("Content-Length") != "0" || a.header.Get("Content-Type") != "" {
			t.Errorf("%d %q %v", a.status, a.body, a.header)
		}
	})
}

func TestRevokedAccessTokenDiesAlone(t *testing.T) {
	s := start(t, clientsOnly())
	s.user("alice", "")
	a := s.good(signIn("spa", "alice"))
	if r := s.send(http.MethodPost, "/oauth2/revoke", form("client_id", "spa", "token", a.text(t, "access_token"), "token_type_hint", "refresh_token")); r.status != http.StatusOK {
		t.Fatal(r.status)
	}
	if got := s.userinfoStatus(a.text(t, "access_token")); got != http.StatusUnauthorized {
		t.Errorf("revoked: %d", got)
	}
	s.good(refresh("spa", a.text(t, "refresh_token")))
}

func TestRevokedRefreshTokenTakesItsAccessTokensAlong(t *testing.T) {
	s := start(t, clientsOnly())
	s.user("alice", "")
	a := s.good(signIn("spa", "alice"))
	b := s.good(refresh("spa", a.text(t, "refresh_token")))
	other := s.good(signIn("spa", "alice"))
	if r := s.send(http.MethodPost, "/oauth2/revoke", form("client_id", "spa", "token", b.text(t, "refresh_token"))); r.status != http.StatusOK {
		t.Fatal(r.status)
	}
	for _, dead := range []answer{a, b} {
		if got := s.userinfoStatus(dead.text(t, "access_token")); got != http.StatusUnauthorized {
			t.Errorf("an access token of the family: %d", got)
		}
	}
	s.check(t, "/oauth2/token", row{form: refresh("spa", b.text(t, "refresh_token")), status: 400, body: invalidGrant})
	if got := s.userinfoStatus(other.text(t, "access_token")); got != http.StatusOK {
		t.Errorf("another sign-in of the same person: %d", got)
	}
}

func TestClientCredentialsTokenIsRevokedWithoutARow(t *testing.T) {
	s := start(t, clientsOnly())
	a := s.good(form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret))
	inspect := func() any {
		return s.send(http.MethodPost, "/oauth2/introspect", form("token", a.text(t, "access_token")), basic("shop", secret)).json(t)["active"]
	}
	if inspect() != true {
		t.Fatal("not active before")
	}
	if r := s.send(http.MethodPost, "/oauth2/revoke", form("token", a.text(t, "access_token")), basic("shop", secret)); r.status != http.StatusOK {
		t.Fatal(r.status)
	}
	if inspect() != false {
		t.Error("active after its revocation")
	}
}

func TestIntrospection(t *testing.T) {
	s := start(t, clientsOnly())
	s.user("alice", "")
	a := s.good(signIn("shop", "alice") + "&client_secret=" + secret)
	ask := func(token, id string) answer {
		return s.send(http.MethodPost, "/oauth2/introspect", form("token", token), basic(id, secret))
	}
	if got := keys(t, ask(a.text(t, "access_token"), "shop").body); got != "active scope client_id token_type exp iat nbf sub aud iss jti" {
		t.Errorf("members: %s", got)
	}
	for name, body := range map[string]string{
		"of another client (E09)": ask(a.text(t, "access_token"), "app").body,
		"refresh of another":      ask(a.text(t, "refresh_token"), "app").body,
		"garbage (E09)":           ask("garbage", "shop").body,
		"an ID token":             ask(a.text(t, "id_token"), "shop").body,
	} {
		if body != `{"active":false}` {
			t.Errorf("%s: %s", name, body)
		}
	}
	if got := ask(a.text(t, "access_token"), "robot").json(t)["active"]; got != true {
		t.Error("a client that may introspect any token was refused")
	}
	for _, r := range []row{
		{name: "without authentication (E09)", form: form("token", "x"), status: 401, bare: true},
		{name: "public client by its id", form: form("token", "x", "client_id", "spa"), status: 401, body: invalidClient},
	} {
		t.Run(r.name, func(t *testing.T) { s.check(t, "/oauth2/introspect", r) })
	}
}

func TestUserinfoRows(t *testing.T) {
	s := start(t, clientsOnly())
	u := s.user("alice", "alice@example.com")
	a := s.good(signIn("shop", "alice") + "&client_secret=" + secret)
	robot := s.good(form("grant_type", "client_credentials", "client_id", "robot", "client_secret", secret))
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		got := s.send(method, "/userinfo", "", "Authorization: Bearer "+a.text(t, "access_token"))
		if want := `{"email":"alice@example.com","sub":"` + u.ID + `"}`; got.status != 200 || got.body != want || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %v", method, got.status, got.body, got.header)
		}
	}
	for _, r := range []struct {
		name    string
		headers []string
		status  int
		header  string
	}{
		{"no token", nil, 400, `Bearer error="invalid_request", error_description="Bearer token not found in the request", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"`},
		{"malformed token", []string{"Authorization: Bearer x.y.z"}, 401, `Bearer error="invalid_token", error_description="Error decoding JWT", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"`},
		{"ID token", []string{"Authorization: Bearer " + a.text(t, "id_token")}, 401, `Bearer error="invalid_token", error_description="Error decoding JWT", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"`},
		{"no openid scope (C21)", []string{"Authorization: Bearer " + robot.text(t, "access_token")}, 403, `Bearer error="insufficient_scope", error_description="The request requires higher privileges than provided by the access token.", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"`},
	} {
		t.Run(r.name, func(t *testing.T) {
			got := s.send(http.MethodGet, "/userinfo", "", r.headers...)
			if got.status != r.status || got.header.Get("WWW-Authenticate") != r.header || got.body != "" {
				t.Errorf("%d %q %q", got.status, got.header.Get("WWW-Authenticate"), got.body)
			}
		})
	}
	if err := s.issuer.RemoveUser(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	gone := s.send(http.MethodGet, "/userinfo", "", "Authorization: Bearer "+a.text(t, "access_token"))
	if gone.status != http.StatusNotFound || gone.body != `{"error":"user_not_found"}` || gone.header.Get("Content-Type") != jsonUTF8 {
		t.Errorf("removed account: %d %s", gone.status, gone.body)
	}
}
