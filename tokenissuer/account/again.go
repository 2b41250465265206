package account

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Proved is the account that Password returned these writes for, as it is now.
// While its password is the one that was proved, nobody has to prove it again: a
// hash is dear, and what made the writes conflict may be somebody else's doing.
// false: it is another one, or nobody's.
func (a *Accounts) Proved(ctx context.Context, now time.Time, src Source, writes []store.Write) (store.Account, bool, error) {
	was, ok := writes[0].(store.SetPassword)
	if !ok {
		return store.Account{}, false, nil
	}
	account, err := a.store.Account(ctx, was.Account)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Account{}, false, nil
	case err != nil:
		return store.Account{}, false, refusal(err)
	case account.PasswordHash != was.Old:
		return store.Account{}, false, nil
	case account.State == store.Locked:
		return store.Account{}, false, oauth.Fail(oauth.InvalidGrant, oauth.AccountLocked).About(account.ID)
	}
	if err := usable(account, src.withDefaults(), now); err != nil {
		return store.Account{}, false, err
	}
	account.PasswordHash = "" // as Password does
	return account, true, nil
}
