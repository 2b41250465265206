package remote

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

const (
	burst     = 200.0 // tokens that turn out to be no good, of all addresses at once
	perSecond = 20.0  // and from then on
	strikes   = 4     // failures in a row that are a pattern
	restLeast = time.Second
	restMost  = 15 * time.Second // doubling with failures
	unfitFor  = 2 * time.Second
)

// guard decides whether a question may be put. It is under its owner's lock.
type guard struct {
	allowance float64 // questions about tokens that nobody has seen to be good
	counted   time.Time
	strangers strangers // the share of each address in them
	waiting   int       // of those questions
	questions uint64    // that were put

	known, unseen streak
	down          bool
}

// streak is failures in a row. Tokens that were good and others have one each: an
// issuer may choke on what strangers make up.
type streak struct {
	failures int
	last     uint64 // the question that was put last when one was counted
	rest     time.Time
}

// count takes the failure of a question, by its number; last is that of the newest.
// Those that were under way together are one: a moment's stall is no pattern,
// however many it met.
func (s *streak) count(question, last uint64, now time.Time) (rests bool) {
	if question <= s.last {
		return false
	}
	s.last = last
	s.failures++
	over := s.failures - strikes
	if over < 0 {
		return false
	}
	rest := restMost
	if over < 4 {
		rest = min(restLeast<<over, restMost)
	}
	s.rest = now.Add(rest)
	return true
}

func (g *guard) streak(proven bool) *streak {
	if proven {
		return &g.known
	}
	return &g.unseen
}

// admit lets a question pass. That about a new token costs, first its address and
// then all, and is given back where the token is good: only those that are not use
// the allowances up. Of what all have, the last is for addresses that owe little, and
// the very last for those whose tokens were good.
func (g *guard) admit(from netip.Addr, proven bool, now time.Time) error {
	if now.Before(g.streak(proven).rest) {
		return fail(Refused, "it did not answer a moment ago")
	}
	if passed := now.Sub(g.counted); passed > 0 {
		g.allowance = min(g.allowance+passed.Seconds()*perSecond, burst)
		g.counted = now
	}
	switch {
	case proven:
		g.questions++
		return nil
	case !g.strangers.may(from, now):
		return fail(Refused, "too many unknown tokens came from one address")
	case g.allowance < 1+g.strangers.kept(from, now):
		return fail(Refused, "too many unknown tokens were asked about")
	case g.waiting == unseenMost:
		return fail(Refused, "too many unknown tokens are being asked about")
	}
	g.strangers.charge(from, now)
	g.allowance--
	g.waiting++
	g.questions++
	return nil
}

// dismiss is for a question about a new token that the issuer did not take. That is its
// answer to whoever made the token up, who has paid for it, and no sign that it is down:
// else one stranger would keep everybody's new tokens out.
func (g *guard) dismiss() { g.waiting-- }

// settle notes how a question ended, by its number.
func (g *guard) settle(question uint64, result Result, from netip.Addr, proven bool, now time.Time) (down, back bool) {
	if !proven {
		g.waiting--
	}
	if result == OK {
		g.strangers.remember(from, now)
	}
	if result == OK && !proven {
		g.allowance = min(g.allowance+1, burst)
		g.strangers.giveBack(from)
	}
	if result == OK || result == Inactive {
		back, g.down = g.down, false
		g.known, g.unseen = streak{last: g.known.last}, streak{last: g.unseen.last}
		return false, back
	}
	if g.streak(proven).count(question, g.questions, now) {
		down, g.down = !g.down, true
	}
	return down, false
}

// negatives remember for a moment which tokens are no good. A new one takes the
// place of another one and of nothing else, so any number of them are held in
// the same memory.
type negatives [1 << 12]atomic.Pointer[negative]

type negative struct {
	digest token.Digest
	err    error
	until  time.Time
}

func (n *negatives) at(digest token.Digest) *atomic.Pointer[negative] {
	return &n[binary.LittleEndian.Uint16(digest[:])%uint16(len(n))]
}

func (n *negatives) find(digest token.Digest, now time.Time) error {
	if one := n.at(digest).Load(); one != nil && one.digest == digest && now.Before(one.until) {
		return one.err
	}
	return nil
}

func (n *negatives) put(digest token.Digest, err error, now time.Time) {
	n.at(digest).Store(&negative{digest, err, now.Add(unfitFor)})
}
