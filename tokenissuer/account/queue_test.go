package account

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func (w world) wantOverloaded(name string) {
	w.t.Helper()
	_, _, err := w.Password(w.t.Context(), noon, staff, name, right, home)
	if e := oauth.AsError(err); e.Code != oauth.TemporarilyUnavailable || e.Reason != oauth.Overloaded {
		w.t.Errorf("%v", err)
	}
}

func TestSignInsAreBoundedInNumber(t *testing.T) {
	w := newWorld(t, Options{Hashes: 1})
	w.create(Create{Username: "alice", Password: right})
	for range seatsPerHash {
		w.queue.seats <- struct{}{}
	}
	w.wantOverloaded("alice")
	<-w.queue.seats
	w.want("", w.try(noon, "alice", right, home))
}

func TestWaitingIsBoundedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, time.Second)
		q.slots <- struct{}{}
		start := time.Now()
		ctx, leave, err := q.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		err = q.run(ctx, func() { t.Error("hashed beside the one slot") })
		if e := oauth.AsError(refusal(err)); e.Reason != oauth.Overloaded || time.Since(start) != time.Second {
			t.Errorf("%v after %v", e, time.Since(start))
		}
		leave()
		if len(q.seats) != 0 || q.hashed.Load() != 0 {
			t.Errorf("%d seats, %d hashes", len(q.seats), q.hashed.Load())
		}
	})
}

func TestSlotsBoundHashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(2, time.Minute)
		done := make(chan struct{})
		running := 0
		for range 3 {
			go func() { _ = q.run(t.Context(), func() { running++; <-done }) }()
			synctest.Wait()
		}
		if running != 2 {
			t.Errorf("%d at once", running)
		}
		close(done)
		synctest.Wait()
		if running != 3 {
			t.Errorf("%d in all", running)
		}
	})
}

func TestAttemptWaitsForTheOneInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlights(8)
		key := store.Hash{1}
		failures := 4 // of five
		left := func() (int, error) {
			if failures >= 5 {
				return 0, locked()
			}
			return 5 - failures, nil
		}
		land, err := f.enter(t.Context(), key, left)
		if err != nil {
			t.Fatal(err)
		}
		results := make(chan error, 2)
		for range 2 {
			go func() {
				land, err := f.enter(t.Context(), key, left)
				if err == nil {
					defer land()
				}
				results <- err
			}()
		}
		synctest.Wait()
		if len(results) != 0 {
			t.Fatal("started beside the last try")
		}
		failures++
		land()
		for range 2 {
			if err := <-results; oauth.AsError(err).Reason != oauth.AccountLocked {
				t.Error(err)
			}
		}
		synctest.Wait()
		if len(f.names) != 0 {
			t.Error("flights are left over")
		}
	})
}

func TestFlightIsBoundedInNumberAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlights(2)
		one := func() (int, error) { return 1, nil }
		land, err := f.enter(t.Context(), store.Hash{}, one)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		waiting := make(chan error, 1)
		go func() { _, err := f.enter(ctx, store.Hash{}, one); waiting <- err }()
		synctest.Wait()
		if _, err := f.enter(ctx, store.Hash{}, one); !errors.Is(err, errBusy) {
			t.Errorf("third: %v", err)
		}
		if _, err := f.enter(ctx, store.Hash{1}, one); err != nil {
			t.Errorf("another name: %v", err)
		}
		if err := <-waiting; !errors.Is(err, errBusy) {
			t.Errorf("second: %v", err)
		}
		land()
		if _, err := f.enter(t.Context(), store.Hash{}, one); err != nil {
			t.Errorf("after landing: %v", err)
		}
	})
}
