package store

import (
	"context"
	"time"
)

// PutFamily begins a sign-in, and notes its client at its session. Above what a
// client may have in a session the oldest gives way. Conflict: the account is not
// active, or is gone.
type PutFamily struct{ Family Family }

var insertFamily = writes(`
INSERT INTO families (id, account, client, source, amr, scopes, auth_time, created, expires, revoked, session, claims)
SELECT $1, a.id, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11
FROM accounts a WHERE a.id = $2 AND a.state = 'active'
/*[ FOR NO KEY UPDATE OF a ]*/ ON CONFLICT DO NOTHING`)

// A sign-in ends before its session does where it is revoked or grows old: who is
// told of a sign-out is remembered apart from it. The sign-ins of a session come
// after one another, so that each counts those before it.
var insertSessionClient = writes(`
INSERT INTO session_clients (session, client) SELECT n, $2 FROM sessions WHERE id = $1
/*[ FOR NO KEY UPDATE ]*/ ON CONFLICT DO NOTHING`)

func (w PutFamily) apply(ctx context.Context, t *transaction) error {
	f := &w.Family
	err := t.must(ctx, insertFamily, f.ID, f.Account, f.Client, f.Source, words(f.AMR), words(f.Scopes),
		millis(f.AuthTime), millis(f.Created), millis(f.Expires), f.Session, f.Claims)
	if err != nil || f.Session == "" {
		return err
	}
	if err := t.may(ctx, insertSessionClient, f.Session, f.Client); err != nil {
		return err
	}
	return t.giveWay(ctx, f.Session, f.Client)
}

// A token is minted for a family that is alive at that instant: a revocation
// that was committed before leaves no row to select, and one beside it waits for the
// family's row. What is revoked with an account ends its families.
const alive = `FROM families f JOIN accounts a ON a.id = f.account
WHERE f.id = $1 AND f.revoked = 0 AND f.expires > $2 AND a.state = 'active'`

// PutRefresh stores a refresh token. Conflict: its family is not alive, or has
// a token at this position, or the hash exists.
type PutRefresh struct{ Refresh Refresh }

var insertRefresh = writes(`
INSERT INTO refresh_tokens (hash, family, position, spent)
SELECT $3, f.n, $4, $5 ` + alive + ` /*[ FOR SHARE OF f ]*/ ON CONFLICT DO NOTHING`)

func (w PutRefresh) apply(ctx context.Context, t *transaction) error {
	r := &w.Refresh
	return t.must(ctx, insertRefresh, r.Family, t.now, r.Hash[:], r.N, millis(r.Spent))
}

// DropSpentRefresh forgets one spent refresh token of a family, and never its first.
// The caller knows it again without a row. Nothing to forget is no conflict.
type DropSpentRefresh struct {
	Family string
	N      int
}

var dropSpentRefresh = writes(`
DELETE FROM refresh_tokens WHERE family = (SELECT n FROM families WHERE id = $1) AND position = $2 AND position > 0 AND spent > 0`)

func (w DropSpentRefresh) apply(ctx context.Context, t *transaction) error {
	return t.may(ctx, dropSpentRefresh, w.Family, w.N)
}

// SpendRefresh marks a refresh token as used. Conflict: unknown, or spent before.
type SpendRefresh struct{ Hash Hash }

var spendRefresh = writes(`UPDATE refresh_tokens SET spent = $2 WHERE hash = $1 AND spent = 0`)

func (w SpendRefresh) apply(ctx context.Context, t *transaction) error {
	return t.must(ctx, spendRefresh, w.Hash[:], t.now)
}

// RequireUnspent asks that a refresh token is still good, and changes nothing.
// Conflict: unknown or spent.
type RequireUnspent struct{ Hash Hash }

// An update that keeps the value, not a select: it holds the row against a
// concurrent SpendRefresh where there is more than one writer. SQLite compares
// and writes no page.
var requireUnspent = writes(`UPDATE refresh_tokens SET spent = 0 WHERE hash = $1 AND spent = 0`)

func (w RequireUnspent) apply(ctx context.Context, t *transaction) error {
	return t.must(ctx, requireUnspent, w.Hash[:])
}

const familyColumns = `f.id, f.account, f.client, f.source, f.amr, f.scopes, f.auth_time, f.created, f.expires, f.revoked, f.session, f.claims`

// familyRow is the columns of a family on their way from the database.
type familyRow struct {
	f                                   Family
	amr, scopes                         string
	authTime, created, expires, revoked int64
}

func (r *familyRow) into(before ...any) []any {
	return append(before, &r.f.ID, &r.f.Account, &r.f.Client, &r.f.Source, &r.amr, &r.scopes,
		&r.authTime, &r.created, &r.expires, &r.revoked, &r.f.Session, &r.f.Claims)
}

func (r *familyRow) family() Family {
	r.f.AMR, r.f.Scopes = list(r.amr), list(r.scopes)
	r.f.AuthTime, r.f.Created = moment(r.authTime), moment(r.created)
	r.f.Expires, r.f.Revoked = moment(r.expires), moment(r.revoked)
	return r.f
}

func scanFamily(row scanner) (Family, error) {
	var r familyRow
	err := row.Scan(r.into()...)
	return r.family(), err
}

var selectFamily = reads(`SELECT ` + familyColumns + ` FROM families f WHERE f.id = $1`)

// Family finds a sign-in, alive or not.
func (s *Store) Family(ctx context.Context, id string) (Family, error) {
	return one(ctx, s, "family", selectFamily, scanFamily, id)
}

var selectFamiliesOf = reads(`SELECT ` + familyColumns + ` FROM families f
WHERE f.account = $1 AND f.revoked = 0 AND f.expires + 0 > $2 ORDER BY f.created, f.n`)

// FamiliesOf lists the living sign-ins of an account, the oldest first.
func (s *Store) FamiliesOf(ctx context.Context, now time.Time, account string) ([]Family, error) {
	return all(ctx, s, "families", selectFamiliesOf, scanFamily, account, millis(now))
}

var selectRefresh = reads(`SELECT r.hash, r.position, r.spent, ` + familyColumns + `
FROM refresh_tokens r JOIN families f ON f.n = r.family WHERE r.hash = $1`)

// FamilyOfRefresh finds a refresh token, spent or not, with its family, alive
// or not.
func (s *Store) FamilyOfRefresh(ctx context.Context, hash Hash) (Refresh, Family, error) {
	var refresh Refresh
	family, err := one(ctx, s, "refresh token", selectRefresh, func(row scanner) (Family, error) {
		var r familyRow
		var h []byte
		var spent int64
		err := row.Scan(r.into(&h, &refresh.N, &spent)...)
		copy(refresh.Hash[:], h)
		refresh.Family, refresh.Spent = r.f.ID, moment(spent)
		return r.family(), err
	}, hash[:])
	if err != nil {
		return Refresh{}, Family{}, err
	}
	return refresh, family, nil
}

// Refresh finds a refresh token, spent or not.
func (s *Store) Refresh(ctx context.Context, hash Hash) (Refresh, error) {
	refresh, _, err := s.FamilyOfRefresh(ctx, hash)
	return refresh, err
}

var selectToken = reads(`SELECT t.id, t.expires, ` + familyColumns + `
FROM tokens t JOIN families f ON f.n = t.family WHERE t.id = $1`)

// FamilyOf finds an access token by its jti, with its family, alive or not.
// Tokens of client_credentials have none: ErrNotFound.
func (s *Store) FamilyOf(ctx context.Context, jti string) (Token, Family, error) {
	var token Token
	family, err := one(ctx, s, "token", selectToken, func(row scanner) (Family, error) {
		var r familyRow
		var expires int64
		err := row.Scan(r.into(&token.ID, &expires)...)
		token.Family, token.Expires = r.f.ID, moment(expires)
		return r.family(), err
	}, jti)
	if err != nil {
		return Token{}, Family{}, err
	}
	return token, family, nil
}

// Token finds an access token of a family by its jti.
func (s *Store) Token(ctx context.Context, jti string) (Token, error) {
	token, _, err := s.FamilyOf(ctx, jti)
	return token, err
}
