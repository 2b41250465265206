package token

import (
	"crypto"
	"crypto/rsa"
	"errors"

	"github.com/lestrrat-go/jwx/v2/jwa"
)

// pss verifies RSASSA-PSS with a salt as long as the hash, as RFC 7518 §3.5
// wants it. The verifier of jwx takes one of any length.
type pss struct {
	alg  Algorithm
	hash crypto.Hash
}

var pssHashes = map[Algorithm]crypto.Hash{PS256: crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512}

func (v pss) Algorithm() jwa.SignatureAlgorithm { return jwa.SignatureAlgorithm(v.alg) }

func (v pss) Verify(input, signature []byte, key any) error {
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return errors.New("not an RSA key")
	}
	h := v.hash.New()
	h.Write(input)
	return rsa.VerifyPSS(public, v.hash, h.Sum(nil), signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
}
