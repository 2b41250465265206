package feed

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// keyring is how far the keys that all nodes sign with are known here. They are read
// apart from the looks that bring revocations: who reads them may have to wait for
// somebody who makes one, or cannot open one.
type keyring struct {
	due   atomic.Int64              // how often they were found to have changed
	read  atomic.Int64              // up to which of those times they were read
	since atomic.Pointer[time.Time] // when the first of those that were not read was found
	asOf  atomic.Pointer[time.Time]
	found chan struct{} // that they have changed
}

// changed notes that they are to be read, as was found then.
func (k *keyring) changed(then time.Time) {
	if k.read.Load() == k.due.Load() {
		k.since.Store(&then)
	}
	k.due.Add(1)
	select {
	case k.found <- struct{}{}:
	default: // whoever reads them has yet to begin
	}
}

// looked notes that a look which began then has left no change of them unread.
func (k *keyring) looked(began time.Time) {
	if k.read.Load() != k.due.Load() {
		return
	}
	for last := k.asOf.Load(); began.After(*last); last = k.asOf.Load() {
		if k.asOf.CompareAndSwap(last, &began) {
			return
		}
	}
}

// KeysBehind is how long ago this process knew all the keys: never less than Behind. It
// is 0 without others.
func (t *Tail) KeysBehind() time.Duration {
	if t == nil {
		return 0
	}
	return since(*t.keys.asOf.Load())
}

// KeysUnread is for how much of the time that is known here the keys were known to have
// changed, and were not read. It is 0 without others.
func (t *Tail) KeysUnread() time.Duration {
	if t == nil || t.keys.read.Load() == t.keys.due.Load() {
		return 0
	}
	return max(0, t.asOf.Load().Sub(*t.keys.since.Load()))
}

var errKeysRead = fmt.Errorf("the keys that other nodes have changed are read %w", ErrOver)

// readKeys reads the keys whenever they have changed, until ctx ends. It tells of the
// first failure and of the end, unless the looks tell of what is the matter.
func (t *Tail) readKeys(ctx context.Context, read func(context.Context) error) {
	for told := false; ; {
		err := t.readChanged(ctx, read)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			err = fmt.Errorf("the keys that other nodes have changed cannot be read: %w", err)
			if !told && !t.Explains(err) {
				told = true
				t.report(err)
			}
			pause(ctx, lookEvery)
			continue
		}
		if told {
			told = false
			t.report(errKeysRead)
		}
		select {
		case <-ctx.Done():
		case <-t.keys.found:
		}
	}
}

func (t *Tail) readChanged(ctx context.Context, read func(context.Context) error) error {
	due := t.keys.due.Load() // before: what changes meanwhile is read again
	if due == t.keys.read.Load() {
		return nil
	}
	if err := read(ctx); err != nil {
		return err
	}
	t.keys.read.Store(due)
	// Not with the next look: after a long outage all nodes would say for half a second that
	// they lack keys.
	t.keys.looked(*t.asOf.Load())
	return nil
}
