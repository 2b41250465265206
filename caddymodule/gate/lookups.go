package gate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Opaque tokens that are not remembered are looked up a few at a time, by the Standing of
// the address that shows them. Anybody can make them up, and the store is also where
// people sign in.
var turns = [...]int{remote.Owing: 1, remote.New: 4, remote.Known: 4}

const (
	lookupWait = 2 * time.Second // for a turn
	lookupMost = 3 * time.Second // for the store
)

// errManyLookups says nothing about the token, and nothing about the store.
var errManyLookups = fmt.Errorf("%w: too many tokens that nobody knows", errUnavailable)

// errLeft is of who went away before it was his turn.
var errLeft = errors.New("the client has left")

// lookups are those of one process, whatever its gates.
type lookups struct {
	queues [len(turns)]*queue
	debts  *remote.Debts

	mu    sync.Mutex
	going map[question]*lookup
}

// question is about one token. One answer is for all of a host who ask meanwhile: the
// turn of another host may come sooner.
type question struct {
	of     Opaque
	host   netip.Addr
	digest token.Digest
}

// lookup is the answer to a question.
type lookup struct {
	done   chan struct{} // closed when the rest is there
	claims *token.Claims
	err    error
}

func newLookups() *lookups {
	l := &lookups{debts: remote.NewDebts(), going: map[question]*lookup{}}
	for standing, most := range turns {
		l.queues[standing] = newQueue(most)
	}
	return l
}

// look asks the store about a token, when it is its turn. Charged is for settle.
func (l *lookups) look(ctx context.Context, of Opaque, from netip.Addr, digest token.Digest, now time.Time) (c *token.Claims, charged bool, err error) {
	q := question{of, remote.Host(from), digest}
	for {
		one, begins := l.join(q)
		if begins {
			standing := l.debts.Charge(from, now)
			l.ask(ctx, one, q, standing)
			return one.claims, standing != remote.Owing, one.err
		}
		select {
		case <-one.done:
		case <-ctx.Done():
			return nil, false, fmt.Errorf("%w: %w", errUnavailable, ctx.Err())
		}
		if !errors.Is(one.err, errLeft) {
			return one.claims, false, one.err
		}
	}
}

// join finds the question about a token, or begins it.
func (l *lookups) join(q question) (one *lookup, begins bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one := l.going[q]; one != nil {
		return one, false
	}
	one = &lookup{done: make(chan struct{}), err: errLeft}
	l.going[q] = one
	return one, true
}

// ask puts a question and tells everybody who waits for it.
func (l *lookups) ask(ctx context.Context, one *lookup, q question, standing remote.Standing) {
	defer l.over(one, q)
	one.claims, one.err = l.inTurn(ctx, q, standing)
}

func (l *lookups) over(one *lookup, q question) {
	l.mu.Lock()
	delete(l.going, q)
	l.mu.Unlock()
	close(one.done)
}

// inTurn asks once it is the turn of the host. From then on it asks whether or not the
// client is still there: whoever leaves early owes for the answer, too.
func (l *lookups) inTurn(ctx context.Context, q question, standing remote.Standing) (*token.Claims, error) {
	queue := l.queues[standing]
	if !queue.enter(ctx, q.host, lookupWait) {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", errUnavailable, errLeft)
		}
		return nil, errManyLookups
	}
	defer queue.leave()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupMost)
	defer cancel()
	c, err := q.of.Opaque(late, q.digest)
	if err != nil && !errors.Is(err, token.ErrUnknown) {
		return nil, errors.Join(errUnavailable, err)
	}
	return c, err
}

// settle ends what look began, once the gate knows whether the token is good here: it
// gives back what was charged for one that is, or of which nobody can say that it is not.
func (l *lookups) settle(charged bool, verdict error, from netip.Addr, now time.Time) {
	if verdict == nil {
		l.debts.Remember(from, now)
	}
	if charged && (verdict == nil || errors.Is(verdict, errUnavailable) || errors.Is(verdict, errSilent)) {
		l.debts.GiveBack(from)
	}
}
