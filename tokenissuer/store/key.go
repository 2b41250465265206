package store

import (
	"context"
	"time"
)

// PutKey stores a key. Conflict: the id exists.
type PutKey struct{ Key Key }

var insertKey = writes(`
INSERT INTO keys (id, usage, algorithm, material, sealed, created, sign_from, retired, expires)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`)

func (w PutKey) apply(ctx context.Context, t *transaction) error {
	k := &w.Key
	t.keys = true
	return t.must(ctx, insertKey, k.ID, k.Use, k.Algorithm, k.Material, flag(k.Sealed),
		millis(k.Created), millis(k.SignFrom), millis(k.Retired), millis(k.Expires))
}

// PutNextKey stores a signing key by somebody who knew all that came before it. Of
// nodes that find at the same moment that one is due, one has its way. Conflict: the
// newest is not Newest any more; "" is none.
type PutNextKey struct {
	Key    Key
	Newest string
}

// Keys may be none, and a row that is always there is one to meet at.
const holdKeys hold = `SELECT floor FROM schema_floor FOR UPDATE`

var newestKey = writes(`SELECT COALESCE((SELECT id FROM keys WHERE usage = $1 ORDER BY n DESC LIMIT 1), '')`)

func (w PutNextKey) apply(ctx context.Context, t *transaction) error {
	if err := t.hold(ctx, holdKeys); err != nil {
		return err
	}
	var newest string
	if err := t.queryRow(ctx, newestKey, w.Key.Use).Scan(&newest); err != nil {
		return err
	}
	if newest != w.Newest {
		return ErrConflict
	}
	return PutKey{Key: w.Key}.apply(ctx, t)
}

// SealKey replaces a key's plain material by its sealed form. Conflict: unknown,
// or sealed before.
type SealKey struct {
	ID       string
	Material []byte
}

var sealKey = writes(`UPDATE keys SET material = $2, sealed = 1 WHERE id = $1 AND sealed = 0`)

func (w SealKey) apply(ctx context.Context, t *transaction) error {
	t.keys = true
	return t.must(ctx, sealKey, w.ID, w.Material)
}

// RetireKey ends a key's signing. Conflict: unknown, or retired before.
type RetireKey struct {
	ID      string
	Expires time.Time
}

var retireKey = writes(`UPDATE keys SET retired = $2, expires = $3 WHERE id = $1 AND retired = 0`)

func (w RetireKey) apply(ctx context.Context, t *transaction) error {
	t.keys = true
	return t.must(ctx, retireKey, w.ID, t.now, millis(w.Expires))
}

// RemoveKey deletes a key whose last token has expired. Conflict: unknown, or
// not expired.
type RemoveKey struct{ ID string }

var deleteKey = writes(`DELETE FROM keys WHERE id = $1 AND expires > 0 AND expires <= $2`)

func (w RemoveKey) apply(ctx context.Context, t *transaction) error {
	t.keys = true
	return t.must(ctx, deleteKey, w.ID, t.now)
}

func scanKey(row scanner) (Key, error) {
	var k Key
	var sealed, created, from, retired, expires int64
	err := row.Scan(&k.ID, &k.Use, &k.Algorithm, &k.Material, &sealed, &created, &from, &retired, &expires)
	k.Sealed, k.Created, k.SignFrom = sealed != 0, moment(created), moment(from)
	k.Retired, k.Expires = moment(retired), moment(expires)
	return k, err
}

// By the connections of requests: who reads them may wait for the table, and the looks that
// bring revocations must not wait behind him.
var selectKeys = reads(`
SELECT id, usage, algorithm, material, sealed, created, sign_from, retired, expires FROM keys ORDER BY n`)

// Keys lists every key, in the order they were stored.
func (s *Store) Keys(ctx context.Context) ([]Key, error) {
	return all(ctx, s, "keys", selectKeys, scanKey)
}
