package token

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// Set is the key set of a foreign issuer. It implements Keys.
type Set struct {
	byID map[string]Public
	only *Public // of a set of one: nothing else can be meant
	left []error
}

// Key finds a key by its id. A token that names no key means the only one, and so
// does any where the only one has no name.
func (s *Set) Key(kid string) (Public, bool) {
	if s.only != nil && (kid == "" || s.only.ID == "") {
		return *s.only, true
	}
	p, ok := s.byID[kid]
	return p, ok && kid != ""
}

// Len is the number of keys that can verify.
func (s *Set) Len() int { return len(s.byID) }

// LeftOut says which keys of the set are not used, and why.
func (s *Set) LeftOut() []error { return s.left }

// Adds says whether the set has a key that another one, or none, has not.
func (s *Set) Adds(to *Set) bool {
	for id, key := range s.byID {
		if to == nil {
			return true
		}
		if had, ok := to.byID[id]; !ok || !had.Same(key) {
			return true
		}
	}
	return false
}

// maxKeys is more than any issuer publishes, and a number of keys that can be read
// in no time.
const maxKeys = 256

// ParseJWKS reads a JWK set, to verify with Go's own code.
func ParseJWKS(text []byte) (*Set, error) { return Go.ParseJWKS(text) }

// ParseJWKS reads a JWK set (RFC 7517 §5). A key that cannot verify access
// tokens (symmetric, weak, for encryption, of an unknown kind) is left out,
// and the others work; a set with none left is an error.
func (c Crypto) ParseJWKS(text []byte) (*Set, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("reading a JWK set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("a JWK set of %d keys: at most %d", len(set.Keys), maxKeys)
	}
	out := &Set{byID: make(map[string]Public, len(set.Keys))}
	for i, raw := range set.Keys {
		p, err := c.parseJWK(raw)
		if _, twice := out.byID[p.ID]; err == nil && twice {
			// The first stays. Nothing could tell them apart later.
			err = fmt.Errorf("an earlier key has the kid %q too", p.ID)
		}
		if err != nil {
			out.left = append(out.left, fmt.Errorf("key %d: %w", i, err))
			continue
		}
		out.byID[p.ID] = p
	}
	if len(out.byID) == 0 {
		return nil, errors.Join(append([]error{errors.New("no key of the JWK set can verify")}, out.left...)...)
	}
	for id, p := range out.byID {
		switch {
		case len(out.byID) == 1:
			out.only = &p
		case id == "":
			out.left = append(out.left, errors.New("the key without a kid: no token can name it"))
		}
	}
	return out, nil
}

func (c Crypto) parseJWK(raw []byte) (Public, error) {
	key, err := jwk.ParseKey(raw)
	if err != nil {
		return Public{}, fmt.Errorf("not a JWK: %w", err)
	}
	if use := key.KeyUsage(); use != "" && use != string(jwk.ForSignature) {
		return Public{}, errors.New("not for signatures")
	}
	if ops := key.KeyOps(); len(ops) > 0 && !mayVerify(ops) {
		return Public{}, errors.New("not for verifying")
	}
	switch key.(type) {
	case jwk.RSAPrivateKey, jwk.ECDSAPrivateKey, jwk.OKPPrivateKey, jwk.SymmetricKey:
		return Public{}, errors.New("a private or shared key: whoever can read the set could sign; put the public key there")
	}
	var public crypto.PublicKey
	if err := key.Raw(&public); err != nil {
		return Public{}, fmt.Errorf("no public key in it: %w", err)
	}
	alg := Algorithm(key.Algorithm().String())
	if alg == "" {
		alg = usual(key)
	}
	if _, ok := verifiers[alg]; !ok {
		return Public{}, errors.New("not for an algorithm that is accepted")
	}
	if err := alg.fits(public); err != nil {
		return Public{}, err
	}
	verify, err := c.verifier(alg, public)
	if err != nil {
		return Public{}, err
	}
	return Public{ID: key.KeyID(), Algorithm: alg, Key: public, verify: verify}, nil
}

func mayVerify(ops jwk.KeyOperationList) bool {
	for _, op := range ops {
		if op == jwk.KeyOpVerify {
			return true
		}
	}
	return false
}

// usual is the algorithm of a key that does not say one. For RSA there are
// several; RS256 is the one that every issuer must have (OpenID Connect Core
// §15.1), and the documented key set means it.
func usual(key jwk.Key) Algorithm {
	switch k := key.(type) {
	case jwk.RSAPublicKey:
		return RS256
	case jwk.ECDSAPublicKey:
		switch k.Crv() {
		case "P-256":
			return ES256
		case "P-384":
			return "ES384"
		case "P-521":
			return "ES512"
		}
	case jwk.OKPPublicKey:
		return EdDSA
	}
	return ""
}
