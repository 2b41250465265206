package token_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

var algorithms = []token.Algorithm{token.RS256, token.PS256, token.ES256, token.EdDSA}

func TestKeySurvivesItsStorage(t *testing.T) {
	for _, alg := range algorithms {
		key := generate(t, alg)
		der, err := key.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := token.ParseKey(key.ID, alg, der)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := again.Sign(token.TypeJWT, []byte(payload(nil)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := token.Verify(raw, token.NewRing([]*token.Key{key}), ownWant, testNow); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if !again.Public().Same(key.Public()) || key.Public().Same(generate(t, alg).Public()) {
			t.Errorf("%s: Same does not tell keys apart", alg)
		}
	}
}

func TestHeaderIsExactly(t *testing.T) {
	for _, alg := range algorithms {
		key := generate(t, alg)
		for _, typ := range []string{token.TypeJWT, token.TypeAccess, "logout+jwt"} {
			raw, err := key.Sign(typ, []byte(`{}`))
			if err != nil {
				t.Fatal(err)
			}
			head, err := base64.RawURLEncoding.DecodeString(raw[:strings.Index(raw, ".")])
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(`{"kid":"%s","typ":"%s","alg":"%s"}`, key.ID, typ, alg); string(head) != want {
				t.Errorf("%s, want %s", head, want)
			}
		}
	}
}

func TestUnfitKeysAreRefused(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		id   string
		alg  token.Algorithm
		key  any
	}{
		{"RSA of 1024 bits", "k", token.RS256, small},
		{"P-384 for ES256", "k", token.ES256, p384},
		{"Ed25519 for RS256", "k", token.RS256, ed},
		{"no id", "", token.EdDSA, ed},
		{"no algorithm", "k", "", ed},
		{"HS256", "k", "HS256", ed},
	} {
		der, err := x509.MarshalPKCS8PrivateKey(c.key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := token.ParseKey(c.id, c.alg, der); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
	if _, err := token.ParseKey("k", token.RS256, []byte("junk")); err == nil {
		t.Error("junk: accepted")
	}
	if _, err := token.ParseAlgorithm("none"); err == nil {
		t.Error("none: accepted")
	}
}

func TestKeysKeepQuiet(t *testing.T) {
	key := generate(t, token.EdDSA)
	der, err := key.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, key); s != "key "+key.ID {
			t.Errorf("%s prints %q, of %d secret bytes", verb, s, len(der))
		}
	}
}

// What the ring publishes is what verifies: read back, it is the same keys.
func TestPublishedKeysReadBack(t *testing.T) {
	var keys []*token.Key
	for _, alg := range algorithms {
		keys = append(keys, generate(t, alg))
	}
	ring := token.NewRing(keys)
	set, err := token.ParseJWKS(ring.JWKS(testNow))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if p, ok := set.Key(key.ID); !ok || !p.Same(key.Public()) {
			t.Errorf("%s: %+v", key.Algorithm, p)
		}
	}
	if _, ok := set.Key(""); ok {
		t.Error("a token that names none of several keys found one")
	}
}

func TestJWKMembersStandAsDocumented(t *testing.T) {
	want := map[token.Algorithm][]string{
		token.RS256: {"kty", "e", "kid", "n", "use", "alg"},
		token.ES256: {"kty", "crv", "kid", "x", "y", "use", "alg"},
		token.EdDSA: {"kty", "crv", "kid", "x", "use", "alg"},
	}
	for alg, names := range want {
		text := token.NewRing([]*token.Key{generate(t, alg)}).JWKS(testNow)
		dec := json.NewDecoder(bytes.NewReader(text))
		var got []string
		for inside, i := false, 0; dec.More() || !inside; i++ {
			tok, err := dec.Token()
			if err != nil {
				t.Fatal(err)
			}
			if !inside {
				inside = i == 3 // { "keys" [ {
				continue
			}
			name, isName := tok.(string)
			if !isName {
				t.Fatalf("%s", text)
			}
			got = append(got, name)
			if _, err := dec.Token(); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(got, names) {
			t.Errorf("%s: %q, want %q", alg, got, names)
		}
	}
}

func TestForeignKeySets(t *testing.T) {
	good := generate(t, token.ES256)
	var published struct{ Keys []map[string]any }
	if err := json.Unmarshal(token.NewRing([]*token.Key{good}).JWKS(testNow), &published); err != nil {
		t.Fatal(err)
	}
	with := func(change map[string]any) string {
		base := map[string]any{}
		for name, v := range published.Keys[0] {
			base[name] = v
		}
		return object(base, change)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	for _, c := range []struct {
		name, key string
		accepted  bool
	}{
		{"as published", with(nil), true},
		{"without alg and use", with(map[string]any{"alg": nil, "use": nil}), true},
		{"verify", with(map[string]any{"key_ops": []string{"verify"}, "use": nil}), true},
		{"without kid", with(map[string]any{"kid": nil}), true},
		{"of another algorithm", with(map[string]any{"alg": "RS256"}), false},
		{"alg none", with(map[string]any{"alg": "none"}), false},
		{"alg HS256", with(map[string]any{"alg": "HS256"}), false},
		{"for encryption", with(map[string]any{"use": "enc"}), false},
		{"for signing only", with(map[string]any{"key_ops": []string{"sign"}}), false},
		{"off the curve", with(map[string]any{"x": b64(make([]byte, 32))}), false},
		{"symmetric", `{"kty":"oct","kid":"k","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}`, false},
		{"RSA of 1024 bits", fmt.Sprintf(`{"kty":"RSA","kid":"k","e":"AQAB","n":"%s"}`, b64(small.N.Bytes())), false},
		{"unknown kind", `{"kty":"XYZ","kid":"k"}`, false},
		{"private", fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":"k","x":"%s","d":"%s"}`, b64(make([]byte, 32)), b64(make([]byte, 32))), false},
		{"short Ed25519", `{"kty":"OKP","crv":"Ed25519","kid":"k","x":"AAAA"}`, false},
		{"X25519", fmt.Sprintf(`{"kty":"OKP","crv":"X25519","kid":"k","x":"%s"}`, b64(make([]byte, 32))), false},
		{"not an object", `1`, false},
	} {
		_, err := token.ParseJWKS([]byte(`{"keys":[` + c.key + `]}`))
		if (err == nil) != c.accepted {
			t.Errorf("%s: %v", c.name, err)
		}
		// A bad key takes no good one with it.
		other := generate(t, token.EdDSA)
		set, err := token.ParseJWKS(bytes.Replace(token.NewRing([]*token.Key{other}).JWKS(testNow), []byte("]"), []byte(","+c.key+"]"), 1))
		if err != nil {
			t.Errorf("%s beside a good key: %v", c.name, err)
			continue
		}
		if _, ok := set.Key(other.ID); !ok {
			t.Errorf("%s took the good key with it", c.name)
		}
		if left := len(set.LeftOut()); left != 1 && (!c.accepted || c.name == "without kid") || left > 1 {
			t.Errorf("%s: %v are left out", c.name, set.LeftOut())
		}
	}
	for _, text := range []string{"", "{}", `{"keys":[]}`, `{"keys":{}}`, "[]", "null", `{"Keys":1}`} {
		if _, err := token.ParseJWKS([]byte(text)); err == nil {
			t.Errorf("%q: accepted", text)
		}
	}
}

// A foreign token may leave out its kid where there is one key to mean.
func TestTokenWithoutKidMeansTheOnlyKey(t *testing.T) {
	f := newForger(t)
	raw := forge(f.header(map[string]any{"kid": nil}), payload(nil), f.rs256)
	one, err := token.ParseJWKS(token.NewRing([]*token.Key{f.rsa}).JWKS(testNow))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.Verify(raw, one, leniency, testNow); err != nil {
		t.Errorf("one key: %v", err)
	}
	nameless, err := token.ParseJWKS(bytes.Replace(token.NewRing([]*token.Key{f.rsa}).JWKS(testNow), []byte(`"kid":"`+f.rsa.ID+`",`), nil, 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.Verify(forge(f.header(nil), payload(nil), f.rs256), nameless, leniency, testNow); err != nil {
		t.Errorf("one key without a name, a token that names one: %v", err)
	}
	// Of several it could mean any, even where one of them has no name either.
	two := f.keys.JWKS(testNow)
	for _, text := range [][]byte{two, bytes.Replace(two, []byte(`"kid":"`+f.rsa.ID+`",`), nil, 1)} {
		keys, err := token.ParseJWKS(text)
		if err != nil || keys.Len() != 2 {
			t.Fatal(keys.Len(), err)
		}
		if _, err := token.Verify(raw, keys, leniency, testNow); !errors.Is(err, token.ErrUnknownKey) {
			t.Errorf("two keys: %v", err)
		}
	}
}

// Nothing could tell two keys of one name apart: the first is used, and the other
// is not lost in silence.
func TestSecondKeyOfOneNameIsLeftOut(t *testing.T) {
	jwks := token.NewRing([]*token.Key{generate(t, token.EdDSA)}).JWKS(testNow)
	key := bytes.TrimSuffix(bytes.TrimPrefix(jwks, []byte(`{"keys":[`)), []byte("]}"))
	set, err := token.ParseJWKS(bytes.Join([][]byte{[]byte(`{"keys":[`), key, []byte(","), key, []byte("]}")}, nil))
	if err != nil || set.Len() != 1 || len(set.LeftOut()) != 1 {
		t.Fatal(set, err)
	}
}

func TestPayloadsCarryFurtherClaims(t *testing.T) {
	access := token.Access{
		Issuer: testIssuer, Subject: "al\"ice\n", Audience: "shop", ID: "1", IssuedAt: testNow, Expires: testNow.Add(time.Minute),
		ClientID: "app", AuthTime: testNow, Extra: map[string]any{"zeta": 1, "alpha": []string{"<&>"}},
	}
	got, err := access.Payload()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"sub":"al\"ice\n","aud":"shop","nbf":1800000000,"scope":[],"iss":"https://auth.example.com","exp":1800000060,` +
		`"iat":1800000000,"jti":"1","client_id":"app","auth_time":1800000000,"alpha":["<&>"],"zeta":1}`
	if string(got) != want {
		t.Errorf(" got %s\nwant %s", got, want)
	}
	for _, name := range []string{"sub", "scope", "exp"} {
		access.Extra = map[string]any{name: "mine"}
		if _, err := access.Payload(); err == nil {
			t.Errorf("an extra claim took the place of %s", name)
		}
	}
	access.Extra = map[string]any{"bad": func() {}}
	if _, err := access.Payload(); err == nil {
		t.Error("a claim that is no JSON was written")
	}
}
