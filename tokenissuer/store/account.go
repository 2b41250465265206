package store

import (
	"context"
	"encoding/json"
)

// PutAccount adds an account. Conflict: an identifier is taken.
type PutAccount struct{ Account Account }

var insertAccount = writes(`
INSERT INTO accounts (id, username, email, phone, name, nickname, zone_info, locale,
	password_hash, password_set, password_expire, state, created, updated, email_verified, phone_verified, attributes)
VALUES ($1, NULLIF($2, ''), NULLIF($3, ''), NULLIF($4, ''), $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT DO NOTHING`)

func (w PutAccount) apply(ctx context.Context, t *transaction) error {
	a := &w.Account
	return t.must(ctx, insertAccount, a.ID, a.Username, a.Email, a.Phone, a.Name, a.Nickname, a.ZoneInfo, a.Locale,
		a.PasswordHash, millis(a.PasswordSet), flag(a.PasswordExpire), string(a.State), millis(a.Created), millis(a.Updated),
		flag(a.EmailVerified), flag(a.PhoneVerified), attributes(a.Attributes))
}

// attributes is a map as JSON text, which every database keeps.
func attributes(m map[string]string) string {
	if len(m) == 0 {
		return "{}"
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings always have a JSON text
	}
	return string(text)
}

// UpdateAccount replaces identifiers, their verification, profile and
// attributes. Conflict: gone, an identifier is taken, or something of all this is
// not as it is in Was, unless Was is nil.
type UpdateAccount struct {
	Account Account
	Was     *Account
}

var (
	updateAccount = writes(`
UPDATE accounts SET username = NULLIF($2, ''), email = NULLIF($3, ''), phone = NULLIF($4, ''),
	name = $5, nickname = $6, zone_info = $7, locale = $8, updated = $9,
	email_verified = $10, phone_verified = $11, attributes = $12
WHERE id = $1`)

	// The values, not the time of the last update: a millisecond has room for two.
	requireAccount = writes(`
UPDATE accounts SET id = id
WHERE id = $1 AND COALESCE(username, '') = $2 AND COALESCE(email, '') = $3 AND COALESCE(phone, '') = $4
	AND name = $5 AND nickname = $6 AND zone_info = $7 AND locale = $8
	AND email_verified = $9 AND phone_verified = $10 AND attributes = $11`)

	holdAccount = hold(`SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE`)
)

func (w UpdateAccount) apply(ctx context.Context, t *transaction) error {
	if a := w.Was; a != nil {
		err := t.must(ctx, requireAccount, a.ID, a.Username, a.Email, a.Phone, a.Name, a.Nickname, a.ZoneInfo, a.Locale,
			flag(a.EmailVerified), flag(a.PhoneVerified), attributes(a.Attributes))
		if err != nil {
			return err
		}
	}
	a := &w.Account
	return t.must(ctx, updateAccount, a.ID, a.Username, a.Email, a.Phone, a.Name, a.Nickname, a.ZoneInfo, a.Locale, t.now,
		flag(a.EmailVerified), flag(a.PhoneVerified), attributes(a.Attributes))
}

// RequireAttributes asks that an account still has these attributes, "" for one
// that it must not have, and changes nothing. Those that are not named may change
// meanwhile. Conflict: gone, or one of them is another.
type RequireAttributes struct {
	Account    string
	Attributes map[string]string
}

// An update that keeps the value, as for RequireUnspent.
var requireAttributes = writes(`UPDATE accounts SET id = id WHERE id = $1 AND coalesce(attributes ->> $2, '') = $3`)

func (w RequireAttributes) apply(ctx context.Context, t *transaction) error {
	for name, value := range w.Attributes {
		if err := t.must(ctx, requireAttributes, w.Account, name, value); err != nil {
			return err
		}
	}
	return nil
}

// VerifyIdentifier notes that the person has shown to have the address, ByEmail
// or ByPhone; shown before, nothing changes. Conflict: it is not the account's any
// more.
type VerifyIdentifier struct {
	Account string
	Kind    IdentifierKind
	Value   string
}

var verifyIdentifier = map[IdentifierKind]write{
	ByEmail: writes(`UPDATE accounts SET updated = CASE WHEN email_verified = 1 THEN updated ELSE $3 END, email_verified = 1 WHERE id = $1 AND email = $2`),
	ByPhone: writes(`UPDATE accounts SET updated = CASE WHEN phone_verified = 1 THEN updated ELSE $3 END, phone_verified = 1 WHERE id = $1 AND phone = $2`),
}

func (w VerifyIdentifier) apply(ctx context.Context, t *transaction) error {
	verify, ok := verifyIdentifier[w.Kind]
	if !ok {
		return ErrConflict
	}
	return t.must(ctx, verify, w.Account, w.Value, t.now)
}

// SetState locks, freezes or activates an account. Conflict: gone, or no longer
// in the state From; "" is any.
type SetState struct {
	Account string
	From    AccountState
	State   AccountState
}

var setState = writes(`UPDATE accounts SET state = $2, updated = $3 WHERE id = $1 AND (state = $4 OR $4 = '')`)

func (w SetState) apply(ctx context.Context, t *transaction) error {
	return t.must(ctx, setState, w.Account, string(w.State), t.now, string(w.From))
}

// RemoveAccount deletes an account. Conflict: gone. Revoke it in the same Apply,
// before.
type RemoveAccount struct{ Account string }

var (
	deleteAccount          = writes(`DELETE FROM accounts WHERE id = $1`)
	deleteKnownAddressesOf = writes(`DELETE FROM known_addresses WHERE account = $1`)
	deleteConsentsOf       = writes(`DELETE FROM consents WHERE account = $1`)
)

func (w RemoveAccount) apply(ctx context.Context, t *transaction) error {
	if err := t.hold(ctx, holdAccount, w.Account); err != nil {
		return err
	}
	for _, of := range []write{deleteKnownAddressesOf, deleteConsentsOf, deleteHistoryOf, endSessionsOfAccount} {
		if err := t.may(ctx, of, w.Account); err != nil {
			return err
		}
	}
	return t.must(ctx, deleteAccount, w.Account)
}

const accountColumns = `id, COALESCE(username, ''), COALESCE(email, ''), COALESCE(phone, ''), name, nickname, zone_info, locale,
	password_hash, password_set, password_expire, state, created, updated, email_verified, phone_verified, attributes FROM accounts `

func scanAccount(row scanner) (Account, error) {
	var a Account
	var set, expire, created, updated, email, phone int64
	var attributes string
	err := row.Scan(&a.ID, &a.Username, &a.Email, &a.Phone, &a.Name, &a.Nickname, &a.ZoneInfo, &a.Locale,
		&a.PasswordHash, &set, &expire, &a.State, &created, &updated, &email, &phone, &attributes)
	a.PasswordSet, a.PasswordExpire = moment(set), expire != 0
	a.Created, a.Updated = moment(created), moment(updated)
	a.EmailVerified, a.PhoneVerified = email != 0, phone != 0
	if err == nil && attributes != "{}" {
		err = json.Unmarshal([]byte(attributes), &a.Attributes)
	}
	return a, err
}

var (
	selectAccount  = reads(`SELECT ` + accountColumns + `WHERE id = $1`)
	selectAccounts = reads(`SELECT ` + accountColumns + `WHERE id > $1 ORDER BY id LIMIT $2`)

	findAccount = map[IdentifierKind]read{
		ByUsername: reads(`SELECT ` + accountColumns + `WHERE username = $1`),
		ByEmail:    reads(`SELECT ` + accountColumns + `WHERE email = $1`),
		ByPhone:    reads(`SELECT ` + accountColumns + `WHERE phone = $1`),
	}
)

// Account finds an account by its id.
func (s *Store) Account(ctx context.Context, id string) (Account, error) {
	return one(ctx, s, "account", selectAccount, scanAccount, id)
}

// FindAccount finds an account by a normalised identifier.
func (s *Store) FindAccount(ctx context.Context, kind IdentifierKind, value string) (Account, error) {
	find, ok := findAccount[kind]
	if !ok || value == "" {
		return Account{}, ErrNotFound
	}
	return one(ctx, s, "account", find, scanAccount, value)
}

// Accounts lists up to limit accounts in the order of their ids, those behind
// after; "" begins.
func (s *Store) Accounts(ctx context.Context, after string, limit int) ([]Account, error) {
	return all(ctx, s, "accounts", selectAccounts, scanAccount, after, limit)
}
