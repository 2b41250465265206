package store

import (
	"context"
	"errors"
	"time"
)

// TakeQuota counts one use under a key. A window begins with the first use and
// admits Most. Conflict: they are used up; nothing is counted then, nor
// anything else of the Apply.
type TakeQuota struct {
	Key    Hash
	Most   int
	Window time.Duration
}

var takeQuota = writes(`
INSERT INTO quotas (hash, taken, ends) SELECT $1, 1, $4 WHERE $3 > 0
ON CONFLICT (hash) DO UPDATE SET
	taken = CASE WHEN quotas.ends <= $2 THEN 1 ELSE quotas.taken + 1 END,
	ends = CASE WHEN quotas.ends <= $2 THEN excluded.ends ELSE quotas.ends END
WHERE quotas.ends <= $2 OR quotas.taken < $3`)

func (w TakeQuota) apply(ctx context.Context, t *transaction) error {
	return t.must(ctx, takeQuota, w.Key[:], t.now, w.Most, millis(t.at.Add(w.Window)))
}

// ReturnQuota gives one use back, for what came to nothing. A window in which
// nothing is left taken is over, so that the next use begins one. Never a
// conflict.
type ReturnQuota struct{ Key Hash }

var (
	returnQuota = writes(`UPDATE quotas SET taken = taken - 1 WHERE hash = $1`)
	returnLast  = writes(`DELETE FROM quotas WHERE hash = $1 AND taken <= 0`)
)

func (w ReturnQuota) apply(ctx context.Context, t *transaction) error {
	if err := t.may(ctx, returnQuota, w.Key[:]); err != nil {
		return err
	}
	return t.may(ctx, returnLast, w.Key[:])
}

// RequireQuota asks that a key is not used up, and counts nothing: a right
// guess after too many wrong ones is refused with them. Conflict: it is.
type RequireQuota struct {
	Key  Hash
	Most int
}

// An update that keeps the value, for the reason that RequireUnspent is one.
var exhausted = writes(`UPDATE quotas SET taken = taken WHERE hash = $1 AND ends > $2 AND taken >= $3`)

func (w RequireQuota) apply(ctx context.Context, t *transaction) error {
	n, err := t.exec(ctx, exhausted, w.Key[:], t.now, w.Most)
	if err == nil && n > 0 {
		err = ErrConflict
	}
	return err
}

var selectQuota = reads(`SELECT taken, ends FROM quotas WHERE hash = $1 AND ends > $2`)

// Quota says what was taken under a key, and when its window ends; nothing,
// where no window runs.
func (s *Store) Quota(ctx context.Context, now time.Time, key Hash) (Quota, error) {
	q, err := one(ctx, s, "quota", selectQuota, func(row scanner) (Quota, error) {
		var q Quota
		var ends int64
		err := row.Scan(&q.Taken, &ends)
		q.Ends = moment(ends)
		return q, err
	}, key[:], millis(now))
	if errors.Is(err, ErrNotFound) {
		return Quota{}, nil
	}
	return q, err
}
