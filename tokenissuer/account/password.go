package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/text/secure/precis"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// maxPassword is in bytes. Longer ones are wrong without being hashed: nobody
// has set one.
const maxPassword = 1024

// identity is a name as a person typed it, read. value is what it is counted
// and looked up under; lookup is "" for a name that nobody can have.
type identity struct {
	kind          store.IdentifierKind
	value, lookup string
}

func (a *Accounts) identify(name string) identity {
	id := identity{kind: KindOf(name), value: name}
	if value, ok := Normalise(id.kind, name, a.region); ok {
		id.value, id.lookup = value, value
	}
	return id
}

// Password proves a person by name and password. The order of its checks:
//
//  1. the kind of the name is one the source allows
//  2. the name, or the account, is locked: answered without a look at the password
//  3. the password
//  4. the account is frozen, or the password expired: told only to who knows it
//
// Steps 2 and 3 do the same work for a name that nobody has. A wrong password is
// remembered before the answer; for a right one the writes to be applied with the
// sign-in are returned. The first of them holds only while the password is still
// the one that was proved: a sign-in that overlaps a change of password must not
// outlive the change.
func (a *Accounts) Password(ctx context.Context, now time.Time, src Source, username, password string, from netip.Addr) (store.Account, []store.Write, error) {
	src = src.withDefaults()
	name := a.identify(username)
	if !src.allows(name.kind) {
		return store.Account{}, nil, oauth.Fail(oauth.InvalidGrant, oauth.UnsupportedIdentifier)
	}
	account, writes, err := a.prove(ctx, now, src, name, password, from)
	if err != nil {
		return store.Account{}, nil, refusal(err)
	}
	if err := usable(account, src, now); err != nil {
		return store.Account{}, nil, err
	}
	return account, writes, nil
}

func (a *Accounts) prove(ctx context.Context, now time.Time, src Source, name identity, password string, from netip.Addr) (store.Account, []store.Write, error) {
	ctx, leave, err := a.queue.enter(ctx)
	if err != nil {
		return store.Account{}, nil, err
	}
	defer leave()
	account, err := a.store.FindAccount(ctx, name.kind, name.lookup)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.Account{}, nil, err
	}
	p, err := a.attempt(ctx, now, src, name, account, password, from)
	if err != nil {
		return store.Account{}, nil, err
	}
	p.land()
	writes := []store.Write{
		store.SetPassword{Account: account.ID, Old: account.PasswordHash, New: p.hash, Keep: true},
		store.PutKnownAddress{Account: account.ID, Address: p.at},
	}
	account.PasswordHash = "" // nobody behind here needs it, so nobody can log it
	return account, append(writes, p.guard.clear()...), nil
}

// proven is an attempt with the right password. land must be called.
type proven struct {
	proof

	at    store.Hash // the address it came from
	guard *lockout
	land  func()
}

// attempt proves an account, or the one that nobody has, by its password, under
// the lock-out of a name. A failure is counted before it returns.
func (a *Accounts) attempt(ctx context.Context, now time.Time, src Source, name identity, account store.Account, password string, from netip.Addr) (proven, error) {
	// Asked for nobody's account too: an answer must not come sooner for unknown names.
	at := a.addressKey(account.ID, from)
	known, err := a.store.KnownAddress(ctx, now, account.ID, at)
	if err != nil {
		return proven{}, err
	}
	known = known && from.IsValid() // where nobody has an address, everybody is a stranger
	guard := a.lockout(src, name, from, known)
	land, err := a.flights.enter(ctx, guard.keys()[0], func() (int, error) {
		if account.State == store.Locked {
			return 0, locked()
		}
		return guard.left(ctx, a.store, now)
	})
	if err != nil {
		return proven{}, about(account, err)
	}
	p := proven{at: at, guard: guard, land: land}
	defer func() {
		if !p.right {
			land() // after the failure is counted
		}
	}()
	if p.proof, err = a.check(ctx, account, password); err != nil {
		p.right = false
		return p, err
	}
	if !p.right {
		if err := guard.remember(ctx, a.store, now); err != nil {
			return p, about(account, err)
		}
		return p, oauth.Wrap(oauth.InvalidGrant, oauth.WrongCredentials, p.trouble).About(account.ID)
	}
	if a.store.Shared() {
		// What other nodes counted since: the sixth guess is no good, right or wrong.
		if _, err := guard.left(ctx, a.store, now); err != nil {
			p.right = false
			return p, about(account, err)
		}
	}
	return p, nil
}

// about names the account in a refusal.
func about(account store.Account, err error) error {
	if refused, ok := errors.AsType[*oauth.Error](err); ok {
		return refused.About(account.ID)
	}
	return err
}

// proof is what a look at a password found.
type proof struct {
	right   bool
	hash    string // the stored one, or a new one where that is weak
	trouble error  // why the stored hash could not be used, for the log
}

// check compares a password with an account's hash, or with nobody's where there
// is none: each takes one hash.
func (a *Accounts) check(ctx context.Context, account store.Account, password string) (proof, error) {
	if len(password) > maxPassword {
		return proof{}, nil
	}
	found, p := a.hasher.Nobody(), proof{hash: account.PasswordHash}
	somebody := account.PasswordHash != ""
	if somebody {
		decoded, err := a.hasher.Decode(account.PasswordHash)
		if err != nil {
			p.trouble = fmt.Errorf("account %s: %w", account.ID, err)
			somebody = false
		} else {
			found = decoded
		}
	}
	// RFC 8265 §4.2: a password typed on another keyboard is the same password.
	clean, err := precis.OpaqueString.String(password)
	typeable := err == nil
	typed := clean
	if found.AsSent || !typeable {
		typed = password
	}
	err = a.queue.run(ctx, func() {
		p.right = a.hasher.Match(found, typed) && somebody
		if !p.right || !found.Weak || !typeable || len(password) > found.Reads {
			return
		}
		// No reason to refuse a right password that the stronger hash fails.
		if stronger, err := a.hasher.Hash(clean); err == nil {
			p.hash = stronger
		}
	})
	return p, err
}

// usable says why a proved account may not sign in.
func usable(account store.Account, src Source, now time.Time) error {
	if account.State != store.Active {
		return oauth.Fail(oauth.InvalidGrant, oauth.AccountFrozen).About(account.ID)
	}
	aged := src.MaxAge > 0 && !now.Before(account.PasswordSet.Add(src.MaxAge))
	if account.PasswordExpire || aged {
		return oauth.Fail(oauth.InvalidGrant, oauth.PasswordExpired).About(account.ID)
	}
	return nil
}

// refusal names what went wrong while proving.
func refusal(err error) error {
	switch {
	case errors.Is(err, errBusy):
		return oauth.Wrap(oauth.TemporarilyUnavailable, oauth.Overloaded, err)
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return oauth.Wrap(oauth.TemporarilyUnavailable, oauth.StoreUnavailable, err)
	}
	return err
}
