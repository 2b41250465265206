package remote

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Debts are what addresses owe for tokens that turned out to be no good, and which have
// brought good ones, in tables of fixed size. It is safe for concurrent use.
type Debts struct {
	mu sync.Mutex
	of strangers
}

// NewDebts makes a table in which nobody owes anything.
func NewDebts() *Debts { return &Debts{of: strangers{seed: maphash.MakeSeed()}} }

// Standing is what is known of an address.
type Standing int

// What an address may be.
const (
	Owing Standing = iota // over fifty tokens of it were no good or are being looked at, or nobody knows it
	New
	Known // a token of it was good within a day
)

// Charge notes that an address shows a token that nobody has seen to be good: 50 may be
// no good at once, and two a second from then on. One that owes as much is charged nothing.
func (d *Debts) Charge(from netip.Addr, now time.Time) Standing {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, p := d.of.place(from); p == nil || !d.of.may(from, now) {
		return Owing
	}
	d.of.charge(from, now)
	if d.of.isKnown(from, now) {
		return Known
	}
	return New
}

// GiveBack is for a token that was charged and of which nobody can say that it is no good.
func (d *Debts) GiveBack(from netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of.giveBack(from)
}

// Remember notes that a token of an address was good.
func (d *Debts) Remember(from netip.Addr, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of.remember(from, now)
}
