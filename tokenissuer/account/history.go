package account

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/text/secure/precis"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// ErrRecurrent is the *InputError of a password that the account has, or had not
// long ago.
var ErrRecurrent error = &InputError{"password", "is one of the last that the account had"}

// fresh says whether a password is none of the last that the account had, the
// present one among them: nil or ErrRecurrent. An account has as many salts as
// passwords, so each takes a hash; each waits for its turn anew, or who has many
// would keep others from signing in.
func (a *Accounts) fresh(ctx context.Context, src Source, id, password string) error {
	if src.History <= 0 {
		return nil
	}
	account, err := a.store.Account(ctx, id) // with its hash, which the caller may not have
	if errors.Is(err, store.ErrNotFound) {
		return nil // the write that sets the password tells
	}
	if err != nil {
		return fmt.Errorf("reading the present password: %w", err)
	}
	hashes, err := a.store.PasswordHistory(ctx, id, src.History-1)
	if err != nil {
		return fmt.Errorf("reading former passwords: %w", err)
	}
	for _, hash := range append([]string{account.PasswordHash}, hashes...) {
		same, err := a.was(ctx, hash, password)
		if err != nil {
			return err
		}
		if same {
			return ErrRecurrent
		}
	}
	return nil
}

// was reports whether a stored hash is of this password. One that cannot be read
// is of none.
func (a *Accounts) was(ctx context.Context, hash, password string) (bool, error) {
	found, err := a.hasher.Decode(hash)
	if err != nil {
		return false, nil //nolint:nilerr // what signs nobody in is nobody's password
	}
	typed := password
	if clean, err := precis.OpaqueString.String(password); err == nil && !found.AsSent {
		typed = clean
	}
	ctx, leave, err := a.queue.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	same := false
	err = a.queue.run(ctx, func() { same = a.hasher.Match(found, typed) })
	return same, err
}
