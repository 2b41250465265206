package feed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

const (
	// lookEvery is how often the changes are read without a notification: one that is
	// lost costs this much.
	lookEvery = 500 * time.Millisecond

	// restMost is how soon a look that a notification asked for may follow another such:
	// where somebody revokes all the time, a thousand nodes would ask the database a
	// thousand times for each.
	restMost = 100 * time.Millisecond

	// lateFrom is how far behind a node is that is not answered: a look is under way for
	// longer than it should be, or has failed.
	lateFrom = 3 * lookEvery
)

// Tail follows what other processes change in a shared store. It knows how far
// behind it may be.
type Tail struct {
	store  *store.Store
	cursor *store.Cursor
	keys   keyring
	report func(error)

	clock  func() time.Time
	asOf   atomic.Pointer[time.Time] // everything that was committed before is in effect here
	theirs time.Time                 // the database's clock, of the last look; zero when all is read anew
	ahead  atomic.Int64              // it less ours
	outage outage

	compared bool // the clocks were
}

// NewTail takes a place in the changes: what is read from the store afterwards
// misses nothing that Run does not bring. A store of one process has no changes of
// others, and nil as its tail. clock is this machine's.
func NewTail(ctx context.Context, st *store.Store, clock func() time.Time, report func(error)) (*Tail, error) {
	if !st.Shared() {
		return nil, nil
	}
	t := &Tail{store: st, clock: clock, report: report, keys: keyring{found: make(chan struct{}, 1)}}
	origin := time.Now()
	t.asOf.Store(&origin)
	t.keys.asOf.Store(&origin)
	var err error
	if t.cursor, err = st.Position(ctx); err != nil {
		return nil, fmt.Errorf("finding a place in the changes: %w", err)
	}
	_, err = t.look(ctx)
	return t, err
}

// Behind is how long ago this process knew everything that was revoked. It is 0 without
// others.
func (t *Tail) Behind() time.Duration {
	if t == nil {
		return 0
	}
	return since(*t.asOf.Load())
}

func since(began time.Time) time.Duration {
	now := time.Now()
	// One clock stands still while the machine sleeps, the other can be set.
	return max(now.Sub(began), now.Round(0).Sub(began.Round(0)))
}

// Late says whether the database does not answer the looks at it, or not in time.
func (t *Tail) Late() bool { return t.Behind() > lateFrom }

// Ahead is how much the database's clock is ahead of ours.
func (t *Tail) Ahead() time.Duration {
	if t == nil {
		return 0
	}
	return time.Duration(t.ahead.Load())
}

// Run follows until ctx ends. keys reads the signing keys again.
func (t *Tail) Run(ctx context.Context, keys func(context.Context) error) {
	woken := make(chan struct{}, 1)
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { t.listen(ctx, woken) })
	beside.Go(func() { t.readKeys(ctx, keys) })
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	asked := time.Now().Add(-restMost)
	for {
		t.follow(ctx)
		select {
		case <-ctx.Done():
		case <-woken:
			pause(ctx, restMost-time.Since(asked))
			asked = time.Now()
		case <-tick.C:
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-ctx.Done():
	case <-wait.C:
	}
}

// follow reads what there is, and tells of the first failure and of the end.
func (t *Tail) follow(ctx context.Context) {
	err := t.catchUp(ctx)
	if ctx.Err() != nil {
		return
	}
	first, unsaid := t.outage.looked(err != nil)
	switch {
	case first && err != nil:
		t.report(fmt.Errorf("the changes of other nodes cannot be followed: %w", err))
	case first:
		t.report(errFollowing)
	}
	for _, e := range unsaid {
		t.report(e)
	}
}

// catchUp reads from where this process stands, or everything where that says nothing
// any more.
func (t *Tail) catchUp(ctx context.Context) (err error) {
	if t.Behind() > store.AwayMost {
		err = t.anew(ctx)
	}
	if err == nil {
		err = t.rest(ctx)
	}
	back := errors.Is(err, store.ErrWentBack)
	if !back && !errors.Is(err, errAway) {
		return err
	}
	if err := t.anew(ctx); err != nil {
		return err
	}
	if back {
		t.report(errWentBack)
	}
	return t.rest(ctx)
}

// errAway is of a look after which changes may be gone that nobody here has read: this
// machine slept, and no clock of its own may know.
var errAway = errors.New("the last look was too long ago")

// rest reads changes until there are no more.
func (t *Tail) rest(ctx context.Context) (err error) {
	for more := true; more && err == nil; {
		more, err = t.look(ctx)
	}
	return err
}

// errWentBack is for who runs the database: it lost what it had answered.
var errWentBack = errors.New("the database is not what it was: a change that was read is gone, as after a failover to a standby that was behind, " +
	"or a backup that was restored under running nodes; everything was read again, and what was answered last may be lost")

// ErrOver is no failure: it tells who read of one that it is over.
var ErrOver = errors.New("again")

var errFollowing = fmt.Errorf("the changes of other nodes are followed %w", ErrOver)

// look reads changes once and brings them into effect.
func (t *Tail) look(ctx context.Context) (more bool, err error) {
	began, ours := time.Now(), t.clock()
	changes, theirs, more, err := t.store.Changes(ctx, t.cursor, began)
	if err != nil {
		return false, err
	}
	t.compare(theirs.Sub(ours), time.Since(began))
	now := ours.Add(t.Ahead())
	for _, c := range changes {
		t.store.Hear(now, c.Revoked)
		if c.Keys {
			t.keys.changed(began)
		}
	}
	if !t.theirs.IsZero() && theirs.Sub(t.theirs) > store.AwayMost {
		return false, errAway
	}
	t.theirs = theirs
	if !more {
		t.asOf.Store(&began)
		t.keys.looked(began)
	}
	return more, nil
}

// compare takes the clocks' difference from an answer: the database looked at its
// clock some time between the question and then. What is known changes only as far
// as that demands, so a look that had to wait for a connection tells nothing wrong.
func (t *Tail) compare(most, took time.Duration) {
	ahead := most - took/2
	if t.compared {
		ahead = min(max(t.Ahead(), most-took), most)
	}
	t.compared = true
	t.ahead.Store(int64(ahead))
}

// anew reads everything that matters, as a start does.
func (t *Tail) anew(ctx context.Context) error {
	cursor, err := t.store.Position(ctx)
	if err != nil {
		return err
	}
	now := t.clock().Add(t.Ahead())
	if err := t.store.Revocations(ctx, now, func(revoked []store.Revocation) { t.store.Hear(now, revoked) }); err != nil {
		return err
	}
	t.keys.changed(time.Now())
	t.cursor, t.theirs = cursor, time.Time{}
	return nil
}
