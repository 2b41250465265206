package feed

import (
	"context"
	"fmt"
	"time"
)

const (
	// listenAgain is how long to wait after the listener's connection ended.
	listenAgain = time.Second

	// deafMost is for how long a node may try to listen before it is told of.
	deafMost = 5 * time.Second
)

var errListening = fmt.Errorf("notifications of other nodes arrive %w", ErrOver)

// listen keeps a connection on which the database tells of changes. Looks go on without
// one, so nothing is lost but time.
func (t *Tail) listen(ctx context.Context, woken chan<- struct{}) {
	var deaf deafness
	wake := func() {
		if deaf.over() {
			t.report(errListening)
		}
		select {
		case woken <- struct{}{}:
		default: // a look is due already, and has yet to begin
		}
	}
	for {
		err := t.store.Listen(ctx, wake)
		if pause(ctx, listenAgain); ctx.Err() != nil {
			return
		}
		if deaf.again(time.Now(), t.Late()) {
			t.report(fmt.Errorf("notifications of other nodes do not arrive, so that what they revoke is refused here up to half a second later: %w", err))
		}
	}
}

// deafness is of a node that cannot listen while its looks are answered.
type deafness struct {
	since time.Time // of failures in a row, the first; zero: it listens
	told  bool
}

// again counts a failure, and says whether it is to be told of. Where the looks are not
// answered either, the database is away, which they tell.
func (d *deafness) again(now time.Time, late bool) bool {
	switch {
	case late:
		d.since = time.Time{}
	case d.since.IsZero():
		d.since = now
	case !d.told && now.Sub(d.since) >= deafMost:
		d.told = true
		return true
	}
	return false
}

// over ends it, and says whether it was told of.
func (d *deafness) over() bool {
	told := d.told
	*d = deafness{}
	return told
}
