package account

import (
	"context"
	"errors"
	"sync"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// flights keeps fifty guesses sent at once from being fifty guesses. A wrong
// password is counted only after it was looked at, so the count in the store says
// nothing about those being looked at now: an attempt reserves its place here
// first, and starts only while failures counted and attempts in flight together
// stay under the limit. A success gives its place back and costs no write.
//
// Attempts above that do not fail, they wait for one in flight to land, so that
// a program with one account and many workers is slowed and not locked out. The
// reservation is in memory, so n nodes on one store may look at n times as many;
// they answer as many as one would, see lockout.remember.
type flights struct {
	mu    sync.Mutex
	names map[store.Hash]*flight
	share int // attempts under one name, waiting ones too
}

type flight struct {
	turn    chan struct{} // who holds it decides whether to start; the others queue
	attempt int           // holders of this flight; the last removes it
	running int
	landed  chan struct{} // closed when the next one lands
}

func newFlights(share int) *flights {
	return &flights{names: map[store.Hash]*flight{}, share: share}
}

// enter waits until one more attempt under key may run; land must be called when
// its failure, if it is one, has been counted. left says how many failures are
// left before the lock, from the store; it fails when none is.
func (f *flights) enter(ctx context.Context, key store.Hash, left func() (int, error)) (land func(), err error) {
	fl, ok := f.join(key)
	if !ok {
		return nil, errBusy
	}
	select {
	case fl.turn <- struct{}{}:
	case <-ctx.Done():
		f.leave(key, fl, 0)
		return nil, errors.Join(errBusy, ctx.Err())
	}
	defer func() { <-fl.turn }()
	for {
		// In this order: who lands in between is counted twice and looked at again,
		// never missed.
		running, landed := f.state(fl)
		n, err := left()
		if err != nil {
			f.leave(key, fl, 0)
			return nil, err
		}
		if running < n {
			f.start(fl)
			return func() { f.leave(key, fl, 1) }, nil
		}
		select {
		case <-landed:
		case <-ctx.Done():
			f.leave(key, fl, 0)
			return nil, errors.Join(errBusy, ctx.Err())
		}
	}
}

func (f *flights) join(key store.Hash) (*flight, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl := f.names[key]
	if fl == nil {
		fl = &flight{turn: make(chan struct{}, 1), landed: make(chan struct{})}
		f.names[key] = fl
	}
	if fl.attempt >= f.share {
		return nil, false
	}
	fl.attempt++
	return fl, true
}

func (f *flights) state(fl *flight) (running int, landed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fl.running, fl.landed
}

func (f *flights) start(fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl.running++
}

// leave ends an attempt; ran is 1 for one that had started.
func (f *flights) leave(key store.Hash, fl *flight, ran int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl.running -= ran; ran > 0 {
		close(fl.landed)
		fl.landed = make(chan struct{})
	}
	if fl.attempt--; fl.attempt == 0 {
		delete(f.names, key)
	}
}
