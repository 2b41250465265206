package tokenissuer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Mistakes of an operator's request.
var (
	ErrNotFound = errors.New("not found")
	ErrTaken    = errors.New("already taken")
	ErrInvalid  = errors.New("not valid")
	ErrState    = errors.New("not in this state")
)

// operator is who the administrative events name.
const operator = "operator"

// User is an account as operators see it.
type User struct {
	ID          string    `json:"id"`
	Username    string    `json:"username,omitempty"`
	Email       string    `json:"email,omitempty"`
	PhoneNumber string    `json:"phone_number,omitempty"`
	Name        string    `json:"name,omitempty"`
	State       string    `json:"state"`
	HasPassword bool      `json:"has_password"`
	Created     time.Time `json:"created"`
	Updated     time.Time `json:"updated"`
	// Attributes are the declared ones that it has, of people's and of operators'
	// writing.
	Attributes map[string]string `json:"attributes,omitempty"`
}

// NewUser is what AddUser takes. Without a password the account exists, and
// only a one-time code signs in to it.
type NewUser struct {
	Username    string `json:"username"`
	Email       string `json:"email,omitempty"`
	PhoneNumber string `json:"phone_number,omitempty"`
	Name        string `json:"name,omitempty"`
	Password    string `json:"password,omitempty"`
	// PasswordHash is what another system kept instead of a password: argon2,
	// bcrypt, scrypt or PBKDF2. It is replaced at the first sign-in.
	PasswordHash string `json:"password_hash,omitempty"`
}

// String keeps the password out of logs.
func (n NewUser) String() string { return "user " + n.Username }

// GoString keeps the password out of %#v.
func (n NewUser) GoString() string { return n.String() }

func (i *Issuer) userOf(a store.Account) User {
	return User{
		ID: a.ID, Username: a.Username, Email: a.Email, PhoneNumber: a.Phone, Name: a.Name,
		State: string(a.State), HasPassword: a.PasswordHash != "", Created: a.Created, Updated: a.Updated,
		Attributes: i.attributes(&a),
	}
}

// AddUser adds an account. ErrTaken: an identifier belongs to another one.
func (i *Issuer) AddUser(ctx context.Context, n NewUser) (User, error) {
	now := i.state.now()
	if err := i.reachable(&n.PhoneNumber); err != nil {
		return User{}, err
	}
	a, writes, err := i.accounts.Create(ctx, now, operator, i.strictest(), account.Create{
		Username: n.Username, Email: n.Email, Phone: n.PhoneNumber, Name: n.Name, Password: n.Password, Hash: n.PasswordHash,
	})
	if err != nil {
		return User{}, invalid(err)
	}
	return i.userOf(a), i.apply(ctx, now, ErrTaken, writes)
}

// strictest is the rules of all sources together: an account is not bound to
// one of them.
func (i *Issuer) strictest() account.Source { return strictest(i.sources) }

func strictest(sources map[string]account.Source) account.Source {
	var all account.Source
	for _, s := range sources {
		all.MinLength, all.History = max(all.MinLength, s.MinLength), max(all.History, s.History)
		all.Lock = max(all.Lock, s.Lock)
		if all.Failures == 0 || s.Failures < all.Failures {
			all.Failures = s.Failures
		}
	}
	return all
}

// Users lists at most limit accounts whose id comes after the given one.
func (i *Issuer) Users(ctx context.Context, after string, limit int) ([]User, error) {
	list, err := i.state.store.Accounts(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	users := make([]User, 0, len(list))
	for _, a := range list {
		users = append(users, i.userOf(a))
	}
	return users, nil
}

// User finds an account by its id or any of its identifiers.
func (i *Issuer) User(ctx context.Context, name string) (User, error) {
	a, err := i.find(ctx, name)
	return i.userOf(a), err
}

func (i *Issuer) find(ctx context.Context, name string) (store.Account, error) {
	a, err := i.accounts.Find(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return a, fmt.Errorf("user %q: %w", name, ErrNotFound)
	}
	return a, err
}

// SetUserPassword replaces a password. All sign-ins of the account end.
func (i *Issuer) SetUserPassword(ctx context.Context, name, password string) error {
	a, err := i.find(ctx, name)
	if err != nil {
		return err
	}
	now := i.state.now()
	writes, err := i.accounts.SetPassword(ctx, now, operator, i.strictest(), a, password)
	if err != nil {
		return invalid(err)
	}
	return i.expel(ctx, now, a.ID, ErrNotFound, writes)
}

// SetUserState locks, freezes or activates an account, and says in which state it
// was. Unless it is activated, all its sign-ins end, and its tokens are refused
// from this moment on. ErrState: it is in the state that must not be left this
// way; "" is none.
func (i *Issuer) SetUserState(ctx context.Context, name string, to, unless store.AccountState) (was store.AccountState, err error) {
	for range mostUpdates {
		a, err := i.find(ctx, name)
		if err != nil {
			return "", err
		}
		if a.State == unless {
			return a.State, fmt.Errorf("%w: user %q is %s", ErrState, name, a.State)
		}
		now := i.state.now()
		writes := i.accounts.SetState(now, operator, a, to)
		if to == store.Active {
			err = i.apply(ctx, now, store.ErrConflict, writes)
		} else {
			err = i.expel(ctx, now, a.ID, store.ErrConflict, writes)
		}
		if !errors.Is(err, store.ErrConflict) {
			return a.State, err
		}
	}
	return "", fmt.Errorf("%w: user %q is being changed", ErrState, name)
}

// RemoveUser deletes an account and ends its sign-ins. Its id is never used
// again.
func (i *Issuer) RemoveUser(ctx context.Context, name string) error {
	a, err := i.find(ctx, name)
	if err != nil {
		return err
	}
	now := i.state.now()
	return i.expel(ctx, now, a.ID, ErrNotFound, i.accounts.Remove(now, operator, a))
}

// expel is apply for writes that end every session of an account: its clients are
// told as of a sign-out.
func (i *Issuer) expel(ctx context.Context, now time.Time, account string, conflict error, writes []store.Write) error {
	if err := i.apply(ctx, now, conflict, append(writes, i.telling(now, account))); err != nil {
		return err
	}
	i.state.wake()
	return nil
}

// apply gives a conflict the name it has for the operator.
func (i *Issuer) apply(ctx context.Context, now time.Time, conflict error, writes []store.Write) error {
	err := i.state.store.Apply(ctx, now, writes...)
	if errors.Is(err, store.ErrConflict) {
		return conflict
	}
	return err
}

// invalid marks what the operator can mend.
func invalid(err error) error {
	if _, ok := errors.AsType[*account.InputError](err); ok {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return err
}

// KeyInfo is a signing key as operators see it.
type KeyInfo struct {
	ID        string    `json:"id"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"` // announced, signing, retired
	Created   time.Time `json:"created"`
	SignFrom  time.Time `json:"sign_from"`
	Retired   time.Time `json:"retired,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
}

// KeyList lists the signing keys in the order they sign.
func (i *Issuer) KeyList(now time.Time) []KeyInfo {
	ring := i.state.ring()
	signing := ring.Signing(i.algorithm, now)
	var list []KeyInfo
	for _, k := range ring.List() {
		info := KeyInfo{ID: k.ID, Algorithm: string(k.Algorithm), State: "retired", Created: k.Created, SignFrom: k.SignFrom, Retired: k.Retired, Expires: k.Expires}
		switch {
		case k == signing:
			info.State = "signing"
		case now.Before(k.SignFrom):
			info.State = "announced"
		}
		list = append(list, info)
	}
	return list
}

// RotateKeys announces a new signing key. It signs once others have had the
// time to fetch it.
func (i *Issuer) RotateKeys(ctx context.Context) error { return i.state.rotateNow(ctx, i.state.now()) }
