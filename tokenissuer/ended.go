package tokenissuer

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Ended says what ended a token that Revoked refuses, for operators: the widest of
// what ended it. It asks the store.
func (i *Issuer) Ended(ctx context.Context, c *token.Claims) string {
	who, known := i.client(c.ClientID)
	switch {
	case !known:
		return "its client " + c.ClientID + " is gone"
	case who.Disabled:
		return "its client " + c.ClientID + " is disabled"
	case i.state.revoked.RevokedByClient(c.ClientID, c.IssuedAt):
		return "all tokens that client " + c.ClientID + " had were revoked"
	}
	_, family, err := i.state.store.FamilyOf(ctx, c.ID)
	if errors.Is(err, store.ErrNotFound) {
		return "this token was revoked"
	}
	if err != nil {
		return "it was revoked, and the store cannot say now with what"
	}
	account, err := i.state.store.Account(ctx, family.Account)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "its account is gone"
	case err == nil && account.State != store.Active:
		return "its account is " + string(account.State)
	case family.Revoked.IsZero():
		// Also where an attribute was changed that it may say.
		return "this token was revoked; its sign-in goes on"
	}
	at := " was ended at " + family.Revoked.UTC().Format(time.RFC3339)
	if family.Session != "" {
		if _, err := i.state.store.SessionByID(ctx, family.Session); errors.Is(err, store.ErrNotFound) {
			return "its sign-in" + at + ", as the session of its browser was"
		}
	}
	return "its sign-in" + at
}
