package tokenissuer

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// limit bounds refused requests per party with GCRA: a table of fixed size, so
// that no number of parties can fill memory. Two that fall on one slot push each
// other out, which forgives failures and never invents any.
type limit struct {
	burst time.Duration // failures that may come at once, as time
	each  time.Duration // what one failure costs
	seed  maphash.Seed
	lock  sync.Mutex
	slots []slot
}

type slot struct {
	who uint64
	tat time.Time // theoretical arrival time
}

const limitSlots = 1 << 14

// party is who fails: an address, or an address where it guesses at the secret of
// one client.
type party struct {
	from   netip.Addr
	client string // "" for all that an address does
}

// newLimit allows n failures per window; n < 0 allows any number.
func newLimit(n int, window time.Duration) *limit {
	if n < 0 {
		return &limit{}
	}
	return &limit{burst: window, each: window / time.Duration(n), seed: maphash.MakeSeed(), slots: make([]slot, limitSlots)}
}

// prefix is what one party can be held to have: an IPv4 address, or the /64
// that a single IPv6 host picks its addresses from.
func prefix(from netip.Addr) netip.Addr {
	if from.Is6() {
		if p, err := from.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return from
}

func (l *limit) of(p party) (uint64, *slot) {
	a := prefix(p.from).As16()
	h := maphash.Bytes(l.seed, append(a[:], p.client...))
	return h, &l.slots[h%limitSlots]
}

// failed counts a refused request.
func (l *limit) failed(p party, now time.Time) {
	if l.slots == nil || !p.from.IsValid() {
		return
	}
	l.lock.Lock()
	defer l.lock.Unlock()
	who, s := l.of(p)
	if s.who != who || s.tat.Before(now) {
		*s = slot{who, now}
	}
	// What comes on top of a full window is not remembered: whoever stops is free
	// again one window later.
	if full := now.Add(l.burst); s.tat.Add(l.each).Before(full) {
		s.tat = s.tat.Add(l.each)
	} else {
		s.tat = full
	}
}

// wait says how long a party that has used up what it may fail waits for the next
// try; 0 while it need not.
func (l *limit) wait(p party, now time.Time) time.Duration {
	if l.slots == nil || !p.from.IsValid() {
		return 0
	}
	l.lock.Lock()
	defer l.lock.Unlock()
	who, s := l.of(p)
	if s.who != who {
		return 0
	}
	return max(0, s.tat.Sub(now)-(l.burst-l.each))
}
