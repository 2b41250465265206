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
	done    chan struct{} // closed when the rest is there
	claims  *token.Claims
	err     error
	charged bool // to whoever began it
}

// asking is what is known of who asks.
type asking struct {
	question
	from  netip.Addr
	now   time.Time
	judge func(*token.Claims) error // whether a token that is found is good where it is shown
}

func newLookups() *lookups {
	l := &lookups{debts: remote.NewDebts(), going: map[question]*lookup{}}
	for standing, most := range turns {
		l.queues[standing] = newQueue(most)
	}
	return l
}

// look asks the store about a token, when it is its turn. Charged is what elsewhere is told.
func (l *lookups) look(ctx context.Context, a asking) (c *token.Claims, charged bool, err error) {
	for {
		one, begins := l.join(a.question)
		if begins {
			l.ask(ctx, one, a)
			return one.claims, one.charged, one.err
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
func (l *lookups) ask(ctx context.Context, one *lookup, a asking) {
	defer l.over(one, a.question)
	standing := l.debts.Charge(a.from, a.now)
	one.charged = standing != remote.Owing
	if one.claims, one.err = l.inTurn(ctx, standing, a); one.err == nil {
		l.settle(one.charged, a.judge(one.claims), a)
		return
	}
	l.settle(one.charged, one.err, a)
}

func (l *lookups) over(one *lookup, q question) {
	l.mu.Lock()
	delete(l.going, q)
	l.mu.Unlock()
	close(one.done)
}

// inTurn asks once it is the turn of the address. From then on it asks whether or not the
// client is still there: whoever leaves early owes for the answer, too.
func (l *lookups) inTurn(ctx context.Context, standing remote.Standing, a asking) (*token.Claims, error) {
	q := l.queues[standing]
	if !q.enter(ctx, a.host, lookupWait) {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", errUnavailable, errLeft)
		}
		return nil, errManyLookups
	}
	defer q.leave()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupMost)
	defer cancel()
	c, err := a.of.Opaque(late, a.digest)
	if err != nil && !errors.Is(err, token.ErrUnknown) {
		return nil, errors.Join(errUnavailable, err)
	}
	return c, err
}

// settle gives back what was charged for a token that is good, or of which nobody can say
// that it is not.
func (l *lookups) settle(charged bool, verdict error, a asking) {
	if verdict == nil {
		l.debts.Remember(a.from, a.now)
	}
	if charged && (verdict == nil || errors.Is(verdict, errUnavailable) || errors.Is(verdict, errSilent)) {
		l.debts.GiveBack(a.from)
	}
}
