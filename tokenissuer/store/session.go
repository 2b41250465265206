package store

import (
	"context"
	"time"
)

// PutSession stores a browser session. Conflict: the account is not active or is
// gone, or the cookie or the ID exists.
type PutSession struct{ Session Session }

var insertSession = writes(`
INSERT INTO sessions (hash, id, device, account, source, amr, auth_time, created, seen, expires)
SELECT $1, $2, $3, a.id, $5, $6, $7, $8, $9, $10
FROM accounts a WHERE a.id = $4 AND a.state = 'active'
/*[ FOR NO KEY UPDATE OF a ]*/ ON CONFLICT DO NOTHING`)

func (w PutSession) apply(ctx context.Context, t *transaction) error {
	v := &w.Session
	return t.must(ctx, insertSession, v.Hash[:], v.ID, v.Device, v.Account, v.Source, words(v.AMR),
		millis(v.AuthTime), millis(v.Created), millis(v.Seen), millis(v.Expires))
}

// RenewSession gives a session a new cookie; everything else stays. Conflict:
// unknown or expired.
type RenewSession struct{ Old, New Hash }

var renewSession = writes(`UPDATE sessions SET hash = $2, seen = $3 WHERE hash = $1 AND expires > $3`)

func (w RenewSession) apply(ctx context.Context, t *transaction) error {
	return t.must(ctx, renewSession, w.Old[:], w.New[:], t.now)
}

// ProveSession is RenewSession for a person who has signed in once more in a
// session that they have. Conflict: unknown, expired, or another account's.
type ProveSession struct {
	Old      Hash
	New      Hash
	Account  string
	Source   string
	AMR      []string
	AuthTime time.Time
	Expires  time.Time
}

var proveSession = writes(`
UPDATE sessions SET hash = $2, seen = $3, source = $5, amr = $6, auth_time = $7, expires = $8
WHERE hash = $1 AND expires > $3 AND account = $4`)

func (w ProveSession) apply(ctx context.Context, t *transaction) error {
	return t.must(ctx, proveSession, w.Old[:], w.New[:], t.now, w.Account, w.Source, words(w.AMR),
		millis(w.AuthTime), millis(w.Expires))
}

// TouchSession notes that a session is in use. It writes at most once a minute
// and is never a conflict; who knows Seen can spare the Apply.
type TouchSession struct{ Hash Hash }

// SeenAfter is how old Seen gets before TouchSession writes it.
const SeenAfter = time.Minute

var touchSession = writes(`UPDATE sessions SET seen = $2 WHERE hash = $1 AND expires > $2 AND seen <= $3`)

func (w TouchSession) apply(ctx context.Context, t *transaction) error {
	return t.may(ctx, touchSession, w.Hash[:], t.now, millis(t.at.Add(-SeenAfter)))
}

// EndSessionByID removes a session of an account. Sign-ins that began in it go on:
// see RevokeSession. Conflict: unknown, or another account's.
type EndSessionByID struct{ ID, Account string }

var deleteSessionOf = writes(`DELETE FROM sessions WHERE id = $1 AND account = $2`)

func (w EndSessionByID) apply(ctx context.Context, t *transaction) error {
	return t.must(ctx, deleteSessionOf, w.ID, w.Account)
}

const sessionColumns = `hash, id, device, account, source, amr, auth_time, created, seen, expires FROM sessions `

func scanSession(row scanner) (Session, error) {
	var v Session
	var h []byte
	var amr string
	var authTime, created, seen, expires int64
	err := row.Scan(&h, &v.ID, &v.Device, &v.Account, &v.Source, &amr, &authTime, &created, &seen, &expires)
	copy(v.Hash[:], h)
	v.AMR = list(amr)
	v.AuthTime, v.Created = moment(authTime), moment(created)
	v.Seen, v.Expires = moment(seen), moment(expires)
	return v, err
}

var (
	selectSession     = reads(`SELECT ` + sessionColumns + `WHERE hash = $1`)
	selectSessionByID = reads(`SELECT ` + sessionColumns + `WHERE id = $1`)
	selectSessionsOf  = reads(`SELECT ` + sessionColumns + `WHERE account = $1 AND expires + 0 > $2 ORDER BY seen DESC, n DESC`)
)

// Session finds a browser session by its cookie, an expired one too.
func (s *Store) Session(ctx context.Context, hash Hash) (Session, error) {
	return one(ctx, s, "session", selectSession, scanSession, hash[:])
}

// SessionByID finds a browser session by its ID, an expired one too.
func (s *Store) SessionByID(ctx context.Context, id string) (Session, error) {
	return one(ctx, s, "session", selectSessionByID, scanSession, id)
}

// SessionsOf lists the browsers in which an account is signed in, the last used
// first.
func (s *Store) SessionsOf(ctx context.Context, now time.Time, account string) ([]Session, error) {
	return all(ctx, s, "sessions", selectSessionsOf, scanSession, account, millis(now))
}

// RequireClients asks that a session is there with as many clients as were read,
// and changes nothing. Conflict: it has ended, or another client got a sign-in.
type RequireClients struct {
	Session string
	Count   int
}

// Updates that keep the value, as for RequireUnspent. The row alone first: where
// writers run side by side, the count must be of what they have committed.
var (
	holdSession    = writes(`UPDATE sessions SET id = id WHERE id = $1`)
	requireClients = writes(`
UPDATE sessions SET id = id WHERE id = $1 AND (SELECT COUNT(*) FROM session_clients WHERE session = sessions.n) = $2`)
)

func (w RequireClients) apply(ctx context.Context, t *transaction) error {
	if err := t.must(ctx, holdSession, w.Session); err != nil {
		return err
	}
	return t.must(ctx, requireClients, w.Session, w.Count)
}

var selectClientsOfSession = reads(`
SELECT c.client FROM session_clients c JOIN sessions s ON s.n = c.session WHERE s.id = $1 ORDER BY c.client`)

// ClientsOfSession lists the clients that got a sign-in in a session that is still
// there, also where the sign-in is over.
func (s *Store) ClientsOfSession(ctx context.Context, session string) ([]string, error) {
	return all(ctx, s, "clients of a session", selectClientsOfSession, func(row scanner) (client string, err error) {
		err = row.Scan(&client)
		return client, err
	}, session)
}
