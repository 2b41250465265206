package gate

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Cache remembers what tokens say once their signature was verified, and by
// which key. It remembers no decision and no refusal: a flood of bad tokens
// leaves nothing behind. It outlives gates and may forget anything at any time.
type Cache struct {
	records *ristretto.Cache[uint64, *record]
	kinds   kinds
	lookups *lookups // of what it does not remember
	closed  atomic.Bool
}

// DefaultCacheSize holds some hundred and fifty thousand tokens.
const DefaultCacheSize = 64 << 20

// NewCache makes a cache of about so many bytes.
func NewCache(size int64) (*Cache, error) {
	if size < 1<<20 {
		return nil, fmt.Errorf("a cache of %d bytes is too small: at least 1 MiB", size)
	}
	records, err := ristretto.NewCache(&ristretto.Config[uint64, *record]{
		NumCounters: 10 * size / recordCost, // ten for each token that has room
		MaxCost:     size,
		BufferItems: 64,
		// The digest is the hash: its first half finds the place, and get compares the whole.
		KeyToHash: func(key uint64) (uint64, uint64) { return key, 0 },
	})
	if err != nil {
		return nil, fmt.Errorf("making the token cache: %w", err)
	}
	return &Cache{records: records, lookups: newLookups()}, nil
}

// Close ends the cache's goroutines. Gates that still have it verify every
// token anew.
func (c *Cache) Close() {
	c.closed.Store(true)
	c.records.Close()
}

// late lets a use pass that comes while the cache is being closed: ristretto
// panics then.
func (c *Cache) late(panicked any) {
	if panicked != nil && !c.closed.Load() {
		panic(panicked)
	}
}

// Resize changes how many bytes it may take. It goes on counting how often tokens
// come as it was made to, which matters little until it is full.
func (c *Cache) Resize(size int64) { c.records.UpdateMaxCost(size) }

// Size is how many bytes it may take.
func (c *Cache) Size() int64 { return c.records.MaxCost() }

// Wait returns once everything put before can be found.
func (c *Cache) Wait() { c.records.Wait() }

// get compares the whole digest: 64 bits find a record, and are too few to be
// somebody's identity. raw is the token, of which the record is a part.
func (c *Cache) get(digest token.Digest, raw string) *entry {
	defer func() { c.late(recover()) }()
	if r, ok := c.records.Get(place(digest)); ok && r.digest == digest {
		return r.entry(raw)
	}
	return nil
}

// known says whether a token is there, and changes nothing.
func (c *Cache) known(digest token.Digest) bool {
	r, ok := c.records.Get(place(digest))
	return ok && r.digest == digest
}

// put may be dropped, by design of ristretto: then the token is verified again.
func (c *Cache) put(e *entry, length int, n needs, now time.Time) {
	defer func() { c.late(recover()) }()
	// Past exp nobody gets it; the ticker of ristretto frees it then.
	if left := time.Unix(e.claims.Expires, 0).Sub(now); left > 0 {
		c.records.SetWithTTL(place(e.digest), e.record, e.keep(&c.kinds, length, n), left)
	}
}

// forget takes a reading out, for one that must not be trusted any more.
func (c *Cache) forget(digest token.Digest) {
	defer func() { c.late(recover()) }()
	c.records.Del(place(digest))
}

func place(digest token.Digest) uint64 { return binary.LittleEndian.Uint64(digest[:8]) }
