package tokenissuer

import (
	"context"
	"io"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/move"
)

// Export writes all records as they are at one moment, for another database; see
// package move. What is written holds keys and password hashes.
func (i *Issuer) Export(ctx context.Context, to io.Writer) (move.Moved, error) {
	if err := i.NoteCopy(ctx, "store.export"); err != nil {
		return move.Moved{}, err
	}
	return move.Export(ctx, i.state.store, to, nil)
}

// NoteCopy records that an operator takes a copy of everything.
func (i *Issuer) NoteCopy(ctx context.Context, action string) error {
	now := i.state.now()
	event := store.Event{At: now, Actor: operator, Action: action}
	return i.state.store.Apply(ctx, now, store.PutEvent{Event: event})
}
