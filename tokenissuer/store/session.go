package store

import "context"

// PutSession stores a browser session.
type PutSession struct{ Session Session }

var insertSession = writes(`
INSERT INTO sessions (hash, account, source, amr, auth_time, created, expires)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`)

func (w PutSession) apply(ctx context.Context, t *transaction) error {
	v := &w.Session
	return t.must(ctx, insertSession, v.Hash[:], v.Account, v.Source, words(v.AMR),
		millis(v.AuthTime), millis(v.Created), millis(v.Expires))
}

// RenewSession gives a session a new cookie. Conflict: unknown or expired.
type RenewSession struct{ Old, New Hash }

var renewSession = writes(`UPDATE sessions SET hash = $2 WHERE hash = $1 AND expires > $3`)

func (w RenewSession) apply(ctx context.Context, t *transaction) error {
	return t.must(ctx, renewSession, w.Old[:], w.New[:], t.now)
}

// EndSession removes a session; an unknown one is no conflict.
type EndSession struct{ Hash Hash }

var deleteSession = writes(`DELETE FROM sessions WHERE hash = $1`)

func (w EndSession) apply(ctx context.Context, t *transaction) error {
	return t.may(ctx, deleteSession, w.Hash[:])
}

var selectSession = reads(`
SELECT hash, account, source, amr, auth_time, created, expires FROM sessions WHERE hash = $1`)

// Session finds a browser session by its cookie, an expired one too.
func (s *Store) Session(ctx context.Context, hash Hash) (Session, error) {
	return one(ctx, s, "session", selectSession, func(row scanner) (Session, error) {
		var v Session
		var h []byte
		var amr string
		var authTime, created, expires int64
		err := row.Scan(&h, &v.Account, &v.Source, &amr, &authTime, &created, &expires)
		copy(v.Hash[:], h)
		v.AMR = list(amr)
		v.AuthTime, v.Created, v.Expires = moment(authTime), moment(created), moment(expires)
		return v, err
	}, hash[:])
}
