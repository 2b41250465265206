package account

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// The right password in a lock must look like a wrong one, or guessing goes on
// through the lock.
func TestLockDoesNotLookAtThePassword(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: right})
	for _, name := range []string{"alice", "nobody"} {
		w.fail(staff.Failures, noon, name, stranger)
		before := w.Hashed()
		for _, password := range []string{right, "wrong"} {
			w.want(oauth.AccountLocked, w.try(noon.Add(staff.Lock-time.Second), name, password, stranger))
		}
		if w.Hashed() != before {
			t.Errorf("%s: looked at the password of a locked name", name)
		}
	}
	w.want("", w.try(noon.Add(staff.Lock), "alice", right, stranger))
	w.want(oauth.WrongCredentials, w.try(noon.Add(staff.Lock), "nobody", right, stranger))
}

func TestOperatorsLockDoesNotLookAtThePassword(t *testing.T) {
	w := newWorld(t, Options{})
	alice := w.create(Create{Username: "alice", Password: right})
	w.want("", w.try(noon, "alice", right, home))
	w.apply(noon, w.SetState(noon, "operator", alice, store.Locked))
	before := w.Hashed()
	for _, password := range []string{right, "wrong"} {
		w.want(oauth.AccountLocked, w.try(noon, "alice", password, home))
	}
	if w.Hashed() != before {
		t.Error("looked at the password of a locked account")
	}
}

func TestGuessesFromManyAddressesLock(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: right})
	for i := range staff.Failures {
		w.fail(1, noon, "alice", netip.AddrFrom4([4]byte{203, 0, byte(i), 1}))
	}
	w.want(oauth.AccountLocked, w.try(noon, "alice", right, netip.AddrFrom4([4]byte{203, 0, 200, 1})))
}

// The attack is on the owner: wrong passwords all day long, so that she cannot
// sign in herself.
func TestStrangersDoNotLockOutTheOwner(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: right})
	w.want("", w.try(noon, "alice", right, home))
	for day := range 3 {
		now := noon.Add(time.Duration(day) * 24 * time.Hour)
		w.fail(staff.Failures, now, "alice", stranger)
		w.want(oauth.AccountLocked, w.try(now, "alice", right, stranger))
		w.want("", w.try(now, "alice", right, home))
	}
}

// A neighbour behind the same provider is a stranger: it neither has the
// owner's exemption nor can it take it away.
func TestNeighboursOfTheOwnerAreStrangers(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: right})
	w.want("", w.try(noon, "alice", right, home))
	neighbour := netip.MustParseAddr("198.51.100.200")
	w.fail(staff.Failures, noon, "alice", neighbour)
	w.want(oauth.AccountLocked, w.try(noon, "alice", right, neighbour))
	w.want("", w.try(noon, "alice", right, home))
}

func TestKnownAddressIsLockedByItsOwnFailures(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: right})
	w.want("", w.try(noon, "alice", right, home))
	w.fail(staff.Failures, noon, "alice", home)
	w.want(oauth.AccountLocked, w.try(noon, "alice", right, home))
	// ... and by no other's: a typing error at home locks nobody out elsewhere.
	w.want("", w.try(noon, "alice", right, stranger))
}

// Behind a Unix socket nobody has an address, so none can be the owner's.
func TestNoAddressIsNobodysHome(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: right})
	w.want("", w.try(noon, "alice", right, netip.Addr{}))
	w.fail(staff.Failures, noon, "alice", stranger)
	w.want(oauth.AccountLocked, w.try(noon, "alice", right, netip.Addr{}))
}

// Were the strangers' counter cleared by each sign-in of the owner, they would
// have as many tries a day as she has sign-ins.
func TestOwnersSignInGivesStrangersNoTries(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: right})
	w.want("", w.try(noon, "alice", right, home))
	w.fail(staff.Failures-1, noon, "alice", stranger)
	w.want("", w.try(noon, "alice", right, home))
	w.fail(1, noon, "alice", stranger)
	w.want(oauth.AccountLocked, w.try(noon, "alice", right, stranger))
}

func TestSuccessForgetsOnesOwnFailures(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: right})
	for range 3 {
		w.fail(staff.Failures-1, noon, "alice", home)
		w.want("", w.try(noon, "alice", right, home))
	}
}

// An operator who unlocks means every name and every network, the owner's own
// too; so does one who sets a new password.
func TestUnlockForgetsTheFailures(t *testing.T) {
	w := newWorld(t, Options{})
	alice := w.create(Create{Username: "alice", Email: "alice@example.com", Password: right})
	w.want("", w.try(noon, "alice", right, home))
	password := right
	for _, forgive := range []func() []store.Write{
		func() []store.Write { return w.SetState(noon, "operator", alice, store.Active) },
		func() []store.Write {
			password = "another good one"
			writes, err := w.SetPassword(t.Context(), noon, "operator", staff, alice, password)
			if err != nil {
				t.Fatal(err)
			}
			return writes
		},
	} {
		w.fail(staff.Failures, noon, "alice", home)
		w.fail(staff.Failures, noon, "alice@example.com", stranger)
		w.want(oauth.AccountLocked, w.try(noon, "alice", right, home))
		w.want(oauth.AccountLocked, w.try(noon, "alice@example.com", right, stranger))
		w.apply(noon, forgive())
		w.want("", w.try(noon, "alice", password, home))
		w.want("", w.try(noon, "alice@example.com", password, netip.MustParseAddr("192.0.2.1")))
	}
}

func TestNetworksAreCountedTogether(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"198.51.100.7", "198.51.100.200", true},
		{"198.51.100.7", "::ffff:198.51.100.9", true},
		{"198.51.100.7", "198.51.101.7", false},
		{"2001:db8:1:200::1", "2001:db8:1:2ff:ffff::1", true},
		{"2001:db8:1:200::1", "2001:db8:1:300::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		if same := Network(netip.MustParseAddr(c.a)) == Network(netip.MustParseAddr(c.b)); same != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, same)
		}
	}
	if Network(netip.Addr{}) != "unknown" {
		t.Error("an address that is none")
	}
}

func TestFailuresOutliveARestart(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: right})
	w.fail(staff.Failures, noon, "alice", stranger)
	again, err := New(w.st, Options{Memory: 8, Passes: 1, Key: w.key})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = again.Password(t.Context(), noon, staff, "alice", right, stranger)
	w.want(oauth.AccountLocked, reason(err))
}

// The attack: guess, and hang up before the answer, so that the failure is not
// written.
func TestGuessWhoseSenderHangsUpIsCounted(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: right})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	guard := w.lockout(staff, w.identify("alice"), stranger, false)
	for range staff.Failures {
		if err := guard.remember(gone, w.st, noon); err != nil {
			t.Fatal(err)
		}
	}
	w.want(oauth.AccountLocked, w.try(noon, "alice", right, stranger))
}

// Fifty guesses sent at once are not fifty guesses.
func TestRaceOfGuessesIsBounded(t *testing.T) {
	for name, password := range map[string]string{"alice": "wrong", "nobody": right} {
		w := newWorld(t, Options{Hashes: 8})
		w.create(Create{Username: "alice", Password: right})
		before := w.Hashed()
		counts := w.race(50, name, password)
		if counts[oauth.WrongCredentials] != staff.Failures || counts[oauth.AccountLocked] != 50-staff.Failures {
			t.Errorf("%s: %v", name, counts)
		}
		if n := w.Hashed() - before; n != uint64(staff.Failures) {
			t.Errorf("%s: %d passwords were looked at", name, n)
		}
		if len(w.flights.names) != 0 {
			t.Error("flights are left over")
		}
	}
}

// Nodes that share a store look at more, and answer no more than one would.
func TestGuessesOverNodesAreAnsweredAsOnOne(t *testing.T) {
	w := newWorld(t, Options{Hashes: 8})
	w.create(Create{Username: "alice", Password: right})
	other := w
	var err error
	if other.Accounts, err = New(w.st, Options{Hashes: 8, Memory: 8, Passes: 1, Wait: time.Minute, Key: w.key}); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	var here, there map[oauth.Reason]int
	both.Go(func() { here = w.race(25, "alice", "wrong") })
	both.Go(func() { there = other.race(25, "alice", "wrong") })
	both.Wait()
	if told := here[oauth.WrongCredentials] + there[oauth.WrongCredentials]; told != staff.Failures {
		t.Errorf("%d guesses were answered, want %d: %v and %v", told, staff.Failures, here, there)
	}
}

// A program with one account and fifty workers is no attack.
func TestRaceOfTheOwnerSucceeds(t *testing.T) {
	w := newWorld(t, Options{Hashes: 8})
	w.create(Create{Username: "alice", Password: right})
	if counts := w.race(50, "alice", right); counts[""] != 50 {
		t.Errorf("%v", counts)
	}
}

func (w world) race(n int, name, password string) map[oauth.Reason]int {
	var mu sync.Mutex
	var all sync.WaitGroup
	counts := map[oauth.Reason]int{}
	for range n {
		all.Go(func() {
			got := w.try(noon, name, password, stranger)
			mu.Lock()
			defer mu.Unlock()
			counts[got]++
		})
	}
	all.Wait()
	return counts
}
