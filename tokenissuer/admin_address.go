package tokenissuer

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// UserAddress is what SetUserAddress takes. What is nil stays, "" is taken away.
type UserAddress struct {
	Email       *string `json:"email,omitempty"`
	PhoneNumber *string `json:"phone_number,omitempty"`
}

// SetUserAddress writes the e-mail address or phone number of an account. Nobody has
// proved it, so it is shown as not confirmed. The account's sign-ins go on: an
// operator who distrusts them locks it. As of all that an operator changes, its
// mailbox is not told. ErrTaken: another account has one of them.
func (i *Issuer) SetUserAddress(ctx context.Context, name string, to UserAddress) error {
	if to.Email == nil && to.PhoneNumber == nil {
		return fmt.Errorf("%w: expected email or phone_number", ErrInvalid)
	}
	if err := i.reachable(to.PhoneNumber); err != nil {
		return err
	}
	for try := 0; ; try++ {
		a, err := i.find(ctx, name)
		if err != nil {
			return err
		}
		now := i.state.now()
		next, writes, err := i.accounts.Move(now, operator, a, to.Email, to.PhoneNumber)
		if err != nil || len(writes) == 0 {
			return invalid(err)
		}
		err = i.state.store.Apply(ctx, now, writes...)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if err := i.othersHave(ctx, next); err != nil || try >= mostUpdates {
			return err
		}
	}
}

// othersHave says which address of an account another one has.
func (i *Issuer) othersHave(ctx context.Context, a store.Account) error {
	for _, id := range []struct {
		kind  store.IdentifierKind
		value string
	}{{store.ByEmail, a.Email}, {store.ByPhone, a.Phone}} {
		if id.value == "" {
			continue
		}
		other, err := i.state.store.FindAccount(ctx, id.kind, id.value)
		switch {
		case err == nil && other.ID != a.ID:
			return fmt.Errorf("%s: %w", id.kind, ErrTaken)
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		}
	}
	return nil
}

// reachable refuses a phone number that no code can be sent to, as /otp/send and
// /signup do: nobody could prove it, and a name to type needs no number.
func (i *Issuer) reachable(phone *string) error {
	if phone == nil || *phone == "" {
		return nil
	}
	if _, ok := i.accounts.Reachable(store.ByPhone, *phone); ok {
		return nil
	}
	return fmt.Errorf("%w: phone_number cannot be sent a code: expected + and the number with its country, such as +8613800138000 (without + it is read as one of %s)",
		ErrInvalid, i.config.PhoneRegion)
}
