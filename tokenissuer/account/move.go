package account

import (
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Move is an account with another e-mail address or phone number, as an operator
// writes them, and the writes that make it so: none where it is so already. nil
// leaves one as it is, "" takes it away. What is new nobody has proved. The writes
// conflict when the account was changed meanwhile and when another one has the
// address. An error is an *InputError.
func (a *Accounts) Move(now time.Time, actor string, was store.Account, email, phone *string) (store.Account, []store.Write, error) {
	next := was
	for _, id := range []struct {
		kind     store.IdentifierKind
		raw      *string
		into     *string
		verified *bool
	}{{store.ByEmail, email, &next.Email, &next.EmailVerified}, {store.ByPhone, phone, &next.Phone, &next.PhoneVerified}} {
		if id.raw == nil {
			continue
		}
		value, ok := Normalise(id.kind, *id.raw, a.region)
		if *id.raw == "" {
			value, ok = "", true
		}
		if !ok {
			return was, nil, &InputError{string(id.kind), problems[id.kind]}
		}
		if value != *id.into {
			*id.into, *id.verified = value, false
		}
	}
	switch {
	case next.Username == "" && next.Email == "" && next.Phone == "":
		return was, nil, &InputError{"account", "needs a username, an e-mail address or a phone number"}
	case next.Email == was.Email && next.Phone == was.Phone:
		return was, nil, nil
	}
	return next, []store.Write{
		store.UpdateAccount{Account: next, Was: &was},
		event(now, actor, "account.update", was.ID),
	}, nil
}
