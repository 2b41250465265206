package tokenissuer_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestErrorRowsOfTheDocuments is section 1.4, each row in each spelling.
func TestErrorRowsOfTheDocuments(t *testing.T) {
	d := newDocumented(t)
	const to, icy, shut, nobody = "13612345670", "13612345671", "13612345672", "13700000009"
	token, code := d.otp(to)
	icyToken, icyCode := d.otp(icy)
	shutToken, shutCode := d.otp(shut)
	nobodyToken, nobodyCode := d.otp(nobody)
	always := func(pairs ...string) func() []string { return func() []string { return pairs } }
	sign := func(source, name, pass string) func() []string {
		return always("grant_type", "password", "auth_source_id", source, "username", name, "password", pass)
	}
	show := func(source, number, token, otp string) func() []string {
		return always("grant_type", sms, "auth_source_id", source, "phone_number", number, "otp_token", token, "otp", otp)
	}
	redeem := func(code func() string) func() []string {
		return func() []string {
			return []string{"grant_type", "authorization_code", "code", code(), "redirect_uri", callback}
		}
	}
	enter := func(name, pass string) func() []string {
		return always("grant_type", "password", "username", name, "password", pass)
	}
	wrongCode := func() string { return "x" }
	bad := said("invalid_client", "Bad client credentials")
	for _, r := range []struct {
		row, path, client, secret string
		pairs                     func() []string
		status                    int
		body                      string
		byBasic                   string // where Basic makes a difference
	}{
		{row: "1 wrong password", client: "shop", secret: odd, pairs: sign("staff", "alice", "wrong"), status: 400, body: said("invalid_grant", "Wrong username or password")},
		{row: "1 unknown user", client: "shop", secret: odd, pairs: sign("staff", "nobody", password), status: 400, body: said("invalid_grant", "Wrong username or password")},
		{row: "2 frozen", client: "shop", secret: odd, pairs: sign("staff", "frozen", password), status: 400, body: abnormal},
		{row: "2 locked", client: "shop", secret: odd, pairs: sign("staff", "locked", password), status: 400, body: abnormal},
		{row: "3 identifier", client: "shop", secret: odd, pairs: sign("staff", "alice@example.com", password), status: 400, body: said("invalid_grant", "Unsupported username identifier")},
		{row: "4 source", client: "shop", secret: odd, pairs: sign("aged", "alice", password), status: 400, body: notYours},
		{row: "5 client_id missing", pairs: redeem(wrongCode), status: 401, byBasic: invalidRequest},
		{row: "5 client_id incorrect", client: "nobody", secret: odd, pairs: redeem(wrongCode), status: 401, byBasic: invalidClient},
		{row: "6 code of another client", client: "rival", secret: odd, pairs: redeem(d.code), status: 401, body: invalidClient},
		{row: "7 grant_type", client: "shop", secret: odd, pairs: always("grant_type", "code", "code", "x", "redirect_uri", callback), status: 400, body: said("unsupported_grant_type", "OAuth 2.0 Parameter: grant_type", "https://datatracker.ietf.org/doc/html/rfc6749#section-5.2")},
		{row: "8 code", client: "shop", secret: odd, pairs: redeem(wrongCode), status: 400, body: invalidGrant},
		{row: "9 otp_token", client: "shop", secret: odd, pairs: show("sms", to, "x", code), status: 400, body: unknownToken},
		{row: "10 otp", client: "shop", secret: odd, pairs: show("sms", to, token, wrong(code)), status: 400, body: unknownOTP},
		{row: "11 another phone", client: "shop", secret: odd, pairs: show("sms", icy, token, code), status: 400, body: mismatched},
		{row: "12 nobody", client: "shop", secret: odd, pairs: show("sms", nobody, nobodyToken, nobodyCode), status: 400, body: notFound},
		{row: "13 frozen", client: "shop", secret: odd, pairs: show("sms", icy, icyToken, icyCode), status: 400, body: abnormal},
		{row: "13 locked", client: "shop", secret: odd, pairs: show("sms", shut, shutToken, shutCode), status: 400, body: abnormal},
		{row: "14 source", client: "shop", secret: odd, pairs: show("other", to, token, code), status: 400, body: notYours},
		{row: "15 unknown", client: "nobody", secret: odd, pairs: always("grant_type", "client_credentials"), status: 401, body: invalidClient},
		{row: "15 not enabled", client: "off", secret: secret, pairs: always("grant_type", "client_credentials"), status: 401, body: invalidClient},
		{row: "15 key", client: "shop", secret: "wrong", pairs: always("grant_type", "client_credentials"), status: 401, body: invalidClient},
		{row: "16 not this grant", client: "phone", secret: odd, pairs: always("grant_type", "client_credentials"), status: 400, body: said("unauthorized_client")},
		{row: "17 scope", client: "shop", secret: odd, pairs: always("grant_type", "client_credentials", "scope", "identity_proofing admin"), status: 400, body: invalidScope},
		{row: "18 username", path: idaasToken, client: "idaas", secret: odd, pairs: enter("", password), status: 400, body: said("invalid_request", "An authorization username must be supplied.")},
		{row: "19 password", path: idaasToken, client: "idaas", secret: odd, pairs: enter("alice", "wrong"), status: 400, body: said("invalid_grant", "Bad credentials")},
		{row: "20 locked", path: idaasToken, client: "idaas", secret: odd, pairs: enter("locked", password), status: 400, body: said("invalid_grant", "User is locked")},
		{row: "21 disabled", path: idaasToken, client: "idaas", secret: odd, pairs: enter("frozen", password), status: 400, body: said("invalid_grant", "User is disabled")},
		{row: "22 expired", path: idaasToken, client: "strict", secret: odd, pairs: enter("alice", password), status: 400, body: said("invalid_grant", "Password has expired")},
		{row: "23 application", path: idaasToken, client: "idaas", secret: "wrong", pairs: enter("alice", password), status: 401, body: bad},
	} {
		if r.path == "" {
			r.path = "/oauth2/token"
		}
		for _, how := range spellings(r.path) {
			t.Run(r.row+", "+how.name, func(t *testing.T) {
				body, status := r.body, r.status
				if how.basic && r.byBasic != "" {
					body = r.byBasic
				}
				if body == invalidRequest {
					status = http.StatusBadRequest
				}
				a := how.send(d.server, r.path, r.client, r.secret, r.pairs())
				if a.status != status || a.body != body {
					t.Fatalf("got  %d %s\nwant %d %s", a.status, a.body, status, body)
				}
				described(t, a, body == "")
				if got, want := challenged(a), how.basic && status == http.StatusUnauthorized; got != want {
					t.Errorf("challenged: %v, want %v", got, want)
				}
			})
		}
	}
}

// sample is what a document shows of a success: the members in their order, and
// what they hold.
type sample struct {
	members string
	holds   map[string]string // patterns
	header  string            // of both JWTs
	access  string            // claims
	id      string
}

const (
	jwt      = `^[\w-]+\.[\w-]+\.[\w-]+$`
	long     = `^[\w-]{128}$`
	dashed   = `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`
	ofPerson = "access_token refresh_token scope id_token token_type expires_in"
)

var (
	personal = sample{
		members: ofPerson, header: "kid typ alg", access: "sub aud nbf scope iss exp iat jti", id: "sub aud azp iss exp iat jti",
		holds: map[string]string{"access_token": jwt, "refresh_token": long, "scope": "^openid$", "id_token": jwt, "token_type": "^Bearer$", "expires_in": "^299$"},
	}
	machine = sample{
		members: "access_token scope token_type expires_in", header: "kid typ alg", access: "sub aud nbf scope iss exp iat jti",
		holds: map[string]string{"access_token": jwt, "scope": "^identity_proofing$", "token_type": "^Bearer$", "expires_in": "^299$"},
	}
	opaque = sample{
		members: "access_token token_type refresh_token expires_in scope",
		holds:   map[string]string{"access_token": dashed, "token_type": "^bearer$", "refresh_token": dashed, "expires_in": "^7199$", "scope": "^get_user_info$"},
	}
)

// TestSuccessesAreThoseOfTheDocuments compares each sample member by member, in
// each spelling of the request.
func TestSuccessesAreThoseOfTheDocuments(t *testing.T) {
	d := newDocumented(t)
	for _, c := range []struct {
		document, path, client string
		want                   sample
		pairs                  func() []string
	}{
		{"S0 password", "/oauth2/token", "shop", personal, func() []string {
			return []string{"grant_type", "password", "auth_source_id", "staff", "username", "alice", "password", password, "scope", "openid"}
		}},
		{"S1 authorization code", "/oauth2/token", "shop", personal, func() []string {
			return []string{"grant_type", "authorization_code", "code", d.code(), "redirect_uri", callback}
		}},
		{"S2 password", idaasToken, "idaas", opaque, func() []string {
			return []string{"grant_type", "password", "username", "alice", "password", password}
		}},
		{"S3 by SMS", "/oauth2/token", "shop", personal, func() []string {
			token, code := d.otp("13612345670")
			return []string{"grant_type", sms, "auth_source_id", "sms", "phone_number", "13612345670", "otp_token", token, "otp", code}
		}},
		{"S3 by e-mail", "/oauth2/token", "shop", personal, func() []string {
			token := d.ask("shop", "email", "alice@example.com", "auth_source_id", "mail")
			return []string{"grant_type", mail, "auth_source_id", "mail", "email", "alice@example.com", "otp_token", token, "otp", d.post.code("alice@example.com")}
		}},
		{"S4 client credentials", "/oauth2/token", "shop", machine, func() []string {
			return []string{"grant_type", "client_credentials", "scope", "identity_proofing"}
		}},
		{"2.1.4 refresh", "/oauth2/token", "shop", personal, func() []string {
			a := d.good(form("grant_type", "password", "client_id", "shop", "client_secret", secret, "auth_source_id", "staff", "username", "alice", "password", password))
			return []string{"grant_type", "refresh_token", "refresh_token", a.text(t, "refresh_token")}
		}},
	} {
		for _, how := range spellings(c.path) {
			t.Run(c.document+", "+how.name, func(t *testing.T) {
				a := how.send(d.server, c.path, c.client, odd, c.pairs())
				if a.status != http.StatusOK {
					t.Fatalf("%d %s", a.status, a.body)
				}
				described(t, a, false)
				c.want.compare(t, c.client, a)
			})
		}
	}
}

func (s sample) compare(t *testing.T, client string, a answer) {
	t.Helper()
	if got := keys(t, a.body); got != s.members {
		t.Errorf("members: %s", got)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(a.body), &members); err != nil {
		t.Fatal(err)
	}
	for name, pattern := range s.holds {
		value := string(members[name])
		if text := strings.HasPrefix(value, `"`); text == (name == "expires_in") {
			t.Errorf("%s is of another type: %s", name, value)
		}
		if value = strings.Trim(value, `"`); !regexp.MustCompile(pattern).MatchString(value) {
			t.Errorf("%s: %q, want %s", name, value, pattern)
		}
	}
	if s.access == "" {
		return
	}
	s.claims(t, client, a.text(t, "access_token"), s.access, 300)
	if s.id != "" {
		s.claims(t, client, a.text(t, "id_token"), s.id, 1800)
	}
}

// claims are section 1.3: `aud` is a text, the scope a list, `nbf` is `iat`.
func (s sample) claims(t *testing.T, client, raw, names string, lifetime int64) {
	t.Helper()
	header, payload := decoded(t, raw)
	if keys(t, header) != s.header || keys(t, payload) != names {
		t.Errorf("%s %s", header, payload)
	}
	var c struct {
		Aud, Azp, Iss string
		Scope         []string
		Nbf, Exp, Iat int64
	}
	if err := json.Unmarshal([]byte(payload), &c); err != nil {
		t.Fatal(err)
	}
	isAccess := strings.Contains(names, "scope")
	if c.Aud != client || c.Iss != "https://auth.example.com" || c.Exp-c.Iat != lifetime || isAccess && (c.Nbf != c.Iat || len(c.Scope) != 1) || !isAccess && c.Azp != client {
		t.Errorf("%+v", c)
	}
}
