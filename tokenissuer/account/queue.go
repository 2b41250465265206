package account

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// seatsPerHash is how many sign-ins may be under way for each hash that runs at
// once: at 25 ms a hash the last of them waits under two seconds.
const seatsPerHash = 64

// errBusy: the answer is to come again later.
var errBusy = errors.New("too many sign-ins at once")

// queue bounds what passwords can cost: a hash takes a CPU for 25 ms and 19 MiB,
// and whoever can reach the token endpoint can ask for one.
type queue struct {
	seats  chan struct{} // sign-ins under way, waiting ones too
	slots  chan struct{} // hashes that run
	wait   time.Duration
	hashed atomic.Uint64
}

func newQueue(slots int, wait time.Duration) *queue {
	return &queue{
		seats: make(chan struct{}, slots*seatsPerHash),
		slots: make(chan struct{}, slots),
		wait:  wait,
	}
}

// enter takes a seat, or says at once that there is none. The context it returns
// ends when the sign-in has waited long enough.
func (q *queue) enter(ctx context.Context) (context.Context, func(), error) {
	select {
	case q.seats <- struct{}{}:
	default:
		return nil, nil, errBusy
	}
	ctx, cancel := context.WithTimeout(ctx, q.wait)
	return ctx, func() { cancel(); <-q.seats }, nil
}

// Hashed is how many passwords were hashed since the start, for a metric.
func (a *Accounts) Hashed() uint64 { return a.queue.hashed.Load() }

// run hashes when a slot is free. A hash that has begun is not interrupted.
func (q *queue) run(ctx context.Context, hash func()) error {
	select {
	case q.slots <- struct{}{}:
	case <-ctx.Done():
		return errors.Join(errBusy, ctx.Err())
	}
	defer func() { <-q.slots }()
	q.hashed.Add(1)
	hash()
	return nil
}
