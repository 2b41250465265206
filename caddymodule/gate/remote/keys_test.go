package remote_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
)

// In these tests the network is real and the clock is not: time passes when all
// that was to be fetched has been.

func TestKeysComeByDiscoveryAndBeforeTheyAreStale(t *testing.T) {
	s := newSite(t)
	s.age = "public, max-age=600"
	synctest.Test(t, func(t *testing.T) {
		seen := &log{}
		k := open(t, remote.KeysConfig{Issuer: s.URL, Roots: s.roots(), Observe: seen.observe})
		if err := k.Await(t.Context(), s.newest()); err != nil || !known(k, s.newest()) {
			t.Fatalf("the first request: %v", err)
		}
		first := s.newest()
		second := s.rotate(t).ID
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		if !known(k, first) || !known(k, second) {
			t.Errorf("before ten minutes were over it was not asked again")
		}
		if n := s.asked.Load(); n != 2 {
			t.Errorf("asked %d times in nine minutes", n)
		}
		if got := seen.turns(); !slices.Equal(got, []remote.State{remote.Fresh}) {
			t.Errorf("%v", got)
		}
	})
}

func TestCacheControlCountsWithinBounds(t *testing.T) {
	for age, want := range map[string]time.Duration{
		"":                        10 * time.Minute,
		"max-age=0":               time.Minute,
		"no-store":                time.Minute,
		"public, MAX-AGE=\"300\"": 5 * time.Minute,
		"max-age=31536000":        time.Hour,
		"max-age=99999999999999":  10 * time.Minute,
		"max-age=-1":              10 * time.Minute,
	} {
		t.Run(age, func(t *testing.T) {
			s := newSite(t)
			s.age = age
			synctest.Test(t, func(t *testing.T) {
				open(t, remote.KeysConfig{Issuer: s.URL, Roots: s.roots()})
				time.Sleep(want * 74 / 100)
				synctest.Wait()
				if n := s.asked.Load(); n != 1 {
					t.Errorf("asked %d times within three quarters of %v", n, want)
				}
				time.Sleep(want * 15 / 100)
				synctest.Wait()
				if n := s.asked.Load(); n != 2 {
					t.Errorf("asked %d times when %v were nearly over", n, want)
				}
			})
		})
	}
}

// G03: a key that was added is known, and one that was removed opens nothing.
func TestRemovedKeyIsForgotten(t *testing.T) {
	s := newSite(t)
	synctest.Test(t, func(t *testing.T) {
		k := open(t, remote.KeysConfig{Issuer: s.URL, JWKSURI: s.URL + "/keys", Roots: s.roots()})
		synctest.Wait()
		stolen := s.newest()
		fresh := s.rotate(t, 1).ID
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if known(k, stolen) || !known(k, fresh) {
			t.Errorf("the removed key is known: %v; the new one: %v", known(k, stolen), known(k, fresh))
		}
	})
}

// G01
func TestFloodOfUnknownKeysIsOneFetchInAWhile(t *testing.T) {
	s := newSite(t)
	synctest.Test(t, func(t *testing.T) {
		k := open(t, remote.KeysConfig{Issuer: s.URL, Roots: s.roots()})
		synctest.Wait()
		time.Sleep(time.Minute)
		flood := func(prefix string) {
			var wg sync.WaitGroup
			for n := range 10_000 {
				wg.Go(func() {
					if err := k.Await(t.Context(), fmt.Sprint(prefix, n)); err != nil {
						t.Errorf("not refused as unknown: %v", err)
					}
					if !known(k, s.newest()) {
						t.Error("the good key is unknown meanwhile")
					}
				})
			}
			wg.Wait()
		}
		before := s.asked.Load()
		flood("a")
		flood("b")
		if n := s.asked.Load() - before; n != 1 {
			t.Errorf("%d fetches for 20,000 unknown keys", n)
		}
		began := time.Now()
		for time.Since(began) < time.Minute {
			time.Sleep(100 * time.Millisecond)
			_ = k.Await(t.Context(), fmt.Sprint("c", time.Now()))
		}
		if n := s.asked.Load() - before; n > 7 {
			t.Errorf("%d fetches in a minute", n)
		}
		if err := k.Await(t.Context(), "nobody's"); err != nil {
			t.Errorf("while the issuer answers, an unknown key is unknown: %v", err)
		}
	})
}

// Nobody is told that a good token is none because many wait for the keys, at the start
// or, among a stranger's, when there is a new one.
func TestManyThatWaitGetTheKeys(t *testing.T) {
	s := newSite(t)
	allWait := make(chan struct{}, 1)
	s.answers(nil, func(w http.ResponseWriter, _ *http.Request) {
		<-allWait
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": s.URL, "jwks_uri": s.URL + "/keys"})
	})
	synctest.Test(t, func(t *testing.T) {
		k := open(t, remote.KeysConfig{Issuer: s.URL, Roots: s.roots()})
		all := func(kids ...string) {
			var wg sync.WaitGroup
			var waiting atomic.Int32
			for n := range 900 {
				wg.Go(func() {
					kid := kids[n%len(kids)]
					ctx := &waiter{Context: t.Context(), waits: func() {
						if waiting.Add(1) == 900 {
							allWait <- struct{}{}
						}
					}}
					if err := k.Await(ctx, kid); err != nil || kid == s.newest() && !known(k, kid) {
						t.Errorf("%s: refused, %v", kid, err)
					}
				})
			}
			wg.Wait()
		}
		all(s.newest())
		s.rotate(t)
		s.answers(func(w http.ResponseWriter, r *http.Request) {
			<-allWait
			s.answers(nil, nil)
			s.answer(w, r)
		}, nil)
		all("a stranger's", "another", s.newest())
	})
}

// But what waits is bounded, whoever hangs.
func TestWhatWaitsIsBounded(t *testing.T) {
	s := newSite(t)
	held, refused := make(chan struct{}), make(chan struct{}, 10_100)
	defer close(held)
	s.answers(nil, func(http.ResponseWriter, *http.Request) { <-held })
	late, inTime := context.WithTimeout(t.Context(), time.Minute) // by the real clock
	defer inTime()
	tooLate := late.Done() // made out here, it keeps the bubble's clock still
	synctest.Test(t, func(t *testing.T) {
		k := open(t, remote.KeysConfig{Issuer: s.URL, Roots: s.roots()})
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for range 10_100 {
			wg.Go(func() {
				if err := k.Await(ctx, "nobody's"); err != nil && strings.Contains(err.Error(), "too many") {
					refused <- struct{}{}
				}
			})
		}
		for range 100 {
			select {
			case <-refused:
			case <-tooLate:
				t.Error("not refused")
			}
		}
		cancel()
		wg.Wait()
	})
	if more := len(refused); more != 0 {
		t.Errorf("%d of 10,100 did not wait", 100+more)
	}
}

// TestIssuerThatRotatesEverySecond: whoever signs with a key that is published
// is let in, with the key of this very second too.
func TestIssuerThatRotatesEverySecond(t *testing.T) {
	s := newSite(t)
	s.age = "max-age=1"
	synctest.Test(t, func(t *testing.T) {
		k := open(t, remote.KeysConfig{Issuer: s.URL, Roots: s.roots()})
		synctest.Wait()
		began := s.asked.Load()
		for second := range 120 {
			s.rotate(t, 5)
			for range 4 {
				s.mu.Lock()
				published := slices.Clone(s.ring)
				s.mu.Unlock()
				for _, key := range published {
					if known(k, key.ID) {
						continue
					}
					if err := k.Await(t.Context(), key.ID); err != nil || !known(k, key.ID) {
						t.Fatalf("second %d: a published key is refused: %v", second, err)
					}
				}
				time.Sleep(250 * time.Millisecond)
			}
		}
		if n := s.asked.Load() - began; n > 125 {
			t.Errorf("%d fetches in two minutes", n)
		}
	})
}

func TestDeadIssuersKeysServeForADayAndNotLonger(t *testing.T) {
	s := newSite(t)
	synctest.Test(t, func(t *testing.T) {
		seen := &log{}
		k := open(t, remote.KeysConfig{Issuer: s.URL, Roots: s.roots(), Observe: seen.observe})
		synctest.Wait()
		kid := s.newest()
		s.answers(status(500), status(500))
		began := time.Now()
		for time.Since(began) < 23*time.Hour {
			time.Sleep(time.Hour)
			if !known(k, kid) {
				t.Fatalf("the key is gone after %v", time.Since(began))
			}
		}
		asked := time.Now()
		if err := k.Await(t.Context(), "new"); err == nil {
			t.Error("a key that nobody can ask about is said to be unknown")
		} else if !strings.Contains(err.Error(), s.URL) || !strings.Contains(err.Error(), "answered 500") {
			t.Errorf("%v", err)
		}
		if waited := time.Since(asked); waited > 2*time.Second {
			t.Errorf("a request waited %v", waited)
		}
		if e := seen.last(); e.To != remote.Stale || e.Until.IsZero() {
			t.Errorf("%+v", e)
		}
		time.Sleep(time.Hour + 10*time.Second)
		synctest.Wait()
		if known(k, kid) {
			t.Error("the key is used after a day")
		}
		s.answers(nil, nil)
		time.Sleep(80 * time.Second)
		synctest.Wait()
		if !known(k, kid) {
			t.Error("the issuer is back and its key unknown")
		}
		// Each is told once, however long it takes.
		if got := seen.turns(); !slices.Equal(got, []remote.State{remote.Fresh, remote.Stale, remote.Down, remote.Fresh}) {
			t.Errorf("%v", got)
		}
		if n := s.asked.Load(); n > 2*24*60 {
			t.Errorf("a dead issuer was asked %d times in a day", n)
		}
	})
}

func TestIssuerThatComesUpLaterIsFoundSoon(t *testing.T) {
	s := newSite(t)
	s.answers(nil, status(503))
	synctest.Test(t, func(t *testing.T) {
		seen := &log{}
		k := open(t, remote.KeysConfig{Issuer: s.URL, Roots: s.roots(), Observe: seen.observe})
		if err := k.Await(t.Context(), s.newest()); err == nil {
			t.Error("nobody can say, and it is said")
		}
		time.Sleep(3 * time.Second)
		s.answers(nil, nil)
		time.Sleep(7 * time.Second)
		synctest.Wait()
		if !known(k, s.newest()) {
			t.Error("ten seconds later its keys are unknown")
		}
		if got := seen.turns(); !slices.Equal(got, []remote.State{remote.Down, remote.Fresh}) {
			t.Errorf("%v", got)
		}
	})
}

func TestClosedKeysStillOpenAndFetchNothing(t *testing.T) {
	s := newSite(t)
	synctest.Test(t, func(t *testing.T) {
		k := open(t, remote.KeysConfig{Issuer: s.URL, Roots: s.roots()})
		synctest.Wait()
		k.Close()
		before := s.asked.Load()
		time.Sleep(time.Hour)
		if err := k.Await(t.Context(), "other"); err == nil {
			t.Error("nobody asks any more, and it is said")
		}
		if !known(k, s.newest()) || s.asked.Load() != before {
			t.Error("a request of the old configuration lost its key, or one was fetched")
		}
	})
}
