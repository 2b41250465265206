package store

import (
	"context"
	"crypto/sha256"
	"time"
)

// signInsOfSession is how many sign-ins of one client a browser session has. An app
// needs one, and another for each page that keeps its tokens to itself.
const signInsOfSession = 100

// Each token of a sign-in that gave way is remembered as revoked until it expires. A
// client in a loop would fill the store with them, so it has a most in a session: one
// sign-in above it is the last for as long as the window runs.
const (
	tokensGivenMost = 5000
	tokensGivenIn   = time.Hour
)

var (
	unexpired = writes(`SELECT count(*) FROM tokens WHERE family = $1 AND expires + 0 > $2`)

	takeGiven = writes(`
INSERT INTO quotas (hash, taken, ends) VALUES ($1, $5, $4)
ON CONFLICT (hash) DO UPDATE SET
	taken = CASE WHEN quotas.ends <= $2 THEN $5 ELSE quotas.taken + $5 END,
	ends = CASE WHEN quotas.ends <= $2 THEN excluded.ends ELSE quotas.ends END
WHERE quotas.ends <= $2 OR quotas.taken < $3`)

	givenUntil = writes(`SELECT ends FROM quotas WHERE hash = $1`)
	// The newest that is one too many, if any, and all that are older. They lie in
	// the order they began.
	tooMany = writes(`
SELECT n, id FROM families WHERE session = $1 AND session <> '' AND client = $2 AND n <= (
	SELECT n FROM families WHERE session = $1 AND session <> '' AND client = $2 ORDER BY n DESC LIMIT 1 OFFSET $3)`)

	// With the sign-in its code goes: there is nothing left for a second use to end.
	deleteFamily = []write{
		writes(`DELETE FROM tokens WHERE family = $1`),
		writes(`DELETE FROM refresh_tokens WHERE family = $1`),
		writes(`DELETE FROM families WHERE n = $1`),
	}
	// That they are revoked stays in the store: gates remember what they stood for, and one
	// that was away for longer than changes are kept reads all that is revoked.
	deleteOpaqueOfFamily = writes(`DELETE FROM opaque_tokens WHERE family = $1 AND family <> ''`)
	deleteCodeOfFamily   = writes(`DELETE FROM codes WHERE session = $1 AND session <> '' AND family = $2`)
)

// giveWay ends and forgets what a client has too much in a session. An ended row
// that stayed until its time would be as much as one that lives.
func (t *transaction) giveWay(ctx context.Context, session, client string) error {
	old, err := t.numbered(ctx, tooMany, session, client, signInsOfSession)
	if err != nil {
		return err
	}
	for n, id := range old {
		if err := t.countGiven(ctx, session, client, n); err != nil {
			return err
		}
		if err := (RevokeFamily{Family: id}).apply(ctx, t); err != nil {
			return err
		}
		if err := t.may(ctx, deleteOpaqueOfFamily, id); err != nil {
			return err
		}
		for _, w := range deleteFamily {
			if err := t.may(ctx, w, n); err != nil {
				return err
			}
		}
		if err := t.may(ctx, deleteCodeOfFamily, session, id); err != nil {
			return err
		}
	}
	return nil
}

// countGiven counts the tokens of a sign-in that gives way. Crowded: there were too many
// already.
func (t *transaction) countGiven(ctx context.Context, session, client string, family int64) error {
	var count int
	if err := t.queryRow(ctx, unexpired, family, t.now).Scan(&count); err != nil || count == 0 {
		return err
	}
	key := sha256.Sum256([]byte("given way\x00" + session + "\x00" + client))
	n, err := t.exec(ctx, takeGiven, key[:], t.now, tokensGivenMost, millis(t.at.Add(tokensGivenIn)), count)
	if err != nil || n > 0 {
		return err
	}
	var ends int64
	if err := t.queryRow(ctx, givenUntil, key[:]).Scan(&ends); err != nil {
		return err
	}
	return &Crowded{Until: moment(ends)}
}

// numbered reads rows of a number and an id.
func (t *transaction) numbered(ctx context.Context, w write, args ...any) (map[int64]string, error) {
	rows, err := t.query(ctx, w, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := map[int64]string{}
	for rows.Next() {
		var n int64
		var id string
		if err := rows.Scan(&n, &id); err != nil {
			return nil, err
		}
		found[n] = id
	}
	return found, rows.Err()
}
