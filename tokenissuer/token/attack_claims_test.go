package token_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

func TestClaimAttacks(t *testing.T) {
	f := newForger(t)
	var all []attack
	add := func(want error, name, claim string, values ...any) {
		for _, v := range values {
			shown, _ := json.Marshal(v)
			all = append(all, attack{fmt.Sprintf("%s %s %s", name, claim, shown), forge(f.header(nil), payload(map[string]any{claim: v}), f.rs256), want})
		}
	}
	number := func(s string) json.RawMessage { return json.RawMessage(s) }
	now := testNow.Unix()

	add(token.ErrMalformed, "A14", "exp", nil)
	add(token.ErrExpired, "A14", "exp", now-600, now-1, now, 0, -1, number("1e3"), number("1800000000.9"))
	add(token.ErrMalformed, "A15", "exp", fmt.Sprint(now+300), "2030-01-01T00:00:00Z", true, null, []int64{now + 300}, map[string]int{"a": 1})
	add(token.ErrMalformed, "A15", "exp", number("1e400"), number("9223372036854775807"), number("-1e300"))
	add(token.ErrNotYet, "A18", "nbf", now+1, now+3600)
	add(token.ErrNotYet, "A18", "iat", now+1, now+3600)
	add(token.ErrMalformed, "A18", "nbf", "1", true, null, []int{1})
	add(token.ErrMalformed, "A18", "iat", "1", true, null, []int{1})

	add(token.ErrIssuer, "A19", "iss", "https://other.example", testIssuer+".evil", testIssuer+"/", "HTTPS://AUTH.EXAMPLE.COM", " "+testIssuer, "", nil)
	add(token.ErrMalformed, "A19", "iss", []string{testIssuer}, 1, null)

	add(token.ErrAudience, "A20", "aud", "other", "sho", "shopp", "SHOP", "", "shop,other", "shop other", []string{"other"}, []string{""})
	add(token.ErrMalformed, "A20", "aud", nil, []string{}, []any{nil}, []any{[]string{"shop"}}, map[string]string{"shop": "shop"}, 1, null, []any{"shop", 1})

	add(token.ErrMalformed, "sub", "sub", nil, "", 1, null, []string{"alice"})
	add(token.ErrMalformed, "sub of somebody else with blanks", "sub", "ad\x01min", "admin\n", " admin", "admin ", "\tadmin", "a\x7f")
	add(token.ErrType, "H08 H17 bound to a proof", "cnf", map[string]any{"jkt": "x"}, map[string]any{}, "x")
	add(token.ErrMalformed, "jti", "jti", 1, null)
	add(token.ErrMalformed, "client", "client_id", 1, null, []string{"shop"})
	add(token.ErrMalformed, "scope", "scope", 1, null, true, []any{nil}, []any{"a", 1}, map[string]string{})
	add(token.ErrType, "A22 own access tokens have", "scope", nil)
	add(token.ErrType, "A22 own access tokens have no", "azp", "shop")
	add(token.ErrType, "A22 own access tokens have no", "nonce", "n")

	good := payload(nil)
	for name, text := range map[string]string{
		"array": "[" + good + "]", "string": `"a"`, "null": "null", "number": "1", "nothing": " ", "byte order mark": "\ufeff" + good,
		"trailing object": good + "{}", "sub twice": `{"sub":"admin",` + good[1:], "nested twice": `{"x":{"a":1,"a":2},` + good[1:], "broken UTF-8": "{\"x\":\"\xff\"," + good[1:],
	} {
		all = append(all, attack{"A28 payload " + name, forge(f.header(nil), text, f.rs256), token.ErrMalformed})
	}
	all = append(all, attack{"A28 payload empty", forge(f.header(nil), "", f.rs256), token.ErrMalformed})
	refuseAll(t, f.keys, ownWant, all)
}

// A22: the ID token of the same sign-in, made by the code that makes them.
func TestIDTokenIsNoAccessToken(t *testing.T) {
	f := newForger(t)
	identity := token.Identity{Issuer: testIssuer, Subject: "alice", ClientID: "shop", ID: "1", IssuedAt: testNow, Expires: testNow.Add(time.Hour)}
	for name, with := range map[string]func(){
		"plain":             func() {},
		"with nonce":        func() { identity.Nonce = "n" },
		"with extra claims": func() { identity.Extra = map[string]any{"email": "a@example.com"} },
	} {
		with()
		text, err := identity.Payload()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := f.rsa.Sign(token.TypeJWT, text)
		if err != nil {
			t.Fatal(err)
		}
		for whose, want := range map[string]token.Want{"own": ownWant, "foreign": leniency} {
			if _, err := token.Verify(raw, f.keys, want, testNow); !errors.Is(err, token.ErrType) {
				t.Errorf("%s, %s: %v; want %v", name, whose, err, token.ErrType)
			}
		}
	}
}

// A18: what a clock that is off by 30 seconds excuses, and what it does not.
func TestForeignClocksMayDiffer(t *testing.T) {
	f := newForger(t)
	now := testNow.Unix()
	for _, c := range []struct {
		claim string
		value int64
		want  error
	}{
		{"exp", now + 300, nil},
		{"exp", now - 29, nil},
		{"exp", now - 30, token.ErrExpired},
		{"exp", now - 31, token.ErrExpired},
		{"nbf", now + 30, nil},
		{"nbf", now + 31, token.ErrNotYet},
		{"nbf", now + 3600, token.ErrNotYet},
		{"iat", now + 30, nil},
		{"iat", now + 31, token.ErrNotYet},
		{"iat", now + 3600, token.ErrNotYet},
	} {
		raw := forge(f.header(nil), payload(map[string]any{c.claim: c.value}), f.rs256)
		if _, err := token.Verify(raw, f.keys, leniency, testNow); !errors.Is(err, c.want) {
			t.Errorf("%s %+d: %v, want %v", c.claim, c.value-now, err, c.want)
		}
		if _, err := token.Verify(raw, f.keys, ownWant, testNow); c.value != now+300 && err == nil {
			t.Errorf("%s %+d: our own clock was excused", c.claim, c.value-now)
		}
	}
}

// Access tokens as other issuers make them.
func TestForeignAccessTokens(t *testing.T) {
	f := newForger(t)
	for _, c := range []struct {
		name   string
		header map[string]any
		claims map[string]any
		client string
		want   error
	}{
		{"RFC 9068", map[string]any{"typ": "at+jwt"}, map[string]any{"client_id": "app", "scope": "a b"}, "app", nil},
		{"without typ", map[string]any{"typ": nil}, nil, "", nil},
		{"with azp and scope", nil, map[string]any{"azp": "app"}, "app", nil},
		{"with scp", nil, map[string]any{"scope": nil, "scp": "a"}, "", nil},
		{"neither scope nor client", nil, map[string]any{"scope": nil}, "", token.ErrType},
		{"only azp: an ID token", nil, map[string]any{"scope": nil, "azp": "app"}, "", token.ErrType},
		{"at_hash: an ID token", nil, map[string]any{"at_hash": "x"}, "", token.ErrType},
		{"H08 bound to a key by DPoP", nil, map[string]any{"cnf": map[string]any{"jkt": "x"}}, "", token.ErrType},
		{"H08 and RFC 9068", map[string]any{"typ": "at+jwt"}, map[string]any{"client_id": "app", "cnf": map[string]any{"jkt": "x"}}, "", token.ErrType},
		{"H17 bound to a certificate", nil, map[string]any{"cnf": map[string]any{"x5t#S256": "x"}}, "", token.ErrType},
		{"token_use id", nil, map[string]any{"token_use": "id"}, "", token.ErrType},
		{"token_use access", nil, map[string]any{"token_use": "access"}, "", nil},
		{"a refresh token by its claim typ", nil, map[string]any{"client_id": "app", "typ": "Refresh"}, "", token.ErrType},
		{"typ no text", nil, map[string]any{"typ": []string{"Bearer"}}, "", token.ErrType},
		{"typ Bearer", nil, map[string]any{"typ": "Bearer"}, "", nil},
		{"logout token", map[string]any{"typ": "logout+jwt"}, nil, "", token.ErrType},
	} {
		raw := forge(f.header(c.header), payload(c.claims), f.rs256)
		claims, err := token.Verify(raw, f.keys, leniency, testNow)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		// The audience of a foreign token is this gate, and never its client.
		if err == nil && claims.ClientID != c.client {
			t.Errorf("%s: client %q, want %q", c.name, claims.ClientID, c.client)
		}
	}
}

// L03: how scopes are read.
func TestScopesAreNotGuessed(t *testing.T) {
	f := newForger(t)
	for _, c := range []struct {
		claims map[string]any
		want   []string
	}{
		{map[string]any{"scope": []string{"read", "admin"}}, []string{"read", "admin"}},
		{map[string]any{"scope": []string{"read admin"}}, []string{"read admin"}},
		{map[string]any{"scope": []string{"read,admin"}}, []string{"read,admin"}},
		{map[string]any{"scope": []string{}}, nil},
		{map[string]any{"scope": "read admin"}, []string{"read", "admin"}},
		{map[string]any{"scope": "read,admin"}, []string{"read,admin"}},
		{map[string]any{"scope": "read\tadmin"}, []string{"read\tadmin"}},
		{map[string]any{"scope": "read  admin"}, []string{"read", "admin"}},
		{map[string]any{"scope": ""}, nil},
		{map[string]any{"scope": "read", "scp": "admin"}, []string{"read"}},
		{map[string]any{"scope": nil, "scp": []string{"admin"}, "client_id": "a"}, nil},
	} {
		claims, err := token.Verify(forge(f.header(nil), payload(c.claims), f.rs256), f.keys, leniency, testNow)
		if err != nil {
			t.Errorf("%v: %v", c.claims, err)
		} else if !slices.Equal(claims.Scopes, c.want) {
			t.Errorf("%v: %q, want %q", c.claims, claims.Scopes, c.want)
		}
	}
}

func TestClaimText(t *testing.T) {
	f := newForger(t)
	raw := forge(f.header(nil), payload(map[string]any{
		"groups": []any{"a", "b", 3, true, null, ""}, "teams": []any{"a", "team admin"}, "tabs": []any{"a\tb"}, "nested": []any{"a", []any{"b", "c"}}, "level": json.RawMessage("1.50"), "vip": false, "address": map[string]any{"city": "Ulm <x>"}, "nothing": null, "empty": "",
	}), f.rs256)
	claims, err := token.Verify(raw, f.keys, ownWant, testNow)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"sub": "alice", "groups": "a b 3 true", "teams": "", "tabs": "", "nested": "", "level": "1.50", "vip": "false", "address": `{"city":"Ulm <x>"}`, "nothing": "", "empty": "", "absent": "", "exp": "1800000300",
	} {
		if got := claims.Text(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// An error goes to the log, and a token is not for the log.
func TestErrorsHoldNoPieceOfTheToken(t *testing.T) {
	f := newForger(t)
	for _, with := range []map[string]any{
		{"kid": "SECRETSECRET"}, {"alg": "SECRETSECRET"}, {"typ": "SECRETSECRET"}, {"crit": "SECRETSECRET"}, {"kid": []string{"SECRETSECRET"}},
	} {
		_, err := token.Verify(forge(f.header(with), payload(nil), f.rs256), f.keys, ownWant, testNow)
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%v: %v", with, err)
		}
	}
	for _, text := range []string{`{"SECRETSECRET":1,"SECRETSECRET":2}`, `{"sub":SECRETSECRET}`, `{"exp":"SECRETSECRET"}`} {
		_, err := token.Verify(forge(f.header(nil), text, f.rs256), f.keys, ownWant, testNow)
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
