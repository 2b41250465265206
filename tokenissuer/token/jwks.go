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
	only *Public // of a set of one: tokens may leave out its kid
}

// Key finds a key by its id. A token that names no key means the only one.
func (s *Set) Key(kid string) (Public, bool) {
	if kid == "" && s.only != nil {
		return *s.only, true
	}
	p, ok := s.byID[kid]
	return p, ok && kid != ""
}

// Len is the number of keys that can verify.
func (s *Set) Len() int { return len(s.byID) }

// ParseJWKS reads a JWK set (RFC 7517 §5). A key that cannot verify access
// tokens (symmetric, weak, for encryption, of an unknown kind) is left out,
// and the others work; a set with none left is an error.
func ParseJWKS(text []byte) (*Set, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("reading a JWK set: %w", err)
	}
	out := &Set{byID: make(map[string]Public, len(set.Keys))}
	var why error
	for i, raw := range set.Keys {
		p, err := parseJWK(raw)
		if err != nil {
			why = errors.Join(why, fmt.Errorf("key %d: %w", i, err))
			continue
		}
		// Two keys of one name: the first. Nothing could tell them apart later.
		if _, twice := out.byID[p.ID]; !twice {
			out.byID[p.ID] = p
		}
	}
	if len(out.byID) == 0 {
		return nil, errors.Join(errors.New("no key of the JWK set can verify"), why)
	}
	if len(out.byID) == 1 {
		for _, p := range out.byID {
			out.only = &p
		}
	}
	return out, nil
}

func parseJWK(raw []byte) (Public, error) {
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
	// Symmetric and private keys fit nothing: whoever can read the set could sign.
	if err := alg.fits(public); err != nil {
		return Public{}, err
	}
	return Public{ID: key.KeyID(), Algorithm: alg, Key: public}, nil
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
