package gate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// L03: a scope is one that the issuer granted as a whole.
func TestScopesAreWholeWords(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Scopes: []string{"admin"}})
	for claims, passes := range map[string]bool{
		`"scope":["read","admin"]`:      true,
		`"scope":"read admin"`:          true,
		`"scope":["read admin"]`:        false,
		`"scope":["read,admin"]`:        false,
		`"scope":"read,admin"`:          false,
		`"scope":"read\tadmin"`:         false,
		`"scope":["Admin"]`:             false,
		`"scope":["administrator"]`:     false,
		`"scope":[]`:                    false,
		`"scope":[],"scp":["admin"]`:    false,
		`"scope":"","scp":"admin"`:      false,
		`"scp":["admin"]`:               false,
		`"groups":["admin"],"scope":""`: false,
	} {
		if err := through(g, request(s.signedText(t, "JWT", withClaims(claims))), s.now); (err == nil) != passes {
			t.Errorf("%s: %v", claims, err)
		}
	}
}

func withClaims(claims string) string {
	return `{"sub":"alice","aud":"shop","iss":"` + issuer + `","exp":1800000300,"iat":1800000000,"jti":"1",` + claims + `}`
}

// L01: values are compared whole; no line of a policy looks inside of one.
func TestClaimsHoldWholeValues(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Claims: []gate.Claim{{"group", []string{"admin@corp.com", "ops", "7", "true"}}}})
	for value, passes := range map[string]bool{
		`"ops"`: true, `["a","ops"]`: true, `7`: true, `true`: true, `[7]`: true, `["admin@corp.com"]`: true,
		`"a@evil.com@corp.com"`: false, `"admin@corp.com.evil"`: false, `"ADMIN@corp.com"`: false, `"admin@corp.com."`: false,
		`"admin@cоrp.com"`: false, `" ops"`: false, `"ops dev"`: false, `"op"`: false, `""`: false, `null`: false, `7.0`: false, `false`: false,
		`[]`: false, `[["ops"]]`: false, `{"ops":"ops"}`: false, `[{"x":"ops"}]`: false,
	} {
		if err := through(g, request(s.signedText(t, "JWT", withClaims(`"scope":[],"group":`+value))), s.now); (err == nil) != passes {
			t.Errorf("%s: %v", value, err)
		}
	}
	if err := through(g, request(s.sign(t, "alice")), s.now); err == nil {
		t.Error("a token without the claim passed")
	}
}

// L04: every line has to hold; none is a way around another.
func TestEveryLineHasToHold(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{
		Audiences: []string{"shop"}, Scopes: []string{"a", "b"},
		Claims: []gate.Claim{{"level", []string{"1", "2"}}, {"group", []string{"ops"}}},
	})
	full := map[string]any{"aud": "shop", "scope": []string{"a", "b"}, "level": 2, "group": "ops"}
	for name := range full {
		for _, missing := range []bool{false, true} {
			claims := map[string]any{"sub": "alice", "iss": issuer, "exp": s.now.Unix() + 300, "iat": s.now.Unix(), "jti": "1"}
			for n, v := range full {
				if n != name || !missing {
					claims[n] = v
				}
			}
			if missing && name == "scope" {
				claims[name] = []string{"a"}
			}
			text, err := json.Marshal(claims)
			if err != nil {
				t.Fatal(err)
			}
			if err := through(g, request(s.signedText(t, "JWT", string(text))), s.now); (err == nil) == missing {
				t.Errorf("without %s %v: %v", name, missing, err)
			}
		}
	}
}

func TestMistakesInAConfigurationAreRefused(t *testing.T) {
	s := newScene(t)
	foreign := gate.Issuer{Identifier: "https://partner.example", Keys: s.ring, Audiences: []string{"api"}}
	change := func(f func(*gate.Issuer)) []gate.Issuer {
		i := foreign
		f(&i)
		return []gate.Issuer{i}
	}
	ours := []gate.Issuer{s.embedded()}
	for _, c := range []struct {
		name   string
		config gate.Config
		says   string
	}{
		{"no issuer", gate.Config{}, "needs an issuer"},
		{"K08 a foreign issuer without an audience", gate.Config{Audiences: []string{"shop"}, Issuers: change(func(i *gate.Issuer) { i.Audiences = nil })}, "needs an audience"},
		{"an empty audience", gate.Config{Issuers: change(func(i *gate.Issuer) { i.Audiences = []string{""} })}, "empty audience"},
		{"no identifier", gate.Config{Issuers: change(func(i *gate.Issuer) { i.Identifier = "" })}, "identifier"},
		{"no keys", gate.Config{Issuers: change(func(i *gate.Issuer) { i.Keys = nil })}, "needs keys"},
		{"one issuer twice", gate.Config{Issuers: []gate.Issuer{foreign, foreign}}, "stands twice"},
		{"a leeway for our own clock", gate.Config{Issuers: change(func(i *gate.Issuer) { i.Embedded, i.Leeway = true, time.Second })}, "no leeway"},
		{"a negative leeway", gate.Config{Issuers: change(func(i *gate.Issuer) { i.Leeway = -time.Second })}, "negative"},
		{"an empty scope", gate.Config{Issuers: ours, Scopes: []string{""}}, "not a scope"},
		{"two scopes in one", gate.Config{Issuers: ours, Scopes: []string{"a b"}}, "not a scope"},
		{"a claim without values", gate.Config{Issuers: ours, Claims: []gate.Claim{{"groups", nil}}}, "needs a name and values"},
		{"a claim with an empty value", gate.Config{Issuers: ours, Claims: []gate.Claim{{"groups", []string{"a", ""}}}}, "needs a name and values"},
		{"everything excepted", gate.Config{Issuers: ours, Except: []string{"/*"}}, "everything"},
		{"an exception that is no folder", gate.Config{Issuers: ours, Except: []string{"/assets*"}}, "a folder such as"},
		{"an exception in the middle", gate.Config{Issuers: ours, Except: []string{"/a/*/b"}}, "a folder such as"},
		{"a relative exception", gate.Config{Issuers: ours, Except: []string{"healthz"}}, "a path such as"},
		{"an ambiguous exception", gate.Config{Issuers: ours, Except: []string{"/a/../b"}}, "a path such as"},
		{"an encoded exception", gate.Config{Issuers: ours, Except: []string{"/a%2fb"}}, "a path such as"},
		{"an empty exception", gate.Config{Issuers: ours, Except: []string{""}}, "a path such as"},
		{"a header twice", gate.Config{Issuers: ours, Headers: []gate.Header{{"X-A", "1"}, {"x-a", "2"}}}, "stands twice"},
		{"an underscore", gate.Config{Issuers: ours, Headers: []gate.Header{{"X_User", "{claim.sub}"}}}, "letters, digits and -"},
		{"no header name", gate.Config{Issuers: ours, Headers: []gate.Header{{"", "1"}}}, "1 to 63"},
		{"a long header name", gate.Config{Issuers: ours, Headers: []gate.Header{{strings.Repeat("x", 64), "1"}}}, "1 to 63"},
		{"a header of the proxy", gate.Config{Issuers: ours, Headers: []gate.Header{{"host", "{claim.sub}"}}}, "cannot be an identity header"},
		{"an unknown placeholder", gate.Config{Issuers: ours, Headers: []gate.Header{{"X-A", "{env.HOME}"}}}, "{claim.NAME}"},
		{"an open placeholder", gate.Config{Issuers: ours, Headers: []gate.Header{{"X-A", "{claim.sub"}}}, "{claim.NAME}"},
		{"a placeholder without a name", gate.Config{Issuers: ours, Headers: []gate.Header{{"X-A", "{claim.}"}}}, "{claim.NAME}"},
		{"a line break", gate.Config{Issuers: ours, Headers: []gate.Header{{"X-A", "a\nb"}}}, "{claim.NAME}"},
		{"no value", gate.Config{Issuers: ours, Headers: []gate.Header{{"X-A", ""}}}, "{claim.NAME}"},
	} {
		if _, err := gate.New(c.config, s.cache); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.says)
		}
	}
	if _, err := gate.New(gate.Config{Issuers: ours}, nil); err == nil {
		t.Error("no cache: accepted")
	}
	if _, err := gate.NewCache(1); err == nil {
		t.Error("a cache of one byte was made")
	}
}

// A gate that forwards nothing says so by an empty list.
func TestNoHeadersIsNotTheDefault(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Headers: []gate.Header{}})
	r := request(s.sign(t, "alice"))
	r.Header.Set("X-Auth-Subject", "admin")
	if err := through(g, r, s.now); err != nil {
		t.Fatal(err)
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-") {
			t.Errorf("%s: %q", name, r.Header[name])
		}
	}
}

// What placeholders carry.
func TestPassTellsClaims(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Except: []string{"/orders"}})
	anonymous, err := g.Check(request(""), s.now)
	if err != nil {
		t.Fatal(err)
	}
	strict := s.gate(t, gate.Config{})
	p, err := strict.Check(request(s.sign(t, "alice")), s.now)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"sub": "alice", "client_id": "shop", "scope": "openid orders:read", "exp": fmt.Sprint(s.now.Unix() + 299), "nosuch": ""} {
		if got := p.Text(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if got := anonymous.Text(name); got != "" {
			t.Errorf("%s of nobody: %q", name, got)
		}
	}
}

type tokenAccess = token.Access
