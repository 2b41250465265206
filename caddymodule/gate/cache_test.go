package gate

import (
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

func newCache(t *testing.T) *Cache {
	t.Helper()
	c, err := NewCache(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

var second = time.Unix(1_800_000_000, 0)

func reading(raw string, expires time.Time) *entry {
	return newEntry(token.Sum(raw), &token.Claims{Subject: raw, Expires: expires.Unix()}, nil, nil)
}

// 64 bits of a digest lead to the entry. Whoever finds another token with the
// same 64 must still not become its subject.
func TestCacheComparesTheWholeDigest(t *testing.T) {
	c := newCache(t)
	e := reading("alice", second.Add(time.Minute))
	c.put(e, 500, needs{}, second)
	c.Wait()
	if c.get(e.digest, "") != e {
		t.Fatal("not found")
	}
	for i := 8; i < len(e.digest); i++ {
		near := e.digest
		near[i] ^= 1
		if c.get(near, "") != nil {
			t.Errorf("found by a digest that differs in byte %d", i)
		}
	}
}

func TestCacheTakesNothingThatIsOver(t *testing.T) {
	c := newCache(t)
	for _, left := range []time.Duration{0, -time.Second} {
		e := reading("alice", second.Add(left))
		c.put(e, 500, needs{}, second)
		c.Wait()
		if c.get(e.digest, "") != nil {
			t.Errorf("%v left: cached", left)
		}
	}
}

// What it costs is bounded by its size, whatever is put into it.
func TestCacheIsBounded(t *testing.T) {
	c := newCache(t)
	const tokens = 5000
	kept := 0
	entries := make([]*entry, tokens)
	for i := range entries {
		entries[i] = reading(string(rune('a'+i%26))+time.Duration(i).String(), second.Add(time.Hour))
		c.put(entries[i], 500, needs{}, second)
		c.Wait()
	}
	for _, e := range entries {
		if c.get(e.digest, "") != nil {
			kept++
		}
	}
	if most := (1 << 20) / recordCost; kept == 0 || kept > most {
		t.Errorf("%d of %d kept in 1 MiB, want at most %d", kept, tokens, most)
	}
}

// A closed cache only costs verifications.
func TestClosedCacheForgets(t *testing.T) {
	c := newCache(t)
	e := reading("alice", second.Add(time.Minute))
	c.put(e, 500, needs{}, second)
	c.Close()
	if c.get(e.digest, "") != nil {
		t.Error("found")
	}
	c.put(e, 500, needs{}, second)
	c.Wait()
}
