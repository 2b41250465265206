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

// Opaque tokens that are not remembered are looked up a few at a time, by the Standing of
// the address that shows them. Anybody can make them up, and the store is also where
// people sign in.
var turns = [...]int{remote.Owing: 1, remote.New: 4, remote.Known: 4}

const lookupWait = 2 * time.Second

var errManyLookups = fmt.Errorf("%w: too many tokens that nobody knows", errUnavailable)

// lookups are those of one process, whatever its gates.
type lookups struct {
	turns [len(turns)]chan struct{}
	debts *remote.Debts
}

func newLookups() lookups {
	l := lookups{debts: remote.NewDebts()}
	for standing, most := range turns {
		l.turns[standing] = make(chan struct{}, most)
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

// known is for a token that is good elsewhere.
func (l *lookups) known(from netip.Addr, now time.Time) {
	l.debts.GiveBack(from)
	l.debts.Remember(from, now)
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
