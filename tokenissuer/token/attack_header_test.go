package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// attack is a token that must be refused, and for this reason: refused for
// another, the case would prove nothing.
type attack struct {
	name string
	raw  string
	want error
}

func refuseAll(t *testing.T, keys token.Keys, want token.Want, attacks []attack) {
	t.Helper()
	if len(attacks) == 0 {
		t.Fatal("no attacks")
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			if _, err := token.Verify(a.raw, keys, want, testNow); !errors.Is(err, a.want) {
				t.Errorf("%v; want %v", err, a.want)
			}
		})
	}
}

func TestGoodTokenIsAccepted(t *testing.T) {
	f := newForger(t)
	private := f.ecdsa.Private.(*ecdsa.PrivateKey)
	for name, raw := range map[string]string{
		"RS256":                 f.good(),
		"ES256":                 forge(f.header(map[string]any{"kid": f.ecdsa.ID, "alg": "ES256"}), payload(nil), es256(private)),
		"at+jwt":                forge(f.header(map[string]any{"typ": "at+jwt"}), payload(nil), f.rs256),
		"application/at+jwt":    forge(f.header(map[string]any{"typ": "application/AT+JWT"}), payload(nil), f.rs256),
		"A21 several audiences": forge(f.header(nil), payload(map[string]any{"aud": []string{"other", "shop"}}), f.rs256),
		"exp with a fraction":   forge(f.header(nil), payload(map[string]any{"exp": json.RawMessage("1800000001.5")}), f.rs256),
	} {
		if _, err := token.Verify(raw, f.keys, ownWant, testNow); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAlgorithmAttacks(t *testing.T) {
	f := newForger(t)
	_, _, goodSignature := f.parts()
	private := f.rsa.Private.(*rsa.PrivateKey)
	var all []attack
	for _, alg := range []any{"none", "None", "NONE", "nOnE", "", nil, 0, []string{"none"}, null} {
		head := f.header(map[string]any{"alg": alg})
		body := encode(head) + "." + encode(payload(nil)) + "."
		name := fmt.Sprintf("A01 alg %#v", alg)
		all = append(all,
			attack{name + " without a signature", body, token.ErrMalformed},
			attack{name + " with the good signature", body + goodSignature, token.ErrAlgorithm},
			attack{name + " signed", forge(head, payload(nil), f.rs256), token.ErrAlgorithm})
	}

	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	jwks := f.keys.JWKS(testNow)
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	point, err := f.ecdsa.Private.Public().(*ecdsa.PublicKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{
		"PEM": block, "PEM without newline": []byte(strings.TrimSpace(string(block))), "DER": der,
		"JWK": set.Keys[0], "JWKS": jwks, "n": private.N.Bytes(), "x": point[1:33], "nothing": {},
	} {
		for alg, h := range map[string]func() hash.Hash{"HS256": sha256.New, "HS512": sha512.New} {
			for _, kid := range []string{f.rsa.ID, f.ecdsa.ID} {
				all = append(all, attack{
					fmt.Sprintf("A02 %s signed with the %s as %.4s", alg, name, kid),
					forge(f.header(map[string]any{"alg": alg, "kid": kid}), payload(nil), mac(h, secret)), token.ErrAlgorithm,
				})
			}
		}
	}

	for _, alg := range []string{"RS384", "RS512", "PS256", "ES256", "EdDSA", "ES256K", "HS256", "rs256", "RS256 "} {
		all = append(all, attack{"A03 header says " + alg, forge(f.header(map[string]any{"alg": alg}), payload(nil), f.rs256), token.ErrAlgorithm})
	}
	all = append(all,
		attack{"A03 signed PS256, and says so", forge(f.header(map[string]any{"alg": "PS256"}), payload(nil), pss(private, crypto.SHA256)), token.ErrAlgorithm},
		attack{"A03 signed PS256, says RS256", forge(f.header(nil), payload(nil), pss(private, crypto.SHA256)), token.ErrSignature},
		attack{"A03 signed by the other key", forge(f.header(nil), payload(nil), es256(f.ecdsa.Private.(*ecdsa.PrivateKey))), token.ErrSignature})
	refuseAll(t, f.keys, ownWant, all)
}

func TestHeaderAttacks(t *testing.T) {
	f := newForger(t)
	stranger := generate(t, token.RS256)
	theirs := rs256(stranger.Private)
	var jwk map[string]any
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(token.NewRing([]*token.Key{stranger}).JWKS(testNow), &set); err != nil {
		t.Fatal(err)
	}
	jwk = set.Keys[0]
	signed := func(with map[string]any) string { return forge(f.header(with), payload(nil), f.rs256) }
	raw := func(header string) string { return forge(header, payload(nil), f.rs256) }
	good := f.header(nil)
	all := []attack{
		{"A05 kid is a path", forge(f.header(map[string]any{"kid": "../../../../dev/null", "alg": "HS256"}), payload(nil), mac(sha256.New, nil)), token.ErrUnknownKey},
		{"A05 kid is SQL", signed(map[string]any{"kid": "x' UNION SELECT 'k'--"}), token.ErrUnknownKey},
		{"A05 kid is a command", signed(map[string]any{"kid": "k|touch pwned"}), token.ErrUnknownKey},
		{"A05 kid absent", signed(map[string]any{"kid": nil}), token.ErrUnknownKey},
		{"A05 kid is a number", signed(map[string]any{"kid": 1}), token.ErrMalformed},
		{"A07 jwk of the attacker", forge(f.header(map[string]any{"kid": stranger.ID, "jwk": jwk}), payload(nil), theirs), token.ErrMalformed},
		{"A07 jwk of the attacker, our kid", forge(f.header(map[string]any{"jwk": jwk}), payload(nil), theirs), token.ErrMalformed},
		{"A08 jku", forge(f.header(map[string]any{"jku": "http://127.0.0.1:1/keys"}), payload(nil), theirs), token.ErrMalformed},
		{"A08 x5u", forge(f.header(map[string]any{"x5u": "http://127.0.0.1:1/cert"}), payload(nil), theirs), token.ErrMalformed},
		{"A09 x5c", forge(f.header(map[string]any{"x5c": []string{"MIIB"}}), payload(nil), theirs), token.ErrMalformed},
		{"signed by a stranger", forge(f.header(nil), payload(nil), theirs), token.ErrSignature},
		{"A10 crit unknown", signed(map[string]any{"crit": []string{"x-unknown"}}), token.ErrMalformed},
		{"A10 crit exp", signed(map[string]any{"crit": []string{"exp"}}), token.ErrMalformed},
		{"A10 crit string", signed(map[string]any{"crit": "exp"}), token.ErrMalformed},
		{"A10 crit null element", signed(map[string]any{"crit": []any{nil}}), token.ErrMalformed},
		{"A10 crit null", signed(map[string]any{"crit": null}), token.ErrMalformed},
		{"b64", signed(map[string]any{"b64": false}), token.ErrMalformed},
		{"A12 alg twice, none first", raw(`{"alg":"none",` + good[1:]), token.ErrMalformed},
		{"A12 alg twice, none last", raw(strings.TrimSuffix(good, "}") + `,"alg":"none"}`), token.ErrMalformed},
		{"A12 alg twice, escaped", raw(strings.TrimSuffix(good, "}") + `,"\u0061lg":"RS256"}`), token.ErrMalformed},
		{"A13 array", raw("[" + good + "]"), token.ErrMalformed},
		{"A13 string", raw(`"RS256"`), token.ErrMalformed},
		{"A13 null", raw("null"), token.ErrMalformed},
		{"A13 trailing object", raw(good + "{}"), token.ErrMalformed},
		{"A13 byte order mark", raw("\ufeff" + good), token.ErrMalformed},
		{"A13 comment", raw("/**/" + good), token.ErrMalformed},
		{"A13 single quotes", raw(strings.ReplaceAll(good, `"`, "'")), token.ErrMalformed},
		{"A13 trailing comma", raw(strings.TrimSuffix(good, "}") + ",}"), token.ErrMalformed},
		{"A13 broken UTF-8", raw(strings.TrimSuffix(good, "}") + ",\"x\":\"\xff\"}"), token.ErrMalformed},
		{"A13 nested deeply", raw(strings.TrimSuffix(good, "}") + `,"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}"), token.ErrMalformed},
		{"typ absent", signed(map[string]any{"typ": nil}), token.ErrType},
		{"typ is a number", signed(map[string]any{"typ": 1}), token.ErrMalformed},
	}
	for _, typ := range []string{
		"dpop+jwt", "logout+jwt", "secevent+jwt", "oauth-authz-req+jwt", "token-introspection+jwt", "client-authentication+jwt", "application/JWT", "id+jwt", " JWT",
	} {
		all = append(all, attack{"A23 typ " + typ, signed(map[string]any{"typ": typ}), token.ErrType})
	}
	refuseAll(t, f.keys, ownWant, all)
}

func TestShapeAttacks(t *testing.T) {
	f := newForger(t)
	h, p, s := f.parts()
	good := h + "." + p + "." + s
	flat, err := json.Marshal(map[string]string{"protected": h, "payload": p, "signature": s})
	if err != nil {
		t.Fatal(err)
	}
	jwe := encode(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"c2FsdA"}`)
	refuseAll(t, f.keys, ownWant, []attack{
		{"nothing", "", token.ErrMalformed},
		{"A33 flattened JSON", string(flat), token.ErrMalformed},
		{"A33 general JSON", `{"payload":"` + p + `","signatures":[{"protected":"` + h + `","signature":"` + s + `"}]}`, token.ErrMalformed},
		{"A33 four segments", good + "." + s, token.ErrMalformed},
		{"A33 five segments", good + "." + s + "." + s, token.ErrMalformed},
		{"A33 trailing dot", good + ".", token.ErrMalformed},
		{"A33 leading dot", "." + good, token.ErrMalformed},
		{"A33 inner space", h + ". " + p + "." + s, token.ErrMalformed},
		{"A33 space inside a part", h + "." + p[:8] + " " + p[8:] + "." + s, token.ErrMalformed},
		// encoding/base64 skips line breaks, even when it is strict.
		{"line break inside a part", h + "." + p[:8] + "\n" + p[8:] + "." + s, token.ErrMalformed},
		{"line break at the end", good + "\r\n", token.ErrMalformed},
		{"padding", good + "==", token.ErrMalformed},
		{"base64 that is not url-safe", h + "." + p + "." + s[:4] + "+/" + s[6:], token.ErrMalformed},
		{"A34 PBES2", strings.Join([]string{jwe, "AA", "AAAAAAAAAAAAAAAA", "AA", "AAAAAAAAAAAAAAAAAAAAAA"}, "."), token.ErrMalformed},
		{"A34 50,000 dots", strings.Repeat(".", 50_000), token.ErrTooLarge},
		{"A34 50,000 A", strings.Repeat("A", 50_000), token.ErrTooLarge},
		{"8,192 dots", strings.Repeat(".", 8192), token.ErrMalformed},
		{"A35 JWE of nothing", strings.Join([]string{jwe, "", "", "", ""}, "."), token.ErrMalformed},
		{"A40 truncated", good[:len(good)-1], token.ErrMalformed},
		{"A40 opaque", strings.Repeat("a", 128), token.ErrMalformed},
	})
}

// respell changes bits of the last character that belong to no byte.
func respell(part string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, part[len(part)-1])
	return part[:len(part)-1] + string(alphabet[last^1])
}

func TestTruncatedTokensAreRefused(t *testing.T) {
	f := newForger(t)
	good := f.good()
	for n := range good {
		if _, err := token.Verify(good[:n], f.keys, ownWant, testNow); err == nil {
			t.Errorf("%d of %d bytes: accepted", n, len(good))
		}
	}
}

func TestSignatureAttacks(t *testing.T) {
	f := newForger(t)
	h, p, s := f.parts()
	other := forge(f.header(nil), payload(map[string]any{"sub": "bob"}), f.rs256)
	body := h + "." + p + "."
	private := f.ecdsa.Private.(*ecdsa.PrivateKey)
	head := f.header(map[string]any{"kid": f.ecdsa.ID, "alg": "ES256"})
	raw := es256(private)(encode(head) + "." + encode(payload(nil)))
	r, q := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, q})
	if err != nil {
		t.Fatal(err)
	}
	order := private.Curve.Params().N
	two := func(a, b *big.Int) []byte {
		return append(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32))...)
	}
	forgeEC := func(signature []byte) string { return forge(head, payload(nil), fixed(signature)) }
	zero := new(big.Int)
	refuseAll(t, f.keys, ownWant, []attack{
		{"A30 truncated", body + encode(string(f.rs256(h + "." + p)[:255])), token.ErrSignature},
		{"A30 extended", body + encode(string(append(f.rs256(h+"."+p), 0))), token.ErrSignature},
		{"A30 spelled with other bits at the end", body + respell(s), token.ErrMalformed},
		{"A30 extended in base64", body + s + "AAAA", token.ErrSignature},
		{"A30 empty", body, token.ErrMalformed},
		{"A30 absent", h + "." + p, token.ErrMalformed},
		{"A30 zero", body + encode(string(make([]byte, 256))), token.ErrSignature},
		{"A30 one byte", body + "AA", token.ErrSignature},
		{"A30 of another token", body + other[strings.LastIndex(other, ".")+1:], token.ErrSignature},
		{"A31 DER", forgeEC(der), token.ErrSignature},
		{"A31 r and s are 0", forgeEC(make([]byte, 64)), token.ErrSignature},
		{"A31 r is 0", forgeEC(two(zero, q)), token.ErrSignature},
		{"A31 s is 0", forgeEC(two(r, zero)), token.ErrSignature},
		{"A31 r is n", forgeEC(two(order, q)), token.ErrSignature},
		{"A31 s is n", forgeEC(two(r, order)), token.ErrSignature},
		{"A31 r and s are n", forgeEC(two(order, order)), token.ErrSignature},
		{"A31 swapped", forgeEC(two(q, r)), token.ErrSignature},
		{"A31 leading zero", forgeEC(append([]byte{0}, raw...)), token.ErrSignature},
		{"A31 half", forgeEC(raw[:32]), token.ErrSignature},
		{"A31 EdDSA sized", forgeEC(make([]byte, 63)), token.ErrSignature},
	})
	if _, err := token.Verify(forge(head, payload(nil), fixed(raw)), f.keys, ownWant, testNow); err != nil {
		t.Errorf("the signature that these are made from: %v", err)
	}
}

// RFC 7518 §3.5: the salt is as long as the hash. A verifier that takes any length
// takes what the key's owner would never make.
func TestSaltOfAnotherLengthIsRefused(t *testing.T) {
	key := generate(t, token.PS256)
	ring := token.NewRing([]*token.Key{key})
	head := object(map[string]any{"kid": key.ID, "typ": "JWT", "alg": "PS256"}, nil)
	for length, want := range map[int]error{1: token.ErrSignature, 20: token.ErrSignature, 31: token.ErrSignature, 33: token.ErrSignature, 222: token.ErrSignature, 32: nil} {
		by := func(input string) []byte {
			sum := sha256.Sum256([]byte(input))
			s, err := rsa.SignPSS(rand.Reader, key.Private.(*rsa.PrivateKey), crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: length})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		if _, err := token.Verify(forge(head, payload(nil), by), ring, ownWant, testNow); !errors.Is(err, want) {
			t.Errorf("a salt of %d bytes: %v; want %v", length, err, want)
		}
	}
}
