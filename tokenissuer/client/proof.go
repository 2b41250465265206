package client

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"

	"github.com/dgraph-io/ristretto/v2"
)

// digest is a keyed hash of a secret, good in this process alone. Secrets in
// plain text are kept as nothing else, so a memory dump shows none.
type digest [sha256.Size]byte

var processKey = func() (k [32]byte) {
	rand.Read(k[:]) // never fails: it ends the process
	return k
}()

func digestOf(parts ...string) (d digest) {
	m := hmac.New(sha256.New, processKey[:])
	for _, p := range parts {
		m.Write([]byte{byte(len(p) >> 16), byte(len(p) >> 8), byte(len(p))})
		m.Write([]byte(p))
	}
	m.Sum(d[:0])
	return d
}

// equal is 1 where the digests are the same, in constant time.
func (d digest) equal(o digest) int { return subtle.ConstantTimeCompare(d[:], o[:]) }

// VerifyHash checks a secret against a PHC string. It costs milliseconds on
// purpose, and may refuse when too many run at once.
type VerifyHash func(ctx context.Context, hash, secret string) (bool, error)

// Proofs remembers which secret satisfied which slow hash, so that a client
// pays the slow hash once and not with each token. What is forgotten is proven
// again.
type Proofs struct {
	cache *ristretto.Cache[uint64, digest]
}

// NewProofs makes a cache for at most 4,096 proofs.
func NewProofs() (*Proofs, error) {
	const most = 4096
	c, err := ristretto.NewCache(&ristretto.Config[uint64, digest]{NumCounters: 10 * most, MaxCost: most, BufferItems: 64})
	if err != nil {
		return nil, err
	}
	return &Proofs{cache: c}, nil
}

// Close ends the cache's goroutines.
func (p *Proofs) Close() { p.cache.Close() }

func (p *Proofs) verify(ctx context.Context, slow VerifyHash, hash, secret string) (bool, error) {
	d := digestOf(hash, secret)
	if known, ok := p.cache.Get(d.key()); ok && known.equal(d) == 1 {
		return true, nil
	}
	ok, err := slow(ctx, hash, secret)
	if ok && err == nil {
		p.cache.Set(d.key(), d, 1)
	}
	return ok, err
}

// key is the first part of the digest; the whole of it is compared on a hit.
func (d digest) key() uint64 {
	var k uint64
	for _, b := range d[:8] {
		k = k<<8 | uint64(b)
	}
	return k
}
