package gate_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// What a refused client is told (RFC 6750 §3) and what the log is told.
func TestRefusals(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Audiences: []string{"shop"}, Scopes: []string{"orders:read", "orders:write"}, Claims: []gate.Claim{{"level", []string{"2"}}}})
	const realm = `Bearer realm="gatehouse"`
	const invalid = realm + `, error="invalid_token", error_description="`
	signed := func(change func(a *tokenAccess)) string {
		a := s.access("alice")
		a.Scopes = []string{"orders:read", "orders:write"}
		a.Extra = map[string]any{"level": 2}
		change(a)
		return s.signed(t, a)
	}
	good := signed(func(*tokenAccess) {})
	head, rest, _ := strings.Cut(good, ".")
	identity := `{"sub":"alice","aud":"shop","azp":"shop","iss":"` + issuer + `","exp":1800000900,"iat":1800000000,"jti":"1"}`
	s.revoked.tokens["jti-revoked"] = true
	encode := base64.RawURLEncoding.EncodeToString
	for _, c := range []struct {
		name          string
		authorization []string
		status        int
		challenge     string
		reason        oauth.Reason
	}{
		{"B12 none", nil, 401, realm, oauth.NoBearerToken},
		{"B11 no scheme", []string{good}, 401, realm, oauth.NoBearerToken},
		{"B11 Basic", []string{"Basic " + good}, 401, realm, oauth.NoBearerToken},
		{"B11 Token", []string{"Token " + good}, 401, realm, oauth.NoBearerToken},
		{"B11 DPoP", []string{"DPoP " + good}, 401, realm, oauth.NoBearerToken},
		{"B11 Bearer alone", []string{"Bearer"}, 401, invalid + `the access token is not valid"`, oauth.BadBearerToken},
		{"B11 trailing garbage", []string{"Bearer " + good + " x"}, 401, invalid + `the access token is not valid"`, oauth.BadBearerToken},
		{"B09 bad and good", []string{"Bearer x.y.z", "Bearer " + good}, 400, realm + `, error="invalid_request", error_description="more than one Authorization field"`, oauth.BadBearerToken},
		{"B09 good and bad", []string{"Bearer " + good, "Bearer x.y.z"}, 400, realm + `, error="invalid_request", error_description="more than one Authorization field"`, oauth.BadBearerToken},
		{"B09 two in one field", []string{"Bearer " + good + ", Bearer " + good}, 401, invalid + `the access token is not valid"`, oauth.BadBearerToken},
		{"A33 JSON", []string{`Bearer {"payload":"e30"}`}, 401, invalid + `the access token is not valid"`, oauth.BadBearerToken},
		{"A40 opaque", []string{"Bearer " + strings.Repeat("a", 128)}, 401, invalid + `the access token is not valid"`, gate.MalformedToken},
		{"A34 huge", []string{"Bearer " + strings.Repeat("A", 50_000)}, 401, invalid + `the access token is not valid"`, gate.TokenTooLarge},
		{"A01 none", []string{"Bearer " + encode([]byte(`{"kid":"`+s.key.ID+`","typ":"JWT","alg":"none"}`)) + "." + rest}, 401, invalid + `the access token is not valid"`, gate.WrongAlgorithm},
		{"A05 unknown kid", []string{"Bearer " + encode([]byte(`{"kid":"../../dev/null","typ":"JWT","alg":"ES256"}`)) + "." + rest}, 401, invalid + `the access token is not valid"`, gate.UnknownKey},
		{"A30 another signature", []string{"Bearer " + head + "." + encode([]byte(identity)) + rest[strings.Index(rest, "."):]}, 401, invalid + `the access token is not valid"`, gate.WrongSignature},
		{"A14 expired", []string{"Bearer " + signed(func(a *tokenAccess) { a.Expires = s.now })}, 401, invalid + `the access token expired"`, gate.ExpiredToken},
		{"A18 not yet", []string{"Bearer " + signed(func(a *tokenAccess) { a.IssuedAt = s.now.Add(time.Second) })}, 401, invalid + `the access token is not valid yet"`, gate.NotYetValid},
		{"A19 issuer", []string{"Bearer " + signed(func(a *tokenAccess) { a.Issuer += "/" })}, 401, invalid + `the access token is not valid"`, gate.WrongIssuer},
		{"A20 audience", []string{"Bearer " + signed(func(a *tokenAccess) { a.Audience = "other" })}, 401, invalid + `the access token is for another audience"`, gate.WrongAudience},
		{"A22 ID token", []string{"Bearer " + s.signedText(t, "JWT", identity)}, 401, invalid + `this is not an access token"`, gate.WrongTokenType},
		{"A39 revoked", []string{"Bearer " + signed(func(a *tokenAccess) { a.ID = "jti-revoked" })}, 401, invalid + `the access token was revoked"`, oauth.RevokedToken},
		{
			"scope",
			[]string{"Bearer " + signed(func(a *tokenAccess) { a.Scopes = []string{"orders:read"} })},
			403, realm + `, error="insufficient_scope", error_description="the access token lacks: orders:write", scope="orders:read orders:write"`, oauth.MissingScope,
		},
		{
			"claim",
			[]string{"Bearer " + signed(func(a *tokenAccess) { a.Extra = nil })},
			403, realm + `, error="insufficient_scope", error_description="the access token lacks a claim"`, gate.MissingClaim,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request("")
			if c.authorization != nil {
				r.Header["Authorization"] = c.authorization
			}
			_, err := g.Check(r, s.now)
			got := refusal(t, err)
			if got.Status != c.status || got.Challenge != c.challenge || got.Reason != c.reason {
				t.Errorf("%d %s\n%s (%v)\nwant %d %s\n%s", got.Status, got.Reason, got.Challenge, err, c.status, c.reason, c.challenge)
			}
			if (got.Claims != nil) != (c.status == 403 || got.Reason == gate.ExpiredToken || got.Reason == gate.NotYetValid ||
				got.Reason == gate.WrongAudience || got.Reason == oauth.RevokedToken) {
				t.Errorf("%s: claims of a token that did not verify, or none of one that did: %v", got.Reason, got.Claims)
			}
		})
	}
	for _, scheme := range []string{"Bearer", "bearer", "BEARER"} { // B10
		r := request("")
		r.Header.Set("Authorization", scheme+" "+good)
		if _, err := g.Check(r, s.now); err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

// B12: a token is only taken from where it belongs.
func TestTokenElsewhereIsNoToken(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{})
	raw := s.sign(t, "alice")
	r := request("")
	r.URL.RawQuery = "access_token=" + raw
	r.Header.Set("Cookie", "access_token="+raw)
	r.Header.Set("X-Access-Token", raw)
	r.Header.Set("Proxy-Authorization", "Bearer "+raw)
	_, err := g.Check(r, s.now)
	wantReason(t, err, oauth.NoBearerToken)
}

// B26: a page shown for the error must not get what the request was refused with.
func TestWithholdTakesTheCredentials(t *testing.T) {
	r := request("a.b.c")
	gate.Withhold(r.Header)
	if r.Header["Authorization"] != nil || r.Header["Cookie"] != nil || r.Header.Get("Accept") == "" {
		t.Errorf("%v", r.Header)
	}
}
