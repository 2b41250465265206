package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Algorithm is a JWS signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1).
type Algorithm string

// The algorithms that our own keys sign with.
const (
	RS256 Algorithm = "RS256"
	PS256 Algorithm = "PS256"
	ES256 Algorithm = "ES256"
	EdDSA Algorithm = "EdDSA"
)

// ParseAlgorithm reads the name of an algorithm that our own keys sign with.
func ParseAlgorithm(name string) (Algorithm, error) {
	switch alg := Algorithm(name); alg {
	case RS256, PS256, ES256, EdDSA:
		return alg, nil
	default:
		return "", fmt.Errorf("unknown signing algorithm %q: one of RS256, PS256, ES256, EdDSA", name)
	}
}

// minRSABits is the least size of an RSA key (RFC 7518 §3.3).
const minRSABits = 2048

// maxRSABits is where OpenSSL stops too: a verification takes milliseconds there,
// and whoever publishes a larger key wants them spent.
const maxRSABits = 16384

// verifiers holds what may verify a signature: ours, and the stronger
// variants that foreign issuers use. What is not in it, `none` and the HMAC
// family above all, cannot be reached by any key or header.
var verifiers = newVerifiers(RS256, PS256, ES256, EdDSA, "RS384", "RS512", "PS384", "PS512", "ES384", "ES512")

func newVerifiers(algs ...Algorithm) map[Algorithm]jws.Verifier {
	all := make(map[Algorithm]jws.Verifier, len(algs))
	for _, alg := range algs {
		if hash, ok := pssHashes[alg]; ok {
			all[alg] = pss{alg, hash}
			continue
		}
		v, err := jws.NewVerifier(jwa.SignatureAlgorithm(alg))
		if err != nil {
			panic(err) // the list above is fixed, and jwx knows every entry
		}
		all[alg] = v
	}
	return all
}

// fits says whether a public key can belong to the algorithm, and is strong
// enough for it.
func (a Algorithm) fits(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if a[:2] != "RS" && a[:2] != "PS" {
			break
		}
		if key.N == nil || key.N.BitLen() < minRSABits {
			return fmt.Errorf("an RSA key has at least %d bits", minRSABits)
		}
		if key.N.BitLen() > maxRSABits {
			return fmt.Errorf("an RSA key has at most %d bits", maxRSABits)
		}
		if key.E < 3 || key.E&1 == 0 {
			return fmt.Errorf("an RSA exponent is odd, and at least 3")
		}
		if isROCA(key.N) {
			return fmt.Errorf("the private key can be computed from this one (CVE-2017-15361): replace the key pair")
		}
		return nil
	case *ecdsa.PublicKey:
		if key.Curve == nil || curves[a] != key.Curve {
			break
		}
		// ECDH refuses a point that is not on the curve (an invalid-curve attack).
		if _, err := key.ECDH(); err != nil {
			return fmt.Errorf("bad point: %w", err)
		}
		return nil
	case ed25519.PublicKey:
		if a != EdDSA {
			break
		}
		if len(key) != ed25519.PublicKeySize {
			return fmt.Errorf("an Ed25519 key has %d bytes", ed25519.PublicKeySize)
		}
		return nil
	}
	return fmt.Errorf("%T does not fit %s", public, a)
}

// RFC 7518 §3.4: each ECDSA algorithm has one curve.
var curves = map[Algorithm]elliptic.Curve{ES256: elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}

// Digest names a token without holding it: its SHA-256.
type Digest [sha256.Size]byte

// Sum returns the digest of a token as it was sent.
func Sum(raw string) Digest {
	// Every proxied request comes here, and a conversion to []byte would put the
	// token on the heap; most tokens are shorter than this.
	var onStack [1024]byte
	return sha256.Sum256(append(onStack[:0], raw...))
}
