package account

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"golang.org/x/text/secure/precis"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// SetPassword is the writes that give an account a password; ErrRecurrent is
// among its *InputErrors. They end its sign-ins, for whoever knew the old password
// may have begun them, and forget its failures, which were about the old one.
func (a *Accounts) SetPassword(ctx context.Context, now time.Time, actor string, src Source, account store.Account, password string) ([]store.Write, error) {
	if err := CheckPassword(src, account, password); err != nil {
		return nil, err
	}
	if err := a.fresh(ctx, src, account.ID, password); err != nil {
		return nil, refusal(err)
	}
	return a.replace(ctx, now, actor, "*", src, account, password)
}

// ChangePassword is SetPassword for who knows the present password. The order of
// its checks:
//
//  1. the account is locked or frozen: UserLocked, UserFrozen
//  2. the old password: WrongOldPassword, which counts as a failed sign-in
//  3. the new one is another: SamePassword
//  4. what is asked of a new password: InvalidNewPassword, RecurrentPassword
//
// The writes conflict when the password was changed meanwhile.
func (a *Accounts) ChangePassword(ctx context.Context, now time.Time, src Source, id, before, after string, from netip.Addr) ([]store.Write, error) {
	src = src.withDefaults()
	account, land, err := a.proveOld(ctx, now, src, id, before, from)
	if err != nil {
		return nil, refusal(err)
	}
	// While former passwords are looked at, this counts as an attempt under way: it
	// costs as many hashes as there are of them.
	defer land()
	if samePassword(before, after) {
		return nil, oauth.Fail(oauth.DuplicatePassword, oauth.SamePassword).About(id)
	}
	if err := CheckPassword(src, account, after); err != nil {
		return nil, UnfitPassword(err).About(id)
	}
	if err := a.fresh(ctx, src, id, after); err != nil {
		return nil, notFresh(err)
	}
	return a.replace(ctx, now, id, account.PasswordHash, src, account, after)
}

// ResetPassword is SetPassword for who proved to own an address of the account.
// What keeps it from being set is named as ChangePassword does.
func (a *Accounts) ResetPassword(ctx context.Context, now time.Time, src Source, account store.Account, after string) ([]store.Write, error) {
	switch account.State {
	case store.Active:
	case store.Locked:
		return nil, oauth.Fail(oauth.AbnormalUserStatus, oauth.UserLocked).About(account.ID)
	default:
		return nil, oauth.Fail(oauth.AbnormalUserStatus, oauth.UserFrozen).About(account.ID)
	}
	writes, err := a.SetPassword(ctx, now, account.ID, src, account, after)
	if err != nil {
		return nil, notFresh(err)
	}
	return writes, nil
}

// proveOld proves a person by the password of an account that is known already.
func (a *Accounts) proveOld(ctx context.Context, now time.Time, src Source, id, password string, from netip.Addr) (store.Account, func(), error) {
	account, err := a.store.Account(ctx, id)
	if err != nil {
		return account, nil, err
	}
	if account.State == store.Frozen {
		return account, nil, oauth.Fail(oauth.AbnormalUserStatus, oauth.UserFrozen).About(id)
	}
	ctx, leave, err := a.queue.enter(ctx)
	if err != nil {
		return account, nil, err
	}
	defer leave()
	p, err := a.attempt(ctx, now, src, nameOf(account), account, password, from)
	switch e := (*oauth.Error)(nil); {
	case errors.As(err, &e) && e.Reason == oauth.AccountLocked:
		return account, nil, oauth.Fail(oauth.AbnormalUserStatus, oauth.UserLocked).About(id)
	case errors.As(err, &e) && e.Reason == oauth.WrongCredentials:
		return account, nil, oauth.Wrap(oauth.WrongOldPassword, oauth.WrongOld, e.Cause).About(id)
	case err != nil:
		return account, nil, err
	}
	return account, p.land, nil
}

// nameOf is the name under which failures of an account's own person count.
func nameOf(account store.Account) identity {
	for _, name := range names(account) {
		if name.value != "" {
			return name
		}
	}
	return identity{kind: store.ByUsername, value: account.ID}
}

// samePassword compares as stored passwords are compared.
func samePassword(a, b string) bool {
	cleanA, errA := precis.OpaqueString.String(a)
	cleanB, errB := precis.OpaqueString.String(b)
	return a == b || errA == nil && errB == nil && cleanA == cleanB
}

// UnfitPassword names what CheckPassword finds.
func UnfitPassword(err error) *oauth.Error {
	return oauth.Wrap(oauth.InvalidNewPassword, oauth.UnfitPassword, err)
}

func notFresh(err error) error {
	if errors.Is(err, ErrRecurrent) {
		return oauth.Fail(oauth.RecurrentPassword, oauth.FormerPassword)
	}
	if _, unfit := errors.AsType[*InputError](err); unfit {
		return UnfitPassword(err)
	}
	return refusal(err)
}

// replace hashes a password and makes the writes that set it instead of the hash
// that is there.
func (a *Accounts) replace(ctx context.Context, now time.Time, actor, old string, src Source, account store.Account, password string) ([]store.Write, error) {
	hash, err := a.hashNew(ctx, src, account, password)
	if err != nil {
		return nil, err
	}
	return append(a.forgive(account),
		store.SetPassword{Account: account.ID, Old: old, New: hash, Remember: max(0, src.History-1)},
		store.RevokeAccount{Account: account.ID},
		event(now, actor, "account.set_password", account.ID),
	), nil
}
