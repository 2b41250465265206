package gate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Opaque tokens that are not remembered are looked up a few at a time, one for each
// Standing of the address that shows them. Anybody can make them up, and the store is also
// where people sign in: most of its connections are theirs.
const (
	standings  = int(remote.Known) + 1
	lookupWait = 2 * time.Second
)

var errManyLookups = fmt.Errorf("%w: too many tokens that nobody knows", errUnavailable)

// lookups are those of one process, whatever its gates.
type lookups struct {
	turns [standings]chan struct{}
	debts *remote.Debts
}

func newLookups() lookups {
	l := lookups{debts: remote.NewDebts()}
	for n := range l.turns {
		l.turns[n] = make(chan struct{}, 1)
	}
	return l
}

// look asks the store about a token, when it is its turn.
func (l *lookups) look(ctx context.Context, from netip.Addr, now time.Time, ask func() (*token.Claims, error)) (*token.Claims, error) {
	standing := l.debts.Charge(from, now)
	claims, err := inTurn(ctx, l.turns[standing], ask)
	if standing != remote.Owing && !errors.Is(err, token.ErrUnknown) {
		l.debts.GiveBack(from)
	}
	if err == nil {
		l.debts.Remember(from, now)
	}
	return claims, err
}

func inTurn(ctx context.Context, turn chan struct{}, ask func() (*token.Claims, error)) (*token.Claims, error) {
	if err := wait(ctx, turn); err != nil {
		return nil, err
	}
	defer func() { <-turn }()
	return ask()
}

func wait(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	default:
	}
	late := time.NewTimer(lookupWait)
	defer late.Stop()
	select {
	case turn <- struct{}{}:
		return nil
	case <-late.C:
		return errManyLookups
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errUnavailable, ctx.Err())
	}
}
