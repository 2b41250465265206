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

// How many opaque tokens that are not remembered are looked up at a time. Anybody can make
// them up, and the store is also where people sign in: most of its connections are theirs.
const (
	lookupsOfFew  = 2 // of addresses that have shown few that were no good
	lookupsOfMany = 1 // of the others, who are let wait and not locked out
	lookupWait    = 2 * time.Second
)

var errManyLookups = fmt.Errorf("%w: too many tokens that nobody knows", errUnavailable)

// lookups are those of one process, whatever its gates.
type lookups struct {
	few, many chan struct{}
	debts     *remote.Debts
}

func newLookups() lookups {
	return lookups{make(chan struct{}, lookupsOfFew), make(chan struct{}, lookupsOfMany), remote.NewDebts()}
}

// look asks the store about a token, when it is its turn.
func (l *lookups) look(ctx context.Context, from netip.Addr, now time.Time, ask func() (*token.Claims, error)) (*token.Claims, error) {
	turn, little := l.many, l.debts.Charge(from, now)
	if little {
		turn = l.few
	}
	if err := wait(ctx, turn); err != nil {
		return nil, err
	}
	defer func() { <-turn }()
	claims, err := ask()
	if little && !errors.Is(err, token.ErrUnknown) {
		l.debts.GiveBack(from)
	}
	return claims, err
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
