package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// A03: a JWK that names no algorithm is for one all the same. Else who can get a
// signature of one kind, for another purpose, had one of every kind.
func TestKeyWithoutAlgIsForOneAlgorithm(t *testing.T) {
	private := generate(t, token.RS256).Private.(*rsa.PrivateKey)
	set, err := token.ParseJWKS([]byte(fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"k","n":%q,"e":"AQAB"}]}`, encode(string(private.N.Bytes())))))
	if err != nil {
		t.Fatal(err)
	}
	rs := func(hash crypto.Hash) sign {
		return func(input string) []byte {
			h := hash.New()
			h.Write([]byte(input))
			s, err := rsa.SignPKCS1v15(rand.Reader, private, hash, h.Sum(nil))
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	for alg, c := range map[string]struct {
		by   sign
		want error
	}{
		"RS256": {rs(crypto.SHA256), nil}, "RS384": {rs(crypto.SHA384), token.ErrAlgorithm}, "RS512": {rs(crypto.SHA512), token.ErrAlgorithm},
		"PS256": {pss(private, crypto.SHA256), token.ErrAlgorithm}, "PS384": {pss(private, crypto.SHA384), token.ErrAlgorithm},
	} {
		// Each is rightly signed, as its header says.
		raw := forge(object(map[string]any{"kid": "k", "typ": "at+jwt", "alg": alg}, nil), payload(nil), c.by)
		if _, err := token.Verify(raw, set, leniency, testNow); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", alg, err, c.want)
		}
	}
}

// A curve has one algorithm (RFC 7518 §3.4), whatever the header says of the hash.
func TestCurveWithoutAlgIsForOneAlgorithm(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	jwk := map[string]any{"kty": "EC", "crv": "P-384", "kid": "k", "x": encode(string(point[1:49])), "y": encode(string(point[49:]))}
	for alg, want := range map[string]error{"ES384": nil, "ES256": token.ErrAlgorithm, "ES512": token.ErrAlgorithm} {
		hash := map[string]crypto.Hash{"ES384": crypto.SHA384, "ES256": crypto.SHA256, "ES512": crypto.SHA512}[alg]
		by := func(input string) []byte {
			h := hash.New()
			h.Write([]byte(input))
			r, s, err := ecdsa.Sign(rand.Reader, private, h.Sum(nil))
			if err != nil {
				t.Fatal(err)
			}
			return append(r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48))...)
		}
		text, err := json.Marshal(map[string]any{"keys": []any{jwk}})
		if err != nil {
			t.Fatal(err)
		}
		set, err := token.ParseJWKS(text)
		if err != nil {
			t.Fatal(err)
		}
		raw := forge(object(map[string]any{"kid": "k", "typ": "at+jwt", "alg": alg}, nil), payload(nil), by)
		if _, err := token.Verify(raw, set, leniency, testNow); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", alg, err, want)
		}
	}
}
