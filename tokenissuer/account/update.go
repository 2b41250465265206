package account

import (
	"context"
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
// account says of them. They conflict when it was changed meanwhile, when an
// identifier is taken, and when UpdatesUsedUp.
func (a *Accounts) Update(now time.Time, was, next store.Account) []store.Write {
	return []store.Write{
		a.update(was.ID),
		store.UpdateAccount{Account: next, Was: &was},
		event(now, was.ID, "account.update", was.ID),
	}
}

func (a *Accounts) update(id string) store.TakeQuota {
	return store.TakeQuota{Key: a.QuotaKey("profile changes", id), Most: mostUpdates, Window: updatesWindow}
}

// UpdatesUsedUp is the refusal where an account was changed too often, or nil.
func (a *Accounts) UpdatesUsedUp(ctx context.Context, now time.Time, id string) error {
	quota := a.update(id)
	taken, err := a.store.Quota(ctx, now, quota.Key)
	if err != nil || taken.Taken < quota.Most {
		return err
	}
	refused := oauth.Fail(oauth.TemporarilyUnavailable, oauth.TooManyRequests).About(id)
	refused.Retry = taken.Ends.Sub(now)
	return refused
}
