package tokenissuer_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// clientsOnly is a configuration whose tests use no account.
func clientsOnly() tokenissuer.Config { return tokenissuer.Config{} }

func TestClientCredentialsAnswer(t *testing.T) {
	s := start(t, clientsOnly())
	a := s.good(form("grant_type", "client_credentials", "client_id", "robot", "client_secret", secret, "scope", "identity_proofing"))
	if got := a.header.Get("Content-Type"); got != jsonUTF8 {
		t.Errorf("Content-Type %q", got)
	}
	if got := keys(t, a.body); got != "access_token scope token_type expires_in" {
		t.Errorf("members: %s", got)
	}
	m := a.json(t)
	if m["token_type"] != "Bearer" || m["expires_in"] != 299.0 || m["scope"] != "identity_proofing" {
		t.Errorf("%v", m)
	}
	header, payload := decoded(t, a.text(t, "access_token"))
	if got := keys(t, header); got != "kid typ alg" || !strings.HasSuffix(header, `"typ":"JWT","alg":"RS256"}`) {
		t.Errorf("header %s", header)
	}
	if got := keys(t, payload); got != "sub aud nbf scope iss exp iat jti" {
		t.Errorf("claims: %s", got)
	}
	var c struct {
		Sub, Aud, Iss, Jti string
		Scope              []string
		Nbf, Exp, Iat      int64
	}
	if err := json.Unmarshal([]byte(payload), &c); err != nil {
		t.Fatal(err)
	}
	if c.Sub != "robot" || c.Aud != "robot" || c.Iss != "https://auth.example.com" || len(c.Scope) != 1 || c.Nbf != c.Iat || c.Exp-c.Iat != 300 || len(c.Jti) != 36 {
		t.Errorf("claims %+v", c)
	}
}

func TestClientCredentialsInEverySpelling(t *testing.T) {
	s := start(t, clientsOnly())
	multipart := "--b\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--b\r\nContent-Disposition: form-data; name=\"client_id\"\r\n\r\nshop\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"client_secret\"\r\n\r\n" + secret + "\r\n--b--\r\n"
	for name, r := range map[string]struct {
		body    string
		headers []string
	}{
		"form":                {form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret), nil},
		"form with charset":   {form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret), []string{"Content-Type: application/x-www-form-urlencoded; charset=UTF-8"}},
		"Basic":               {form("grant_type", "client_credentials"), []string{basic("shop", secret)}},
		"Basic, same id":      {form("grant_type", "client_credentials", "client_id", "shop"), []string{basic("shop", secret)}},
		"basic in lower case": {form("grant_type", "client_credentials"), []string{strings.Replace(basic("shop", secret), "Basic", "basic", 1)}},
		"JSON":                {`{"grant_type":"client_credentials","client_id":"shop","client_secret":"` + secret + `"}`, []string{"Content-Type: application/json"}},
		"multipart":           {multipart, []string{"Content-Type: multipart/form-data; boundary=b"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.good(r.body, r.headers...)
			if got := a.text(t, "scope"); got != "orders:read orders:write" {
				t.Errorf("omitted scope gave %q", got)
			}
		})
	}
}

func TestScopeComesBackInTheOrderAsked(t *testing.T) {
	s := start(t, clientsOnly())
	a := s.good(form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret, "scope", "orders:write orders:read"))
	if got := a.text(t, "scope"); got != "orders:write orders:read" {
		t.Error(got)
	}
}

func TestPasswordAnswer(t *testing.T) {
	s := start(t, clientsOnly())
	u := s.user("alice", "alice@example.com")
	for _, name := range []string{"alice", "ALICE", "alice@example.com", "Alice@Example.COM"} {
		a := s.good(signIn("shop", name) + "&client_secret=" + secret)
		if got := keys(t, a.body); got != "access_token refresh_token scope id_token token_type expires_in" {
			t.Fatalf("members: %s", got)
		}
		m := a.json(t)
		if m["scope"] != "openid" || m["token_type"] != "Bearer" || m["expires_in"] != 299.0 {
			t.Errorf("%v", m)
		}
		if r := a.text(t, "refresh_token"); len(r) != 128 || strings.Trim(r, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			t.Errorf("refresh token of %d characters", len(r))
		}
		_, access := decoded(t, a.text(t, "access_token"))
		if got := keys(t, access); got != "sub aud nbf scope iss exp iat jti" {
			t.Errorf("access claims: %s", got)
		}
		_, id := decoded(t, a.text(t, "id_token"))
		if got := keys(t, id); got != "sub aud azp iss exp iat jti email" {
			t.Errorf("ID claims: %s", got)
		}
		var c struct {
			Sub, Aud, Azp string
			Exp, Iat      int64
		}
		if err := json.Unmarshal([]byte(id), &c); err != nil {
			t.Fatal(err)
		}
		if c.Sub != u.ID || c.Aud != "shop" || c.Azp != "shop" || c.Exp-c.Iat != 1800 {
			t.Errorf("ID token %+v", c)
		}
	}
}

func TestNoRefreshTokenWithoutTheGrant(t *testing.T) {
	s := start(t, clientsOnly())
	s.user("alice", "")
	a := s.good(signIn("app", "alice"))
	if got := keys(t, a.body); got != "access_token scope id_token token_type expires_in" {
		t.Errorf("members: %s", got)
	}
}

func TestPasswordRows(t *testing.T) {
	s := start(t, tokenissuer.Config{
		Sources: []tokenissuer.Source{
			{ID: "staff", Type: "password", Identifiers: []string{"username"}},
			{ID: "other", Type: "password", Identifiers: []string{"username"}},
			{ID: "old", Type: "password", Identifiers: []string{"username"}, PasswordMaxAge: time.Nanosecond},
		},
		Clients: []tokenissuer.Client{{ID: "spa", Type: "spa", Grants: []string{"password"}, Scopes: []string{"openid"}, Sources: []string{"staff", "old"}}},
	})
	for _, n := range []string{"alice", "frozen", "locked"} {
		s.user(n, n+"@example.com")
	}
	if _, err := s.issuer.SetUserState(t.Context(), "frozen", "frozen", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.issuer.SetUserState(t.Context(), "locked", "locked", ""); err != nil {
		t.Fatal(err)
	}
	try := func(source, name, pass string, more ...string) string {
		return form(append([]string{"grant_type", "password", "client_id", "spa", "auth_source_id", source, "username", name, "password", pass}, more...)...)
	}
	const (
		wrong    = `{"error":"invalid_grant","error_description":"Wrong username or password"}`
		abnormal = `{"error":"invalid_grant","error_description":"Abnormal user status"}`
		source   = `{"error":"invalid_auth_source","error_description":"Auth source and application not associated"}`
		kind     = `{"error":"invalid_grant","error_description":"Unsupported username identifier"}`
	)
	for _, r := range []row{
		{name: "wrong password (seed 1)", form: try("staff", "alice", "wrong"), status: 400, body: wrong},
		{name: "unknown user (seed 1)", form: try("staff", "nobody", password), status: 400, body: wrong},
		{name: "frozen, wrong password (C23)", form: try("staff", "frozen", "wrong"), status: 400, body: wrong},
		{name: "frozen, right password (seed 2)", form: try("staff", "frozen", password), status: 400, body: abnormal},
		{name: "locked, right password (seed 2)", form: try("staff", "locked", password), status: 400, body: abnormal},
		{name: "locked, wrong password", form: try("staff", "locked", "wrong"), status: 400, body: abnormal},
		{name: "expired password (seed 2)", form: try("old", "alice", password), status: 400, body: abnormal},
		{name: "e-mail address where it is none (seed 3)", form: try("staff", "alice@example.com", password), status: 400, body: kind},
		{name: "phone number where it is none (seed 3)", form: try("staff", "+8613612345678", password), status: 400, body: kind},
		{name: "source of another client (seed 4)", form: try("other", "alice", password), status: 400, body: source},
		{name: "unknown source (seed 4)", form: try("nothing", "alice", password), status: 400, body: source},
		{name: "scope other than openid", form: try("staff", "alice", password, "scope", "openid profile"), status: 400, body: invalidScope},
		{name: "L08: SQL in the name", form: try("staff", `' OR 1=1 --`, password), status: 400, body: wrong},
		{name: "L08: a star", form: try("staff", `*`, password), status: 400, body: wrong},
	} {
		t.Run(r.name, func(t *testing.T) { s.check(t, "/oauth2/token", r) })
	}
	t.Run("scope openid", func(t *testing.T) { s.good(try("staff", "alice", password, "scope", "openid")) })
}

func TestUnlockForgivesWhatLockedTheName(t *testing.T) {
	s := start(t, clientsOnly())
	s.user("alice", "")
	for range 5 {
		if a := s.token(form("grant_type", "password", "client_id", "spa", "auth_source_id", "password", "username", "alice", "password", "wrong")); a.status != http.StatusBadRequest || !strings.Contains(a.body, "Wrong username") {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := s.token(signIn("spa", "alice")); !strings.Contains(a.body, "Abnormal user status") {
		t.Fatalf("after five failures the right password gave %d %s", a.status, a.body)
	}
	if _, err := s.issuer.SetUserState(t.Context(), "alice", "active", ""); err != nil {
		t.Fatal(err)
	}
	s.good(signIn("spa", "alice"))
}

// A name is one account at every source, so guesses at one are guesses at all.
func TestSourcesShareTheCountersOfAName(t *testing.T) {
	client := func(id string) tokenissuer.Client {
		return tokenissuer.Client{ID: id, Type: "mobile", Grants: []string{"password"}, Scopes: []string{"openid"}, Sources: []string{id}}
	}
	source := func(id string, failures int) tokenissuer.Source {
		return tokenissuer.Source{ID: id, Type: "password", Identifiers: []string{"username"}, LockoutFailures: failures}
	}
	s := start(t, tokenissuer.Config{
		Sources: []tokenissuer.Source{source("strict", 2), source("lax", 10)}, Clients: []tokenissuer.Client{client("strict"), client("lax")},
	})
	try := func(at, name, pass string) answer {
		return s.token(form("grant_type", "password", "client_id", at, "auth_source_id", at, "username", name, "password", pass))
	}
	for guessed, other := range map[string]string{"strict": "lax", "lax": "strict"} {
		name := "at-" + guessed
		s.user(name, "")
		for range 2 {
			try(guessed, name, "wrong")
		}
		if a := try(other, name, password); !strings.Contains(a.body, "Abnormal user status") {
			t.Errorf("guessed at %s, and at %s: %d %s", guessed, other, a.status, a.body)
		}
	}
}

// A client without a scope of its own gets a token without any, and nothing is
// said of it (RFC 6749 §5.1 has no word for an empty scope).
func TestClientWithoutAScopeGetsATokenWithoutOne(t *testing.T) {
	for _, form := range []string{"jwt", "at+jwt", "opaque"} {
		s := start(t, tokenissuer.Config{Clients: []tokenissuer.Client{
			{ID: "bare", Type: "m2m", Secrets: []string{secret}, Grants: []string{"client_credentials"}, AccessToken: form},
		}})
		a := s.good("grant_type=client_credentials", basic("bare", secret))
		if got := keys(t, a.body); got != "access_token token_type expires_in" {
			t.Errorf("%s: members %s", form, got)
		}
		m := s.send(http.MethodPost, "/oauth2/introspect", "token="+a.text(t, "access_token"), basic("bare", secret)).json(t)
		if _, has := m["scope"]; m["active"] != true || has {
			t.Errorf("%s: %v", form, m)
		}
	}
}
