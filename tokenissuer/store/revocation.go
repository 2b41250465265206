package store

import (
	"context"
	"slices"
	"time"
)

// RevokeToken revokes one access token, with or without a row of its own.
type RevokeToken struct {
	ID      string
	Expires time.Time
}

var revokeToken = writes(`
INSERT INTO revoked_tokens (id, expires) VALUES ($1, $2)
ON CONFLICT (id) DO NOTHING RETURNING id, expires`)

func (w RevokeToken) apply(ctx context.Context, t *transaction) error {
	if !w.Expires.After(t.at) {
		return nil // refused for its age already; a row would outlive its use
	}
	before := len(t.revoked)
	err := t.revoke(ctx, revokeToken, w.ID, millis(w.Expires))
	if err == nil && len(t.revoked) == before && t.many != nil {
		t.known = append(t.known, Revocation{Token: w.ID, Expires: w.Expires})
	}
	return err
}

// RevokeFamily ends a sign-in: its refresh tokens and its unexpired access
// tokens. An unknown or ended family is no conflict.
type RevokeFamily struct{ Family string }

var (
	// The family first: where writers run side by side, its row makes the mint
	// that is under way finish, or fail, before its tokens are collected.
	endFamily = writes(`UPDATE families SET revoked = $2 WHERE id = $1 AND revoked = 0`)

	revokeFamily = writes(`
INSERT INTO revoked_tokens (id, expires)
SELECT t.id, t.expires FROM families f JOIN tokens t ON t.family = f.n WHERE f.id = $1 AND t.expires + 0 > $2
ON CONFLICT (id) DO NOTHING RETURNING id, expires`)

	revokedOfFamily = writes(`
SELECT t.id, t.expires FROM families f JOIN tokens t ON t.family = f.n WHERE f.id = $1 AND t.expires + 0 > $2`)
)

func (w RevokeFamily) apply(ctx context.Context, t *transaction) error {
	if err := t.may(ctx, endFamily, w.Family, t.now); err != nil {
		return err
	}
	before := len(t.revoked)
	if err := t.revoke(ctx, revokeFamily, w.Family, t.now); err != nil || t.many == nil {
		return err
	}
	// Others may have revoked some of them a moment ago, of which this process has yet to
	// hear.
	all, err := t.revocations(ctx, nil, revokedOfFamily, w.Family, t.now)
	told := make(map[string]bool, len(t.revoked)-before)
	for _, r := range t.revoked[before:] {
		told[r.Token] = true
	}
	t.known = append(t.known, slices.DeleteFunc(all, func(r Revocation) bool { return told[r.Token] })...)
	return err
}

// RevokeSession ends what began in a browser session: its sign-ins, with their
// tokens, and its codes. The session itself goes with EndSessionByID.
type RevokeSession struct {
	ID      string
	All     bool     // of every client
	Clients []string // otherwise of these, of whom few have something in it
}

var (
	// A code that is being spent is still there to be seen, or its family is.
	livingInSession = writes(`
SELECT client FROM codes WHERE session = $1 AND session <> '' AND spent = 0
UNION SELECT client FROM families WHERE session = $1 AND session <> '' AND revoked = 0`)

	// Codes first: where writers run side by side, one that is being spent makes
	// this wait, and its family is there to be ended.
	endCodesOfSession = writes(`
DELETE FROM codes WHERE session = $1 AND session <> '' AND ($2 = '' OR client = $2) AND spent = 0`)

	endFamiliesOfSession = writes(`
UPDATE families SET revoked = $3 WHERE session = $1 AND session <> '' AND ($2 = '' OR client = $2) AND revoked = 0`)

	revokeSession = writes(`
INSERT INTO revoked_tokens (id, expires)
SELECT t.id, t.expires FROM families f JOIN tokens t ON t.family = f.n
WHERE f.session = $1 AND f.session <> '' AND ($2 = '' OR f.client = $2) AND t.expires + 0 > $3
ON CONFLICT (id) DO NOTHING RETURNING id, expires`)
)

func (w RevokeSession) apply(ctx context.Context, t *transaction) error {
	if w.All {
		return w.of(ctx, t, "")
	}
	living, err := t.texts(ctx, livingInSession, w.ID)
	if err != nil {
		return err
	}
	for _, client := range living {
		if client == "" || !slices.Contains(w.Clients, client) { // "" would mean all
			continue
		}
		if err := w.of(ctx, t, client); err != nil {
			return err
		}
	}
	return nil
}

func (w RevokeSession) of(ctx context.Context, t *transaction, client string) error {
	if err := t.may(ctx, endCodesOfSession, w.ID, client); err != nil {
		return err
	}
	if err := t.may(ctx, endFamiliesOfSession, w.ID, client, t.now); err != nil {
		return err
	}
	return t.revoke(ctx, revokeSession, w.ID, client, t.now)
}

// LeaveSession is of clients whose sign-ins go on although their session is over, and
// which were told so: from then on they belong to no session, and nobody is told of
// the same one again.
type LeaveSession struct {
	ID      string
	Clients []string
}

var leaveSession = writes(`UPDATE families SET session = '' WHERE session = $1 AND session <> '' AND client = $2`)

func (w LeaveSession) apply(ctx context.Context, t *transaction) error {
	for _, client := range w.Clients {
		if err := t.may(ctx, leaveSession, w.ID, client); err != nil {
			return err
		}
	}
	return nil
}

// RevokeAccount ends all sign-ins, sessions and codes of an account.
type RevokeAccount struct{ Account string }

var (
	endFamiliesOfAccount = writes(`
UPDATE families SET revoked = $2 WHERE account = $1 AND revoked = 0 RETURNING session, client, expires`)

	// What ended before took its tokens along then.
	revokeAccount = writes(`
INSERT INTO revoked_tokens (id, expires)
SELECT t.id, t.expires FROM families f JOIN tokens t ON t.family = f.n
WHERE f.account = $1 AND (f.revoked = 0 OR f.revoked = $2) AND t.expires + 0 > $2
ON CONFLICT (id) DO NOTHING RETURNING id, expires`)

	endSessionsOfAccount = writes(`DELETE FROM sessions WHERE account = $1`)

	// A spent code stays: its second use must still be recognised.
	endCodesOfAccount = writes(`DELETE FROM codes WHERE account = $1 AND spent = 0`)
)

func (w RevokeAccount) apply(ctx context.Context, t *transaction) error {
	// A sign-in that is under way finishes first, and is ended with the rest.
	if err := t.hold(ctx, holdAccount, w.Account); err != nil {
		return err
	}
	if err := t.end(ctx, remembering, w.Account, ""); err != nil {
		return err
	}
	// What begins a family goes before the families, as in RevokeSession.
	if err := t.may(ctx, endSessionsOfAccount, w.Account); err != nil {
		return err
	}
	if err := t.may(ctx, endCodesOfAccount, w.Account); err != nil {
		return err
	}
	if err := t.end(ctx, endFamiliesOfAccount, w.Account, t.now); err != nil {
		return err
	}
	return t.revoke(ctx, revokeAccount, w.Account, t.now)
}

// RevokeClientOf ends what a client has of an account: its sign-ins, with their
// tokens, and its codes. The account's sessions forget the client. Nothing is no
// conflict.
type RevokeClientOf struct{ Account, Client string }

var (
	endCodesOfClientOf = writes(`DELETE FROM codes WHERE account = $1 AND client = $2 AND spent = 0`)

	endFamiliesOfClientOf = writes(`
UPDATE families SET revoked = $3 WHERE account = $1 AND client = $2 AND revoked = 0 RETURNING session, client, expires`)

	forgetClientOf = writes(`
DELETE FROM session_clients WHERE client = $2 AND session IN (SELECT n FROM sessions WHERE account = $1)`)

	revokeClientOf = writes(`
INSERT INTO revoked_tokens (id, expires)
SELECT t.id, t.expires FROM families f JOIN tokens t ON t.family = f.n
WHERE f.account = $1 AND f.client = $2 AND (f.revoked = 0 OR f.revoked = $3) AND t.expires + 0 > $3
ON CONFLICT (id) DO NOTHING RETURNING id, expires`)
)

func (w RevokeClientOf) apply(ctx context.Context, t *transaction) error {
	// The account, then the codes, as in RevokeAccount.
	if err := t.hold(ctx, holdAccount, w.Account); err != nil {
		return err
	}
	if err := t.may(ctx, endCodesOfClientOf, w.Account, w.Client); err != nil {
		return err
	}
	if err := t.end(ctx, remembering, w.Account, w.Client); err != nil {
		return err
	}
	if err := t.end(ctx, endFamiliesOfClientOf, w.Account, w.Client, t.now); err != nil {
		return err
	}
	if err := t.may(ctx, forgetClientOf, w.Account, w.Client); err != nil {
		return err
	}
	return t.revoke(ctx, revokeClientOf, w.Account, w.Client, t.now)
}

// RevokeTokensOf refuses the access tokens that an account has now. Its sign-ins
// go on: what the next tokens say is read anew. It comes behind what those that are
// there must not outlive.
type RevokeTokensOf struct{ Account string }

// Tokens of a sign-in that has ended were refused with it.
const goodTokensOf = `
FROM families f JOIN tokens t ON t.family = f.n
WHERE f.account = $1 AND f.revoked = 0 AND t.expires + 0 > $2
	AND NOT EXISTS (SELECT 1 FROM revoked_tokens r WHERE r.id = t.id)`

var revokeTokensOf = writes(`
INSERT INTO revoked_tokens (id, expires) SELECT t.id, t.expires ` + goodTokensOf + `
ON CONFLICT (id) DO NOTHING RETURNING id, expires`)

func (w RevokeTokensOf) apply(ctx context.Context, t *transaction) error {
	return t.revoke(ctx, revokeTokensOf, w.Account, t.now)
}

// RefuseClient refuses every token of a client issued up to now, whatever they are.
// Longest is the longest lifetime such a token can have, Ahead by how much the clock of
// who issued it may be. Its sign-ins go on, see RevokeClient, and earn others.
type RefuseClient struct {
	Client         string
	Longest, Ahead time.Duration
}

// A clock that was set back must not give revoked tokens their life again.
var refuseClient = writes(`
INSERT INTO revoked_clients (id, not_before, expires) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET
	not_before = CASE WHEN excluded.not_before > revoked_clients.not_before THEN excluded.not_before ELSE revoked_clients.not_before END,
	expires = CASE WHEN excluded.expires > revoked_clients.expires THEN excluded.expires ELSE revoked_clients.expires END`)

func (w RefuseClient) apply(ctx context.Context, t *transaction) error {
	upTo := t.at.Add(w.Ahead)
	expires := upTo.Add(w.Longest)
	if err := t.may(ctx, refuseClient, w.Client, millis(upTo), millis(expires)); err != nil {
		return err
	}
	t.revoked = append(t.revoked, Revocation{Client: w.Client, NotBefore: upTo, Expires: expires})
	return nil
}

// RevokeClient ends what a client has of anybody: its sign-ins, with their tokens, and
// its codes. What it has for itself is refused by RefuseClient, which comes in an Apply
// before: to end the sign-ins of a million people takes minutes.
type RevokeClient struct{ Client string }

var (
	endFamiliesOfClient = writes(`UPDATE families SET revoked = $2 WHERE client = $1 AND revoked = 0`)

	endCodesOfClient = writes(`DELETE FROM codes WHERE client = $1 AND spent = 0`)

	// They are named although the client is refused: that counts in seconds, of a clock that
	// others may be ahead of, and who ends an account later looks at no sign-in that is over.
	revokeTokensOfClient = writes(`
INSERT INTO revoked_tokens (id, expires)
SELECT t.id, t.expires FROM families f JOIN tokens t ON t.family = f.n
WHERE f.client = $1 AND f.revoked = $2 AND t.expires + 0 > $2
ON CONFLICT (id) DO NOTHING RETURNING id, expires`)
)

func (w RevokeClient) apply(ctx context.Context, t *transaction) error {
	if err := t.may(ctx, endCodesOfClient, w.Client); err != nil {
		return err
	}
	if err := t.may(ctx, endFamiliesOfClient, w.Client, t.now); err != nil {
		return err
	}
	return t.revoke(ctx, revokeTokensOfClient, w.Client, t.now)
}

// revoke runs a write that returns the tokens it revoked, and keeps them for
// the followers.
func (t *transaction) revoke(ctx context.Context, w write, args ...any) (err error) {
	t.revoked, err = t.revocations(ctx, t.revoked, w, args...)
	return err
}

// revocations adds the tokens that a statement returns to others.
func (t *transaction) revocations(ctx context.Context, to []Revocation, w write, args ...any) ([]Revocation, error) {
	rows, err := t.query(ctx, w, args...)
	if err != nil {
		return to, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		r, err := scanRevokedToken(rows)
		if err != nil {
			return to, err
		}
		to = append(to, r)
	}
	return to, rows.Err()
}

// texts reads rows of one text.
func (t *transaction) texts(ctx context.Context, w write, args ...any) (all []string, err error) {
	rows, err := t.query(ctx, w, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}

func scanRevokedToken(row scanner) (Revocation, error) {
	var r Revocation
	var expires int64
	err := row.Scan(&r.Token, &expires)
	r.Expires = moment(expires)
	return r, err
}
