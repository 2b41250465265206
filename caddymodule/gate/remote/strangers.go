package remote

import (
	"hash/maphash"
	"net/netip"
	"time"
)

const (
	addressBurst = 50                     // tokens of one address that turn out to be no good, at once
	addressEvery = 500 * time.Millisecond // and from then on

	// What has to be left of the allowance of all for an address to take from it.
	keptForKnown  = 50.0 // for those whose tokens were good
	keptForOthers = 2.0  // for each that an address owes: who owes less goes first

	knownFor = 24 * time.Hour // since a good one
)

// strangers are what each address may still ask about, by GCRA in a table of fixed
// size: no number of addresses can fill memory. An address has a few places that it may
// stand at; where all are taken, the one that owes least goes, which forgives and blames
// nobody.
type strangers struct {
	seed   maphash.Seed
	places [1 << 10][4]stranger
	known  [1 << 10][4]acquaintance // apart, for no made-up token brings anybody here
}

// acquaintance is an address that had a good token.
type acquaintance struct {
	who   uint64
	until int64 // in nanoseconds since 1970
}

// stranger is an address that has asked about tokens that are no good.
type stranger struct {
	who uint64
	tat int64 // theoretical arrival time, in nanoseconds since 1970
}

// Host is what an address is counted as: an IPv4 address, or the /64 that a single IPv6
// host picks its addresses from. It is the zero Addr where nobody knows who asks.
func Host(from netip.Addr) netip.Addr {
	from = from.Unmap().WithZone("")
	if from.Is6() {
		prefix, _ := from.Prefix(64) // an error is of more bits than there are
		return prefix.Addr()
	}
	return from
}

// place finds an address, or where it would stand. It is nil where nobody knows who asks.
func (s *strangers) place(from netip.Addr) (uint64, *stranger) {
	from = Host(from)
	if !from.IsValid() {
		return 0, nil
	}
	bytes := from.As16()
	who := maphash.Bytes(s.seed, bytes[:])
	at := &s.places[who%uint64(len(s.places))]
	least := &at[0]
	for n := range at {
		if at[n].who == who {
			return who, &at[n]
		}
		if at[n].tat < least.tat {
			least = &at[n]
		}
	}
	return who, least
}

// may says whether an address has some of its allowance left.
func (s *strangers) may(from netip.Addr, now time.Time) bool {
	who, p := s.place(from)
	return p == nil || p.who != who || time.Duration(p.tat-now.UnixNano()) <= (addressBurst-1)*addressEvery
}

// kept is how much of the allowance of all is not for an address. One that knows
// only bad tokens can so keep out nobody who has brought fewer of them, and however
// many addresses there are, none whose tokens were good.
func (s *strangers) kept(from netip.Addr, now time.Time) float64 {
	who, p := s.place(from)
	if p == nil {
		return 0 // all would be the same one
	}
	kept := keptForKnown
	if s.isKnown(from, now) {
		kept = 0
	}
	if owed := p.tat - now.UnixNano(); p.who == who && owed > 0 {
		kept += keptForOthers * float64(owed) / float64(addressEvery)
	}
	return kept
}

// isKnown is whether a token of an address was good lately.
func (s *strangers) isKnown(from netip.Addr, now time.Time) bool {
	who, p := s.place(from)
	if p == nil {
		return false
	}
	k := s.acquaintance(who)
	return k.who == who && now.UnixNano() < k.until
}

// acquaintance finds an address, or where it would stand: for whoever has brought no good
// token for longest.
func (s *strangers) acquaintance(who uint64) *acquaintance {
	at := &s.known[who%uint64(len(s.known))]
	last := &at[0]
	for n := range at {
		if at[n].who == who {
			return &at[n]
		}
		if at[n].until < last.until {
			last = &at[n]
		}
	}
	return last
}

// remember notes that a token of an address was good.
func (s *strangers) remember(from netip.Addr, now time.Time) {
	if who, p := s.place(from); p != nil {
		*s.acquaintance(who) = acquaintance{who, now.Add(knownFor).UnixNano()}
	}
}

// charge takes one from an address.
func (s *strangers) charge(from netip.Addr, now time.Time) {
	who, p := s.place(from)
	if p == nil {
		return
	}
	if p.who != who || p.tat < now.UnixNano() {
		*p = stranger{who, now.UnixNano()}
	}
	p.tat += int64(addressEvery)
}

// giveBack is for a token that is good after all.
func (s *strangers) giveBack(from netip.Addr) {
	if who, p := s.place(from); p != nil && p.who == who {
		p.tat -= int64(addressEvery)
	}
}
