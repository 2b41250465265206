package token_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

const day = 24 * time.Hour

// year runs a schedule as the issuer does, asking every tick, and holds its
// promises at every moment in between.
type year struct {
	t    *testing.T
	r    token.Rotation
	keys []*token.Key
	seen map[string]time.Time // when each key was first published
	last map[string]time.Time // when each key last signed
}

// tick does what is asked for, until nothing is.
func (y *year) tick(now time.Time) {
	y.t.Helper()
	for range 3 {
		c := y.r.Next(y.keys, now)
		if c.Empty() {
			return
		}
		y.do(c, now)
	}
	y.t.Fatalf("%v: it asks for ever: %+v", now, y.r.Next(y.keys, now))
}

func (y *year) do(c token.Change, now time.Time) {
	for _, id := range c.Remove {
		y.keys = slices.DeleteFunc(y.keys, func(k *token.Key) bool { return k.ID == id })
	}
	for i, k := range y.keys {
		if slices.Contains(c.Retire, k.ID) {
			retired := *k
			retired.Retired, retired.Expires = now, c.Expires
			y.keys[i] = &retired
		}
	}
	if !c.Make.IsZero() {
		id := fmt.Sprintf("key-%d", len(y.seen))
		y.keys = append(y.keys, &token.Key{ID: id, Algorithm: y.r.Algorithm, Created: now, SignFrom: c.Make})
		y.seen[id] = now
	}
}

func (y *year) check(now time.Time) {
	y.t.Helper()
	k := y.signing(now)
	if k == nil {
		y.t.Fatalf("%v: no signing key", now)
	}
	if first := y.seen[k.ID]; k.ID != "key-0" && now.Sub(first) < y.r.Lead {
		y.t.Fatalf("%v: %s signs %v after it was announced", now, k.ID, now.Sub(first))
	}
	y.last[k.ID] = now
	for id, last := range y.last {
		if now.Before(last.Add(y.r.Longest)) && !slices.ContainsFunc(y.keys, func(k *token.Key) bool { return k.ID == id && (k.Expires.IsZero() || now.Before(k.Expires)) }) {
			y.t.Fatalf("%v: %s is gone, and signed %v ago", now, id, now.Sub(last))
		}
	}
}

// signing is Ring.Signing over keys that have no material.
func (y *year) signing(now time.Time) *token.Key {
	return token.Signing(y.keys, y.r.Algorithm, now)
}

func TestRotationKeepsItsPromisesForAYear(t *testing.T) {
	for _, c := range []struct {
		name      string
		r         token.Rotation
		tick      time.Duration
		made      int // keys in a year, at most
		published int // at any moment, at most
	}{
		{"as configured by default", token.Rotation{token.ES256, 30 * day, day, 2 * time.Hour, 0}, time.Minute, 13, 2},
		{"asked once an hour", token.Rotation{token.ES256, 30 * day, day, 2 * time.Hour, 0}, time.Hour, 13, 2},
		{"asked every five days", token.Rotation{token.ES256, 30 * day, day, 2 * time.Hour, 0}, 5 * day, 13, 2},
		{"asked less often than it rotates", token.Rotation{token.ES256, 30 * day, day, 2 * time.Hour, 0}, 45 * day, 9, 3},
		{"tokens that live longer than keys sign", token.Rotation{token.ES256, 10 * day, day, 25 * day, 0}, time.Hour, 37, 5},
		{"announced for longer than a period", token.Rotation{token.ES256, 10 * day, 15 * day, time.Hour, 0}, time.Hour, 26, 3},
		{"off", token.Rotation{token.ES256, 0, day, time.Hour, 0}, time.Hour, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			y := &year{t: t, r: c.r, seen: map[string]time.Time{}, last: map[string]time.Time{}}
			most := 0
			next := testNow
			for now := testNow; now.Before(testNow.Add(365 * day)); now = now.Add(min(c.tick, time.Hour)) {
				if !now.Before(next) {
					y.tick(now)
					next = now.Add(c.tick)
				}
				y.check(now)
				most = max(most, len(y.keys))
			}
			if len(y.seen) > c.made || c.made-len(y.seen) > 1 {
				t.Errorf("%d keys made, want %d", len(y.seen), c.made)
			}
			if most > c.published {
				t.Errorf("%d keys published at once, want at most %d", most, c.published)
			}
		})
	}
}

// Another algorithm is announced as any new key is; until then the old one signs.
func TestAlgorithmChangesWithoutAGap(t *testing.T) {
	y := &year{t: t, r: token.Rotation{token.ES256, 30 * day, day, time.Hour, 0}, seen: map[string]time.Time{}, last: map[string]time.Time{}}
	now := testNow
	for ; now.Before(testNow.Add(29*day + 12*time.Hour)); now = now.Add(time.Hour) {
		y.tick(now)
		y.check(now)
	}
	if len(y.keys) != 2 {
		t.Fatalf("%d keys: the next one was to be announced", len(y.keys))
	}
	changed := now
	y.r.Algorithm = token.EdDSA
	for ; now.Before(changed.Add(40 * day)); now = now.Add(time.Hour) {
		y.tick(now)
		y.check(now)
		if k := y.signing(now); (k.Algorithm == token.EdDSA) != (now.Sub(changed) >= day) {
			t.Fatalf("%v after the change %s signs", now.Sub(changed), k.Algorithm)
		}
	}
	for _, k := range y.keys {
		if k.Algorithm != token.EdDSA {
			t.Errorf("%s of %s is still there", k.ID, k.Algorithm)
		}
	}
}

// When every key was retired by hand, waiting for an announcement would be an outage.
func TestRotationMakesAKeyAtOnceWhenNoneSigns(t *testing.T) {
	r := token.Rotation{token.ES256, 30 * day, day, time.Hour, 0}
	for name, keys := range map[string][]*token.Key{
		"none":           nil,
		"only retired":   {{ID: "a", Algorithm: token.ES256, SignFrom: testNow.Add(-day), Retired: testNow.Add(-time.Minute), Expires: testNow.Add(time.Hour)}},
		"only announced": {{ID: "a", Algorithm: token.ES256, SignFrom: testNow.Add(day)}},
	} {
		if c := r.Next(keys, testNow); !c.Make.Equal(testNow) || len(c.Retire)+len(c.Remove) != 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// A retired key leaves the published set when its last token has expired.
func TestPublishedSetFollowsTheSchedule(t *testing.T) {
	now := generate(t, token.ES256)
	now.SignFrom = testNow
	before := generate(t, token.ES256)
	before.SignFrom, before.Retired, before.Expires = testNow.Add(-day), testNow, testNow.Add(time.Hour)
	after := generate(t, token.ES256)
	after.SignFrom = testNow.Add(day)
	ring := token.NewRing([]*token.Key{after, now, before})
	for _, c := range []struct {
		at        time.Time
		signs     *token.Key
		published []*token.Key
	}{
		{testNow.Add(-time.Second), before, []*token.Key{before, now, after}},
		{testNow, now, []*token.Key{before, now, after}},
		{testNow.Add(time.Hour), now, []*token.Key{now, after}},
		{testNow.Add(day), after, []*token.Key{now, after}},
	} {
		if k := ring.Signing(token.ES256, c.at); k != c.signs {
			t.Errorf("%v: %v signs, want %v", c.at.Sub(testNow), k, c.signs)
		}
		set, err := token.ParseJWKS(ring.JWKS(c.at))
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range ring.List() {
			if _, ok := set.Key(k.ID); ok != slices.Contains(c.published, k) {
				t.Errorf("%v: %s published: %v", c.at.Sub(testNow), k.ID, ok)
			}
		}
	}
	if k := token.NewRing(nil).Signing(token.ES256, testNow); k != nil {
		t.Errorf("an empty ring signs with %v", k)
	}
}

// Nodes get another algorithm one after the other, or one is forgotten: the key of
// whoever was configured last signs, and nobody undoes it within the day.
func TestNodesOfTwoAlgorithmsMakeNoKeysWithoutEnd(t *testing.T) {
	const lead, longest, yield = 10 * time.Minute, day, day
	older := token.Rotation{token.RS256, 30 * day, lead, longest, yield}
	newer := token.Rotation{token.ES256, 30 * day, lead, longest, yield}
	y := &year{t: t, r: older, seen: map[string]time.Time{}, last: map[string]time.Time{}}
	y.tick(testNow)
	changed := testNow.Add(time.Hour)
	y.r = newer
	y.r.Yield = 0 // its configuration is new
	y.tick(changed)
	for now := changed; now.Before(changed.Add(day)); now = now.Add(time.Minute) {
		for n, r := range []token.Rotation{newer, older} {
			y.r = r
			y.tick(now.Add(time.Duration(n) * 20 * time.Second))
			y.check(now.Add(time.Duration(n) * 20 * time.Second))
		}
	}
	if len(y.seen) != 2 {
		t.Errorf("%d keys were made", len(y.seen))
	}
	y.r = older
	if k := y.signing(changed.Add(day)); k.Algorithm != token.ES256 {
		t.Errorf("%s signs, which the newer configuration replaced", k.Algorithm)
	}
	if to, yes := older.Yields(y.keys, changed.Add(day)); !yes || to.Algorithm != token.ES256 {
		t.Error("the older one is not told")
	}
}

// Of two keys that sign from the same moment one retires the other, whoever asks.
func TestNoTwoKeysRetireEachOther(t *testing.T) {
	keys := []*token.Key{{ID: "a", Algorithm: token.RS256, SignFrom: testNow}, {ID: "b", Algorithm: token.ES256, SignFrom: testNow}}
	retired := 0
	for _, alg := range []token.Algorithm{token.RS256, token.ES256} {
		retired += len(token.Rotation{Algorithm: alg, Lead: time.Minute, Longest: time.Hour}.Next(keys, testNow.Add(time.Second)).Retire)
	}
	if retired != 1 {
		t.Errorf("%d of two keys retire", retired)
	}
}
