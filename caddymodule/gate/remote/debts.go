package remote

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Debts are what addresses owe for tokens that turned out to be no good, in a table of
// fixed size. It is safe for concurrent use.
type Debts struct {
	mu sync.Mutex
	of strangers
}

// NewDebts makes a table in which nobody owes anything.
func NewDebts() *Debts { return &Debts{of: strangers{seed: maphash.MakeSeed()}} }

// Charge notes that an address shows a token that nobody has seen to be good, and says
// whether it owes little: 50 may be no good at once, and two a second from then on.
func (d *Debts) Charge(from netip.Addr, now time.Time) (little bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if little = d.of.may(from, now); little {
		d.of.charge(from, now)
	}
	return little
}

// GiveBack is for a token that was charged and is good after all.
func (d *Debts) GiveBack(from netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of.giveBack(from)
}
