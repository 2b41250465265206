package remote

import (
	"hash/maphash"
	"net/netip"
	"time"
)

const (
	addressBurst = 50                     // tokens of one address that turn out to be no good, at once
	addressEvery = 500 * time.Millisecond // and from then on
)

// strangers are what each address may still ask about, by GCRA in a table of fixed
// size: no number of addresses can fill memory. Two that fall on one place push each
// other out, which forgives and blames nobody.
type strangers struct {
	seed   maphash.Seed
	places [1 << 12]stranger
}

// stranger is an address that has asked about tokens that are no good.
type stranger struct {
	who uint64
	tat int64 // theoretical arrival time, in nanoseconds since 1970
}

// place finds an address: an IPv4 address, or the /64 that a single IPv6 host picks
// its addresses from. It is nil where nobody knows who asks.
func (s *strangers) place(from netip.Addr) (uint64, *stranger) {
	from = from.Unmap().WithZone("")
	if !from.IsValid() {
		return 0, nil
	}
	if from.Is6() {
		prefix, _ := from.Prefix(64) // an error is of more bits than there are
		from = prefix.Addr()
	}
	bytes := from.As16()
	who := maphash.Bytes(s.seed, bytes[:])
	return who, &s.places[who%uint64(len(s.places))]
}

// may says whether an address has some of its allowance left.
func (s *strangers) may(from netip.Addr, now time.Time) bool {
	who, p := s.place(from)
	return p == nil || p.who != who || time.Duration(p.tat-now.UnixNano()) <= (addressBurst-1)*addressEvery
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
