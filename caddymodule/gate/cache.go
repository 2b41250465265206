package gate

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Cache remembers what tokens say once their signature was verified, and by
// which key. It remembers no decision and no refusal: a flood of bad tokens
// leaves nothing behind. It outlives gates and may forget anything at any time.
type Cache struct {
	entries *ristretto.Cache[uint64, *entry]
}

// DefaultCacheSize holds some twenty thousand tokens.
const DefaultCacheSize = 64 << 20

// NewCache makes a cache of about so many bytes.
func NewCache(size int64) (*Cache, error) {
	if size < 1<<20 {
		return nil, fmt.Errorf("a cache of %d bytes is too small: at least 1 MiB", size)
	}
	entries, err := ristretto.NewCache(&ristretto.Config[uint64, *entry]{
		NumCounters: 5 * size / entryCost, // ten for each token that has room
		MaxCost:     size,
		BufferItems: 64,
		// The digest is the hash: its first half finds the place, and get compares the whole.
		KeyToHash: func(key uint64) (uint64, uint64) { return key, 0 },
	})
	if err != nil {
		return nil, fmt.Errorf("making the token cache: %w", err)
	}
	return &Cache{entries: entries}, nil
}

// Close ends the cache's goroutines. Gates that still have it verify every
// token anew.
func (c *Cache) Close() { c.entries.Close() }

// Wait returns once everything put before can be found.
func (c *Cache) Wait() { c.entries.Wait() }

// get compares the whole digest: 64 bits find an entry, and are too few to be
// somebody's identity.
func (c *Cache) get(digest token.Digest) *entry {
	if e, ok := c.entries.Get(place(digest)); ok && e.digest == digest {
		return e
	}
	return nil
}

// entryCost is what a reading takes in memory, beside three times the length of
// its token; together 2.4 KiB, measured 1.6, for a token with the usual claims.
const entryCost = 1 << 10

// put may be dropped, by design of ristretto: then the token is verified again.
func (c *Cache) put(e *entry, length int, now time.Time) {
	// Past exp nobody gets it; the ticker of ristretto frees it then.
	left := time.Unix(e.claims.Expires, 0).Sub(now)
	if left > 0 {
		if e.told != nil {
			length = max(length, e.told.size)
		}
		c.entries.SetWithTTL(place(e.digest), e, entryCost+e.extra+3*int64(length), left)
	}
}

// forget takes a reading out, for one that must not be trusted any more.
func (c *Cache) forget(digest token.Digest) { c.entries.Del(place(digest)) }

func place(digest token.Digest) uint64 { return binary.LittleEndian.Uint64(digest[:8]) }

// entry is a verified reading of one token.
type entry struct {
	digest token.Digest
	claims *token.Claims
	key    token.Public // the key that verified it, under the issuer that the claims name; zero for an opaque token
	told   *told        // of a foreign issuer's opaque token: who said what it stands for

	notRevoked atomic.Pointer[answer]
	rendered   atomic.Pointer[rendering]
	judged     atomic.Pointer[judgement]

	extra    int64 // what it takes in memory beside entryCost
	vouching sync.Mutex
	vouchers atomic.Pointer[[]vouched]
}

// told is a foreign issuer's word on an opaque token, which counts for a while.
type told struct {
	by    Introspector
	until time.Time
	size  int
}

// answer is "not revoked", said by one list at one generation of it.
type answer struct {
	by         Revoked
	generation uint64
}

// isRevoked asks only when something was revoked since it last did. The
// generations of two lists have nothing to do with each other, so an answer
// counts for its own list alone.
func (e *entry) isRevoked(by Revoked) bool {
	// Read before the question: what arrives in between is asked about next time.
	generation := by.Generation()
	if a := e.notRevoked.Load(); a != nil && a.by == by && a.generation == generation {
		return false
	}
	if by.Revoked(e.claims) {
		return true
	}
	e.notRevoked.Store(&answer{by, generation})
	return false
}

// rendering is the header values of one header set.
type rendering struct {
	of     *headerSet
	values []string
}

func (e *entry) values(set *headerSet) []string {
	if r := e.rendered.Load(); r != nil && r.of == set {
		return r.values
	}
	r := &rendering{set, set.render(e.claims)}
	e.rendered.Store(r)
	return r.values
}
