package token

import (
	"crypto"
	"crypto/fips140"
	"crypto/rsa"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token/openssl"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token/pkcs1"
)

// Crypto is whose code computes RSA signatures. It is chosen where a key is read
// and goes with the key: keys of both kinds can be in use at the same time, and
// whoever signs or verifies does not know which it has. The zero value is Go.
type Crypto string

// The signatures of both are the same, byte by byte where the algorithm is
// deterministic; OpenSSL's take less than half the time.
const (
	Go      Crypto = "go"
	OpenSSL Crypto = "openssl" // in builds with that tag
)

// Check says why signatures cannot be computed this way here.
func (c Crypto) Check() error {
	switch c {
	case "", Go:
		return nil
	case OpenSSL:
		return openssl.Load()
	default:
		return fmt.Errorf("unknown crypto %q: go or openssl", c)
	}
}

// signer returns what signs with a private key. An RSA signature takes most of a
// millisecond, so it lets others go first.
func (c Crypto) signer(alg Algorithm, private crypto.Signer) (func(input []byte) ([]byte, error), error) {
	key, isRSA := private.(*rsa.PrivateKey)
	if !isRSA {
		return inGo(alg, private)
	}
	sign, err := inGo(alg, private)
	if c == OpenSSL {
		sign, err = openssl.Signer(string(alg), key)
	}
	if err != nil {
		return nil, err
	}
	return func(input []byte) ([]byte, error) {
		giveWay()
		return sign(input)
	}, nil
}

// inGo signs with the raw private key: through a jwk.Key every signature would
// convert and check it again, for 125 us.
func inGo(alg Algorithm, private crypto.Signer) (func(input []byte) ([]byte, error), error) {
	signer, err := jws.NewSigner(jwa.SignatureAlgorithm(alg))
	if err != nil {
		return nil, err
	}
	return func(input []byte) ([]byte, error) { return signer.Sign(input, private) }, nil
}

// verifier returns what verifies with a public key; nil is the algorithm's own.
func (c Crypto) verifier(alg Algorithm, public crypto.PublicKey) (func(input, signature []byte) error, error) {
	key, isRSA := public.(*rsa.PublicKey)
	switch {
	case isRSA && c == OpenSSL:
		return openssl.Verifier(string(alg), key)
	case isRSA && pkcs1.Is(string(alg)) && !fips140.Enabled(): // where only Go's own module may compute
		return pkcs1.Verifier(string(alg), key)
	}
	return nil, nil
}
