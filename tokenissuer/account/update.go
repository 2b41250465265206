package account

import (
	"context"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Each change leaves an event, which is kept for a year: neither a token nor a
// session must be a way to fill the store.
const (
	mostUpdates   = 60
	updatesWindow = time.Hour
)

// Update is the writes by which the person, or an app for them, changes what the
// account says of them: by is the client, and "" the person on the pages, who must
// have changes left whatever an app does. What spends a one-time code comes as proofs.
// It is bounded by the codes and is not counted: an address can always be taken back.
// The writes conflict when the account was changed meanwhile, when an identifier is
// taken, and when UpdatesUsedUp.
func (a *Accounts) Update(now time.Time, by string, was, next store.Account, proofs ...store.Write) []store.Write {
	if len(proofs) == 0 {
		proofs = []store.Write{a.update(by, was.ID)}
	}
	return append(proofs,
		store.UpdateAccount{Account: next, Was: &was},
		event(now, was.ID, "account.update", was.ID),
	)
}

func (a *Accounts) update(by, id string) store.TakeQuota {
	return store.TakeQuota{Key: a.QuotaKey("profile changes", id, by), Most: mostUpdates, Window: updatesWindow}
}

// UpdatesUsedUp is the refusal where writes of Update are too many, or nil.
func (a *Accounts) UpdatesUsedUp(ctx context.Context, now time.Time, by, id string, writes []store.Write) error {
	quota := a.update(by, id)
	if !slices.Contains(writes, store.Write(quota)) {
		return nil
	}
	taken, err := a.store.Quota(ctx, now, quota.Key)
	if err != nil || taken.Taken < quota.Most {
		return err
	}
	refused := oauth.Fail(oauth.TemporarilyUnavailable, oauth.TooManyRequests).About(id)
	refused.Retry = taken.Ends.Sub(now)
	return refused
}
