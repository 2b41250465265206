package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"hash"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

const testIssuer = "https://auth.example.com"

var (
	testNow  = time.Unix(1_800_000_000, 0)
	ownWant  = token.Want{Issuer: testIssuer, Audiences: []string{"shop"}}
	leniency = token.Want{Issuer: testIssuer, Audiences: []string{"shop"}, Leeway: 30 * time.Second, Foreign: true}
)

// forger writes tokens as an attacker does: any header, any payload, any way
// to sign. It shares nothing with the code under test.
type forger struct {
	rsa, ecdsa *token.Key
	keys       *token.Ring
}

func newForger(t testing.TB) *forger {
	t.Helper()
	f := &forger{rsa: generate(t, token.RS256), ecdsa: generate(t, token.ES256)}
	f.keys = token.NewRing([]*token.Key{f.rsa, f.ecdsa})
	return f
}

// underTest is whose code all tests of the package sign and verify with: OpenSSL's
// in builds with its tag.
var underTest = func() token.Crypto {
	if token.OpenSSL.Check() == nil {
		return token.OpenSSL
	}
	return token.Go
}()

func generate(t testing.TB, alg token.Algorithm) *token.Key {
	t.Helper()
	made, err := token.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	der, err := made.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	key, err := underTest.ParseKey(made.ID, alg, der)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

type sign func(input string) []byte

func (f *forger) rs256(input string) []byte { return rs256(f.rsa.Private)(input) }

func rs256(private crypto.Signer) sign {
	return func(input string) []byte {
		sum := sha256.Sum256([]byte(input))
		s, err := private.Sign(rand.Reader, sum[:], crypto.SHA256)
		if err != nil {
			panic(err)
		}
		return s
	}
}

func pss(private *rsa.PrivateKey, hash crypto.Hash) sign {
	return func(input string) []byte {
		h := hash.New()
		h.Write([]byte(input))
		s, err := rsa.SignPSS(rand.Reader, private, hash, h.Sum(nil), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		if err != nil {
			panic(err)
		}
		return s
	}
}

func es256(private *ecdsa.PrivateKey) sign {
	return func(input string) []byte {
		sum := sha256.Sum256([]byte(input))
		r, s, err := ecdsa.Sign(rand.Reader, private, sum[:])
		if err != nil {
			panic(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
}

func mac(h func() hash.Hash, key []byte) sign {
	return func(input string) []byte {
		m := hmac.New(h, key)
		m.Write([]byte(input))
		return m.Sum(nil)
	}
}

func fixed(signature []byte) sign { return func(string) []byte { return signature } }

func forge(header, payload string, by sign) string {
	input := encode(header) + "." + encode(payload)
	return input + "." + encode(string(by(input)))
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// header is a good header of the RSA key, with members replaced or, by nil, removed.
func (f *forger) header(with map[string]any) string {
	return object(map[string]any{"kid": f.rsa.ID, "typ": "JWT", "alg": "RS256"}, with)
}

// payload is a good payload, with members replaced or, by nil, removed.
func payload(with map[string]any) string {
	return object(map[string]any{
		"sub": "alice", "aud": "shop", "nbf": testNow.Unix(), "scope": []string{"openid"}, "iss": testIssuer,
		"exp": testNow.Unix() + 300, "iat": testNow.Unix(), "jti": "5486a5da-14a6-43dd-81cd-106db05a22ff",
	}, with)
}

// null is a JSON null, where nil means that the member is absent.
var null = json.RawMessage("null")

func object(base, with map[string]any) string {
	for name, value := range with {
		if value == nil {
			delete(base, name)
			continue
		}
		base[name] = value
	}
	text, err := json.Marshal(base)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// good is a token that the table below is a change away from.
func (f *forger) good() string { return forge(f.header(nil), payload(nil), f.rs256) }

func (f *forger) parts() (header, payload, signature string) {
	p := strings.Split(f.good(), ".")
	return p[0], p[1], p[2]
}

func decode(s string) string {
	text, _ := base64.RawURLEncoding.DecodeString(s)
	return string(text)
}
