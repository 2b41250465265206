package remote_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// some are good where they say so, and no good else.
func some(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("token")[:4] == "good" {
		says(good)(w, r)
		return
	}
	says(`{"active":false}`)(w, r)
}

// within is the n-th address of the m-th network of one stranger's.
func within(m, n int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 4: byte(m >> 24), 5: byte(m >> 16), 6: byte(m >> 8), 7: byte(m), 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)})
}

// TestFloodFromOneAddressIsItsOwn (J01): 140 tokens a second that nobody issued,
// from one address, or from all of one host's, cost those of other addresses
// nothing, the tokens that nobody has seen before among them.
func TestFloodFromOneAddressIsItsOwn(t *testing.T) {
	for name, from := range map[string]func(n int) netip.Addr{
		"IPv4": func(int) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
		"IPv4 in IPv6": func(n int) netip.Addr {
			return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("192.0.2.1")}[n%2]
		},
		"a /64":            func(n int) netip.Addr { return within(1, n) },
		"a /64 with zones": func(n int) netip.Addr { return within(1, 1).WithZone(fmt.Sprint(n)) },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, some)
			const seconds = 60
			for second := range seconds {
				at := now.Add(time.Duration(second) * time.Second)
				for n := range 140 {
					n += 140 * second
					if _, err := d.Introspect(t.Context(), fmt.Sprint("bad", n), token.Sum(fmt.Sprint("bad", n)), from(n), false, at); err == nil {
						t.Fatal("it opens")
					}
				}
				for n, other := range []netip.Addr{netip.MustParseAddr("192.0.2.2"), within(2, 1), {}} {
					raw := fmt.Sprint("good", second, n)
					if _, err := d.Introspect(t.Context(), raw, token.Sum(raw), other, false, at); err != nil {
						t.Fatalf("second %d: a new token from %v: %v", second, other, err)
					}
				}
				raw := fmt.Sprint("good", second, "proven")
				if _, err := d.Introspect(t.Context(), raw, token.Sum(raw), from(second), true, at); err != nil {
					t.Fatalf("one that was good, from the stranger's own address: %v", err)
				}
			}
			if strange := d.asked.Load() - 4*seconds; strange > 50+2*seconds {
				t.Errorf("%d questions on behalf of one address", strange)
			}
		})
	}
}

// A host, or an office behind one address, may bring as many good tokens as it
// likes: only the others use its allowance up.
func TestGoodTokensOfOneAddressCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, some)
		for n := range 1000 {
			raw := fmt.Sprint("good", n)
			if _, err := d.Introspect(t.Context(), raw, token.Sum(raw), within(1, 1), false, now); err != nil {
				t.Fatalf("token %d: %v", n, err)
			}
		}
	})
}

// TestFloodFromManyAddresses (J01): who has thousands of them meets the allowance of
// all strangers, in memory that does not grow.
func TestFloodFromManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, some)
		for n := range 20_000 {
			raw := fmt.Sprint("bad", n)
			_, _ = d.Introspect(t.Context(), raw, token.Sum(raw), within(n, 1), false, now)
		}
		if n := d.asked.Load(); n > 200 {
			t.Errorf("%d questions", n)
		}
		if _, err := d.Introspect(t.Context(), "good", token.Sum("good"), within(7, 1), true, now); err != nil {
			t.Errorf("one that was good: %v", err)
		}
	})
}

// TestStrangersOfManyAddressesKeepOutNobodyElse (J01): ten addresses, each within its
// own share, could use up what all have. Whoever brings no bad tokens comes first, and
// where there are too many addresses for that, those whose tokens were good do.
func TestStrangersOfManyAddressesKeepOutNobodyElse(t *testing.T) {
	for name, c := range map[string]struct {
		addresses int
		newcomers bool // are let in, too
	}{"ten": {10, true}, "a hundred": {100, false}, "ten thousand": {10_000, false}} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, some)
			ask := func(raw string, from netip.Addr, at time.Time) error {
				_, err := d.Introspect(t.Context(), raw, token.Sum(raw), from, false, at)
				return err
			}
			known := netip.MustParseAddr("192.0.2.1")
			if err := ask("good of yesterday", known, now); err != nil {
				t.Fatal(err)
			}
			refused, bad := 0, 0
			for tick := range 60 * 20 { // twenty times a second, for a minute
				at := now.Add(time.Duration(tick) * 50 * time.Millisecond)
				for range 15 {
					if bad++; ask(fmt.Sprint("bad", bad), within(bad%c.addresses, 1), at) == nil {
						t.Fatal("it opens")
					}
				}
				if tick%10 != 9 {
					continue
				}
				if err := ask(fmt.Sprint("good", tick), known, at); err != nil {
					t.Fatalf("after %v: an address whose token was good: %v", at.Sub(now), err)
				}
				if ask(fmt.Sprint("good and new", tick), within(1<<24+tick, 1), at) != nil {
					refused++
				}
			}
			if c.newcomers && refused > 0 {
				t.Errorf("%d new addresses were kept out", refused)
			}
			if n := d.asked.Load(); n > 200+60*20+2*120+1 {
				t.Errorf("%d questions", n)
			}
			t.Logf("%d questions for %d bad tokens; %d of 120 new addresses were kept out", d.asked.Load(), bad, refused)
		})
	}
}

// TestTokensThatItsIssuerChokesOn: an endpoint that answers strange tokens with an
// error is not one that is down, as long as it answers about those that were good.
func TestTokensThatItsIssuerChokesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("token")[:4] != "good" {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			says(good)(w, r)
		})
		for n := range 100 {
			raw := fmt.Sprint("bad", n)
			_, _ = d.Introspect(t.Context(), raw, token.Sum(raw), within(1, 1), false, now)
			if n%10 == 9 {
				raw = fmt.Sprint("good", n)
				if _, err := d.Introspect(t.Context(), raw, token.Sum(raw), within(1, 1), true, now); err != nil {
					t.Fatalf("one that was good: %v", err)
				}
			}
		}
	})
}

// TestStrangersThatWaitLeaveRoom: an issuer that is slow has strangers wait in a
// queue of their own.
func TestStrangersThatWaitLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finish := make(chan struct{})
		d := newDesk(t, func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("token")[:4] != "good" {
				<-finish
			}
			some(w, r)
		})
		var wg sync.WaitGroup
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for second := range 10 { // by the clock that is passed in: nobody waits for it
			for n := range 100 {
				raw := fmt.Sprint("bad", second, " ", n)
				_, _ = d.Introspect(gone, raw, token.Sum(raw), within(100*second+n, 1), false, now.Add(time.Duration(second)*10*time.Second))
			}
		}
		for n := range 16 {
			wg.Go(func() {
				raw := fmt.Sprint("good", n)
				if _, err := d.Introspect(t.Context(), raw, token.Sum(raw), netip.Addr{}, true, now); err != nil {
					t.Errorf("one that was good: %v", err)
				}
			})
		}
		wg.Wait()
		if n := d.asked.Load(); n > 32 { // as long as nobody who waits is let go
			t.Errorf("%d questions", n)
		}
		close(finish)
		if _, told := d.told.Load(remote.Refused); !told {
			t.Error("nobody was turned away")
		}
	})
}
