package tokenissuer_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

const (
	signupPath = "/signup"
	changePath = "/change_user_password"
	resetPath  = "/reset_user_password"
	another    = "another good password"
)

// accounts is a configuration in which people open and keep accounts.
func (p *post) accounts() tokenissuer.Config {
	c := p.otp()
	c.Attributes, c.OperatorAttributes = []string{"department"}, []string{"role"}
	c.Sources[0].Identifiers = []string{"username", "email"}
	c.Sources[0].PasswordHistory = 3
	grants := []string{"password", sms, mail, "refresh_token"}
	all := []string{"staff", "sms", "mail"}
	claims := []string{"name", "nickname", "zoneinfo", "locale", "email", "phone_number", "department"}
	keep := c.Clients[1:] // second, spa, …
	c.Clients = append([]tokenissuer.Client{
		{ID: "shop", Type: "web", Secrets: []string{secret}, Grants: append(grants, "client_credentials"), Sources: all, Claims: claims, Scopes: []string{"orders:read"}, SignUp: true},
		{ID: "mailonly", Type: "web", Secrets: []string{secret}, Grants: []string{mail}, Sources: []string{"mail"}, SignUp: true},
		{ID: "kiosk", Type: "mobile", Secrets: []string{secret}, Grants: []string{"password", sms}, Sources: []string{"staff", "sms"}, SignUp: true},
		{ID: "plain", Type: "web", Secrets: []string{secret}, Grants: []string{"password"}, Sources: []string{"staff"}, Dialect: "oauth", Scopes: []string{"openid", "email", "phone"}, SignUp: true},
	}, keep...)
	return c
}

// json posts a JSON object.
func (s *server) json(method, path, body string, headers ...string) answer {
	s.t.Helper()
	return s.send(method, path, body, append(headers, asJSON)...)
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// proof is the two parameters that show a code sent to an address.
func (s *server) proof(p *post, client, usage, kind, to, stored string) []string {
	s.t.Helper()
	before := p.sent()
	token := s.ask(client, "usage", usage, kind, to)
	p.await(s.t, before+1)
	return []string{kind, to, kind + "_otp_token", token, kind + "_otp", p.code(stored)}
}

// enter signs in by password through shop.
func (s *server) enter(name, pass string) answer {
	s.t.Helper()
	return s.token(form("grant_type", "password", "client_id", "shop", "client_secret", secret, "auth_source_id", "staff", "username", name, "password", pass))
}

// access is the access token of somebody who can sign in.
func (s *server) access(name, pass string) string {
	s.t.Helper()
	a := s.enter(name, pass)
	if a.status != http.StatusOK {
		s.t.Fatalf("%s: %d %s", name, a.status, a.body)
	}
	return a.text(s.t, "access_token")
}

// want compares an answer with a row of the contract.
func want(t *testing.T, a answer, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Fatalf("got  %d %s\nwant %d %s", a.status, a.body, status, body)
	}
	media := jsonUTF8
	if body == "" {
		media = ""
	}
	if got := a.header.Get("Content-Type"); status >= 400 && got != media {
		t.Errorf("Content-Type %q, want %q", got, media)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
}

func errorOf(code string, description ...string) string {
	if len(description) == 0 {
		return `{"error":"` + code + `"}`
	}
	return `{"error":"` + code + `","error_description":"` + description[0] + `"}`
}

// users is how many accounts there are.
func (s *server) users() int {
	s.t.Helper()
	users, err := s.issuer.Users(s.t.Context(), "", 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(users)
}

// silent fails where a secret of the test is in an event.
func (s *server) silent(secrets ...string) {
	s.t.Helper()
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, e := range s.events {
		text := e.Error + e.Reason + e.Account + e.Client
		if e.Cause != nil {
			text += e.Cause.Error()
		}
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				s.t.Errorf("an event of %s holds a secret", e.Endpoint)
			}
		}
	}
}
