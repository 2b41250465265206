package store

import (
	"context"
	"encoding/binary"
	"time"
)

// PutAttempt counts a failed sign-in under a key; once Failures within Window
// reach Most, the key is locked for Lock; when the lock ends counting starts anew.
// Conflict: it is locked, and this prolongs nothing. The table is of fixed size: a
// full neighbourhood gives up its least entry.
type PutAttempt struct {
	Key    Hash
	Name   Hash // what ClearName finds it by; Key itself for a name's own counter
	Most   int
	Window time.Duration
	Lock   time.Duration
}

// The table is of fixed size so that names nobody has, which count too, cannot
// fill the disk. It is neighbourhoods of a few entries, found by the key, which
// is a keyed hash: whoever floods other names to push a victim's counter out
// cannot aim, and has to fail more often under several names of one
// neighbourhood than was failed under the victim's.
const (
	neighbourhoods = 1 << 14
	neighbours     = 8
)

func neighbourhood(key Hash) int64 {
	return int64(binary.BigEndian.Uint64(key[:8]) % neighbourhoods)
}

var (
	// $3 now, $4 Most, $5 when the window ends that begins now, $6 when a lock
	// ends that begins now. An entry is over when neither window nor lock runs.
	countAttempt = writes(`
INSERT INTO attempts (hash, neighbourhood, failures, since, until, expires, name)
VALUES ($1, $2, 1, $3, CASE WHEN 1 >= $4 THEN CAST($6 AS BIGINT) ELSE 0 END,
	CASE WHEN 1 >= $4 AND CAST($6 AS BIGINT) > CAST($5 AS BIGINT) THEN $6 ELSE $5 END, $7)
ON CONFLICT (hash) DO UPDATE SET
	failures = CASE WHEN attempts.expires <= $3 OR attempts.until > 0 THEN 1 ELSE attempts.failures + 1 END,
	since = CASE WHEN attempts.expires <= $3 OR attempts.until > 0 THEN $3 ELSE attempts.since END,
	until = CASE WHEN attempts.expires <= $3 OR attempts.until > 0 THEN CASE WHEN 1 >= $4 THEN $6 ELSE 0 END
		WHEN attempts.failures + 1 >= $4 THEN $6 ELSE 0 END,
	expires = CASE WHEN attempts.expires <= $3 OR attempts.until > 0 THEN CASE WHEN 1 >= $4 AND $6 > $5 THEN $6 ELSE $5 END
		WHEN attempts.failures + 1 >= $4 AND $6 > attempts.expires THEN $6 ELSE attempts.expires END
WHERE attempts.until <= $3`)

	// The newcomer stays in any case, or a neighbourhood full of old counters
	// would give its other names unlimited tries.
	crowdOut = writes(`
DELETE FROM attempts WHERE n IN (
	SELECT n FROM attempts WHERE neighbourhood = $1 AND hash <> $2
	ORDER BY CASE WHEN expires > $3 THEN 0 ELSE 1 END, CASE WHEN until > $3 THEN 0 ELSE 1 END, failures DESC, n DESC
	LIMIT 1000 OFFSET $4)`)
)

func (w PutAttempt) apply(ctx context.Context, t *transaction) error {
	where := neighbourhood(w.Key)
	err := t.must(ctx, countAttempt, w.Key[:], where, t.now, w.Most, millis(t.at.Add(w.Window)), millis(t.at.Add(w.Lock)), w.Name[:])
	if err != nil {
		return err
	}
	return t.may(ctx, crowdOut, where, w.Key[:], t.now, neighbours-1)
}

// ClearAttempt forgets the failures of a key.
type ClearAttempt struct{ Key Hash }

var clearAttempt = writes(`DELETE FROM attempts WHERE hash = $1`)

func (w ClearAttempt) apply(ctx context.Context, t *transaction) error {
	return t.may(ctx, clearAttempt, w.Key[:])
}

// ClearName forgets every counter of a name, those of single networks too: an
// operator who unlocks an account means all of it.
type ClearName struct{ Name Hash }

var clearName = writes(`DELETE FROM attempts WHERE name = $1`)

func (w ClearName) apply(ctx context.Context, t *transaction) error {
	return t.may(ctx, clearName, w.Name[:])
}

// mostAttempts is how many keys one look-up takes: a name, its address, and
// both together, with one to spare. Unused places repeat the first.
const mostAttempts = 4

var selectAttempts = reads(`
SELECT hash, failures, since, until FROM attempts WHERE hash IN ($1, $2, $3, $4) AND expires > $5`)

// Attempts finds the failures counted under up to four keys, in no order. A
// key without an entry has failed nowhere, or not lately.
func (s *Store) Attempts(ctx context.Context, now time.Time, keys ...Hash) ([]Attempt, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	if len(keys) > mostAttempts {
		panic("store: too many keys in one look-up of attempts")
	}
	args := make([]any, 0, mostAttempts+1)
	for i := range mostAttempts {
		if i < len(keys) {
			args = append(args, keys[i][:])
			continue
		}
		args = append(args, keys[0][:])
	}
	return all(ctx, s, "attempts", selectAttempts, func(row scanner) (Attempt, error) {
		var a Attempt
		var h []byte
		var since, until int64
		err := row.Scan(&h, &a.Failures, &since, &until)
		copy(a.Key[:], h)
		a.Since, a.Until = moment(since), moment(until)
		return a, err
	}, append(args, millis(now))...)
}
