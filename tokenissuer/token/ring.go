package token

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Ring is an immutable set of our own keys. It implements Keys.
type Ring struct {
	keys   []*Key
	public map[string]Public
	jwks   [][]byte // one JWK a key, in the order of keys
}

// NewRing makes a ring. Keys are listed in the order they sign in.
func NewRing(keys []*Key) *Ring {
	r := &Ring{keys: slices.Clone(keys), public: make(map[string]Public, len(keys))}
	slices.SortStableFunc(r.keys, func(a, b *Key) int { return a.SignFrom.Compare(b.SignFrom) })
	for _, k := range r.keys {
		r.public[k.ID] = k.Public()
		r.jwks = append(r.jwks, marshalJWK(k.Public()))
	}
	return r
}

// Key finds a key by its id.
func (r *Ring) Key(kid string) (Public, bool) {
	p, ok := r.public[kid]
	return p, ok
}

// List returns the keys in the order they sign in.
func (r *Ring) List() []*Key { return slices.Clone(r.keys) }

// Signing returns the key that signs now: the newest of the algorithm. While a
// new algorithm's first key is still being announced it is the newest of any,
// so that there is no moment without one. It is nil when nothing may sign.
func (r *Ring) Signing(alg Algorithm, now time.Time) *Key { return Signing(r.keys, alg, now) }

// Signing is Ring.Signing for keys that are not in a ring yet.
func Signing(keys []*Key, alg Algorithm, now time.Time) *Key {
	var best *Key
	for _, k := range keys {
		if k.signs(now) && (best == nil || better(k, best, alg)) {
			best = k
		}
	}
	return best
}

func better(a, b *Key, alg Algorithm) bool {
	if (a.Algorithm == alg) != (b.Algorithm == alg) {
		return a.Algorithm == alg
	}
	return a.follows(b)
}

// follows orders keys by when they sign: of two, one follows the other.
func (k *Key) follows(other *Key) bool {
	at := k.SignFrom.Compare(other.SignFrom)
	return at > 0 || at == 0 && k.ID > other.ID
}

func (k *Key) signs(now time.Time) bool {
	return !now.Before(k.SignFrom) && (k.Retired.IsZero() || now.Before(k.Retired))
}

func (k *Key) expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// JWKS returns the JWK set (RFC 7517 §5) of every key that signs, will sign,
// or has signed a token that is still good.
func (r *Ring) JWKS(now time.Time) []byte {
	published := make([][]byte, 0, len(r.keys))
	for i, k := range r.keys {
		if !k.expired(now) {
			published = append(published, r.jwks[i])
		}
	}
	return fmt.Appendf(nil, `{"keys":[%s]}`, bytes.Join(published, []byte(",")))
}

// marshalJWK writes kty, e, kid, n in the order the documents have; use and alg
// follow. The members of other kinds of key are in the same places.
func marshalJWK(p Public) []byte {
	o := newObject(512)
	switch key := p.Key.(type) {
	case *rsa.PublicKey:
		o.text("kty", "RSA")
		o.text("e", encoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()))
		o.text("kid", p.ID)
		o.text("n", encoding.EncodeToString(key.N.Bytes()))
	case *ecdsa.PublicKey:
		// RFC 7518 §6.2.1.2: a coordinate is as long as the field, leading zeros too.
		// Bytes cannot fail: the point was checked when the key was made.
		point, _ := key.Bytes()
		half := len(point) / 2
		o.text("kty", "EC")
		o.text("crv", key.Curve.Params().Name)
		o.text("kid", p.ID)
		o.text("x", encoding.EncodeToString(point[1:1+half]))
		o.text("y", encoding.EncodeToString(point[1+half:]))
	case ed25519.PublicKey:
		o.text("kty", "OKP")
		o.text("crv", "Ed25519")
		o.text("kid", p.ID)
		o.text("x", encoding.EncodeToString(key))
	}
	o.text("use", "sig")
	o.text("alg", string(p.Algorithm))
	return append(o.buf, '}')
}
