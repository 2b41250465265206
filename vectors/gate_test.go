package vectors

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

const (
	issuer   = "https://vectors.example"
	audience = "https://api.example.com"
)

// claims are those of an access token; the payloads of the vectors are none.
func claims(t *testing.T) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"iss": issuer, "aud": audience, "sub": "alice", "client_id": "app", "exp": time.Now().Add(time.Hour).Unix(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// door is a gate that trusts one key set.
type door struct {
	keys *token.Set
	gate *gate.Gate
}

// underTest is whose code verifies: OpenSSL's in builds with its tag.
var underTest = func() token.Crypto {
	if token.OpenSSL.Check() == nil {
		return token.OpenSSL
	}
	return token.Go
}()

func open(t *testing.T, keys []byte) *door {
	t.Helper()
	set, err := underTest.ParseJWKS(keys)
	if err != nil {
		return nil
	}
	cache, err := gate.NewCache(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	g, err := gate.New(gate.Config{Issuers: []gate.Issuer{
		{Identifier: issuer, Keys: set, Audiences: []string{audience}, Leeway: 30 * time.Second},
	}}, cache)
	if err != nil {
		t.Fatal(err)
	}
	return &door{set, g}
}

// passes says whether a token opens the gate, and that a refusal is one.
func (d *door) passes(t *testing.T, raw string) bool {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://app.example.com/", nil)
	r.Header.Set("Authorization", "Bearer "+raw)
	_, err := d.gate.Check(r, time.Now())
	if refusal, ok := errors.AsType[*gate.Refusal](err); err != nil && (!ok || refusal.Status != http.StatusUnauthorized || refusal.Claims != nil) {
		t.Errorf("refused, but not as a token that did not verify: %+v", err)
	}
	return err == nil
}

// verifies says whether a key of the set has signed the text, whatever it says.
func (d *door) verifies(raw string) bool {
	sealed, err := token.Parse(raw)
	if err != nil {
		return false
	}
	_, key, _ := sealed.Open(d.keys, true)
	return key.Key != nil
}

// what became of the vectors, by kind.
type tally map[string]int

func (got tally) want(t *testing.T, want tally) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Every invalid vector is refused, and a token that differs from it in nothing
// but being good passes: what refuses is the vector and not the gate. Every
// valid one of an algorithm that is supported verifies; its payload is no claim
// set, so it is refused for that, and the same header over claims passes.
func TestSignatureVectors(t *testing.T) {
	seen := tally{}
	for n, g := range read(t, files[0]) {
		t.Run(fmt.Sprintf("%d %s", n, g.Comment), func(t *testing.T) { g.judge(t, seen) })
	}
	seen.want(t, tally{
		"invalid": 355, "valid": 26, "valid, empty payload": 6, "valid, HMAC": 10, "valid, by another algorithm than the key's": 4,
	})
}

func TestKeyVectors(t *testing.T) {
	seen := tally{}
	for n, g := range read(t, files[1]) {
		t.Run(fmt.Sprintf("%d %s", n, g.Comment), func(t *testing.T) { g.judge(t, seen) })
	}
	seen.want(t, tally{"invalid": 21, "valid": 1, "valid, HMAC": 4})
}

func (g group) judge(t *testing.T, seen tally) {
	for _, v := range g.Tests {
		t.Run(fmt.Sprintf("%d %s", v.ID, v.Comment), func(t *testing.T) {
			kind := g.kind(v)
			seen[kind]++
			d := beside(t, g.keys()...)
			if d.passes(t, v.token()) {
				t.Error("it passed")
			}
			if got, want := d.verifies(v.token()), kind == "valid"; got != want {
				t.Errorf("the signature is taken for good: %v, want %v", got, want)
			}
			switch kind {
			case "valid", "valid, empty payload":
				g.control(t, v, g.keys()[0])
			case "valid, by another algorithm than the key's":
				// The key as it should have been written.
				mended := with(t, g.keys()[0], "alg", v.header().Alg)
				if !beside(t, mended).verifies(v.token()) {
					t.Error("not even by a key of its algorithm")
				}
				g.control(t, v, mended)
			case "invalid":
				g.attacker(t, d)
			}
		})
	}
}

// kind says what is to become of a vector, and why where that is not as its
// authors say.
func (g group) kind(v vector) string {
	switch h := v.header(); {
	case !v.valid():
		return "invalid"
	case kty(g.keys()[0]) == "oct":
		return "valid, HMAC"
	case !v.hasPayload():
		return "valid, empty payload" // a good JWS, and no JWT
	case alg(g.keys()[0]) != h.Alg:
		return "valid, by another algorithm than the key's" // RFC 8725 §3.1
	default:
		return "valid"
	}
}

func alg(key json.RawMessage) string { return text(key, "alg") }

func kty(key json.RawMessage) string { return text(key, "kty") }

func text(key json.RawMessage, name string) string {
	var members map[string]any
	_ = json.Unmarshal(key, &members)
	value, _ := members[name].(string)
	return value
}

// control wants that claims under the vector's header, signed by its key, pass.
func (g group) control(t *testing.T, v vector, key json.RawMessage) {
	t.Helper()
	h := v.header()
	raw, err := sign(keysOf(g.Private)[0], h.Alg, h.Kid, claims(t))
	if err != nil {
		t.Fatal(err)
	}
	if d := open(t, keySet(t, key)); d == nil || !d.passes(t, raw) {
		t.Error("the same header over claims was refused")
	}
}

// attacker signs good claims with the private keys of the group: they pass where
// a key of that name may verify, and only there.
func (g group) attacker(t *testing.T, d *door) {
	t.Helper()
	for _, private := range keysOf(g.Private) {
		var k struct{ Alg, Kid, Kty string }
		if err := json.Unmarshal(private, &k); err != nil {
			t.Fatal(err)
		}
		if !supported[k.Alg] {
			k.Alg = map[string]string{"RSA": "RS256", "EC": "ES256", "oct": "HS256"}[k.Kty]
		}
		raw, err := sign(private, k.Alg, k.Kid, claims(t))
		if err != nil {
			continue // nobody could sign with it
		}
		if _, want := d.keys.Key(k.Kid); d.passes(t, raw) != want {
			t.Errorf("claims signed by the group's key %s: want them to pass: %v", k.Kid, want)
		}
	}
}

var supported = map[string]bool{
	"RS256": true, "RS384": true, "RS512": true, "PS256": true, "PS384": true, "PS512": true, "ES256": true, "ES384": true, "ES512": true, "EdDSA": true,
}

// beside is a gate that trusts the keys and one more, whose tokens pass: no key of
// a set keeps the others from working.
func beside(t *testing.T, keys ...json.RawMessage) *door {
	t.Helper()
	good := oneMore
	d := open(t, keySet(t, append(keys, good.public)...))
	raw, err := sign(good.private, "ES256", "one-more", claims(t))
	if err != nil {
		t.Fatal(err)
	}
	if d == nil || !d.passes(t, raw) {
		t.Fatal("the token of another key of the set was refused")
	}
	return d
}
