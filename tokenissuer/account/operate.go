package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Create is an account as an operator, or a person signing up, asks for it. One
// identifier is needed. Without a password no password signs in.
type Create struct {
	Username string
	Email    string
	Phone    string
	Name     string
	Nickname string
	ZoneInfo string
	Locale   string

	// EmailVerified and PhoneVerified: the person has shown to read what is sent there.
	EmailVerified bool
	PhoneVerified bool

	Attributes map[string]string // those the operator declared

	Password string
	// Hash is of another system, instead of a password: argon2, bcrypt, scrypt or
	// PBKDF2. It is replaced at the first sign-in.
	Hash string
}

// String hides the password.
func (c Create) String() string { return "account(" + c.Username + " " + c.Email + " " + c.Phone + ")" }

// GoString is String, for %#v.
func (c Create) GoString() string { return c.String() }

// InputError says which value of an account is not acceptable. It does not
// repeat the value.
type InputError struct {
	Field   string // "username", "email", "phone_number", "password", …
	Problem string
}

func (e *InputError) Error() string { return e.Field + " " + e.Problem }

// Create makes an account with a new id and the writes that store it; actor is
// who asked. Applying them is store.ErrConflict where an identifier is taken.
func (a *Accounts) Create(ctx context.Context, now time.Time, actor string, src Source, in Create) (store.Account, []store.Write, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return store.Account{}, nil, fmt.Errorf("making an account id: %w", err)
	}
	account := store.Account{
		ID: id.String(), Name: in.Name, Nickname: in.Nickname, ZoneInfo: in.ZoneInfo, Locale: in.Locale,
		EmailVerified: in.EmailVerified, PhoneVerified: in.PhoneVerified, Attributes: in.Attributes,
		State: store.Active, Created: now, Updated: now,
	}
	if err := a.name(&account, in); err != nil {
		return store.Account{}, nil, err
	}
	if err := CheckProfile(account); err != nil {
		return store.Account{}, nil, err
	}
	switch {
	case in.Hash != "" && in.Password != "":
		return store.Account{}, nil, &InputError{"password", "and a hash of it exclude each other"}
	case in.Hash != "":
		if _, err := a.hasher.Decode(in.Hash); err != nil {
			return store.Account{}, nil, &InputError{"password hash", "is of no known format, or its cost is out of bounds"}
		}
		account.PasswordHash, account.PasswordSet = in.Hash, now
	case in.Password != "":
		account.PasswordHash, err = a.hashNew(ctx, src, account, in.Password)
		if err != nil {
			return store.Account{}, nil, err
		}
		account.PasswordSet = now
	}
	return account, []store.Write{
		store.PutAccount{Account: account},
		event(now, actor, "account.create", account.ID),
	}, nil
}

// name sets the normalised identifiers.
func (a *Accounts) name(account *store.Account, in Create) error {
	for _, id := range []struct {
		kind store.IdentifierKind
		raw  string
		into *string
	}{
		{store.ByUsername, in.Username, &account.Username},
		{store.ByEmail, in.Email, &account.Email},
		{store.ByPhone, in.Phone, &account.Phone},
	} {
		if id.raw == "" {
			continue
		}
		value, ok := Normalise(id.kind, id.raw, a.region)
		if !ok {
			return &InputError{string(id.kind), problems[id.kind]}
		}
		*id.into = value
	}
	if account.Username == "" && account.Email == "" && account.Phone == "" {
		return &InputError{"account", "needs a username, an e-mail address or a phone number"}
	}
	return nil
}

var problems = map[store.IdentifierKind]string{
	store.ByUsername: "has a space or a character that names cannot have, or reads as an e-mail address or a phone number",
	store.ByEmail:    "is not an address of the form name@domain",
	store.ByPhone:    "is not a possible phone number",
}

// Find finds an account by id or by any identifier, as an operator types it.
func (a *Accounts) Find(ctx context.Context, name string) (store.Account, error) {
	id := a.identify(name)
	account, err := a.store.FindAccount(ctx, id.kind, id.lookup)
	if errors.Is(err, store.ErrNotFound) {
		return a.store.Account(ctx, name)
	}
	return account, err
}

// SetState is the writes that lock, freeze or activate an account. The first two
// end its sign-ins. The last also forgets the failures that locked its names, in
// every network. They conflict when the account is no longer in the state it has
// here: to unlock must not undo a freeze of the same moment.
func (a *Accounts) SetState(now time.Time, actor string, account store.Account, state store.AccountState) []store.Write {
	writes := []store.Write{store.SetState{Account: account.ID, From: account.State, State: state}}
	action := "account.unlock"
	switch {
	case state == store.Locked:
		action = "account.lock"
	case state == store.Frozen:
		action = "account.freeze"
	case account.State == store.Frozen:
		action = "account.unfreeze"
	}
	if state != store.Active {
		writes = append(writes, store.RevokeAccount{Account: account.ID})
		return append(writes, event(now, actor, action, account.ID))
	}
	writes = append(writes, a.forgive(account)...)
	return append(writes, event(now, actor, action, account.ID))
}

// forgive is the writes that forget the failures under every name of an account.
func (a *Accounts) forgive(account store.Account) (writes []store.Write) {
	for _, name := range names(account) {
		if name.value != "" {
			writes = append(writes, store.ClearName{Name: a.nameKey(name)})
		}
	}
	return writes
}

// names are what an account can sign in under; the values may be empty.
func names(account store.Account) [3]identity {
	return [3]identity{
		{kind: store.ByUsername, value: account.Username},
		{kind: store.ByEmail, value: account.Email},
		{kind: store.ByPhone, value: account.Phone},
	}
}

// Remove is the writes that delete an account. Its id never comes back, so a new
// account of the same name has none of the old one's sign-ins or addresses.
func (a *Accounts) Remove(now time.Time, actor string, account store.Account) []store.Write {
	return []store.Write{
		store.RevokeAccount{Account: account.ID},
		store.RemoveAccount{Account: account.ID},
		event(now, actor, "account.remove", account.ID),
	}
}

func event(now time.Time, actor, action, subject string) store.Write {
	return store.PutEvent{Event: store.Event{At: now, Actor: actor, Action: action, Subject: subject}}
}
