package tokenissuer

import (
	"net/netip"
	"testing"
	"time"
)

// TestWhoStopsFailingIsFreeOneWindowLater: the debt of a flood is no larger
// than that of somebody who has just used up what may fail.
func TestWhoStopsFailingIsFreeOneWindowLater(t *testing.T) {
	l := newLimit(600, time.Minute)
	now, peer := time.Unix(1_800_000_000, 0), party{from: netip.MustParseAddr("192.0.2.1")}
	for range 100_000 {
		l.failed(peer, now)
	}
	if l.wait(peer, now) == 0 {
		t.Fatal("100,000 failures at once are not limited")
	}
	if w := l.wait(peer, now.Add(time.Second)); w != 0 {
		t.Errorf("one more try, a second later, waits %v", w)
	}
	for n := range 600 {
		if w := l.wait(peer, now.Add(time.Minute)); w != 0 {
			t.Fatalf("a window later try %d waits %v", n, w)
		}
		l.failed(peer, now.Add(time.Minute))
	}
	if l.wait(peer, now.Add(time.Minute)) == 0 {
		t.Error("the 601st is let through")
	}
	if l.wait(party{from: netip.MustParseAddr("192.0.2.2")}, now) != 0 {
		t.Error("a neighbour is limited")
	}
}

// TestHostsOfOneNetworkPrefixAreOneParty: an IPv6 host has as many addresses
// as it likes.
func TestHostsOfOneNetworkPrefixAreOneParty(t *testing.T) {
	l := newLimit(1, time.Minute)
	now := time.Unix(1_800_000_000, 0)
	l.failed(party{from: netip.MustParseAddr("2001:db8::1")}, now)
	if l.wait(party{from: netip.MustParseAddr("2001:db8::2")}, now) == 0 {
		t.Error("another address of the same /64 is free")
	}
	if l.wait(party{from: netip.MustParseAddr("2001:db8:0:1::1")}, now) != 0 {
		t.Error("another /64 is limited")
	}
}
