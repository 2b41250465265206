package store

import (
	"context"
	"database/sql"
	"time"
)

// sweepStep is how many rows one transaction of a Sweep removes: the writer is
// away for some milliseconds only, and a token request slips in between.
const sweepStep = 500

// broom removes up to $2 rows that were of no use after $1.
type broom struct {
	sweep write
	then  []write       // what follows it
	keep  time.Duration // how long past its expiry a row is of use
}

// keepFamilies is longer than access tokens live by default: a sign-in stays while one
// of them does, and those that stay are passed by with every step.
const keepFamilies = 10 * time.Minute

// overFamilies are the first sign-ins that are over, to the last of their tokens.
const overFamilies = `SELECT f.n FROM families f WHERE f.expires <= $1
	AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.family = f.n)`

// Expires + 0 is in no index: the few codes that wait are looked through, not the many
// that began a sign-in. What may live on, such as a quota whose next window begins
// beside the sweep, is asked twice: a row that was waited for is not selected again.
var brooms = []broom{
	{sweep: writes(`DELETE FROM tokens WHERE id IN (
	SELECT id FROM tokens WHERE expires <= $1 ORDER BY expires LIMIT $2)`)},
	// Those families go at once whose refresh tokens have gone: left for later, they would
	// be looked through again for each of the next ones.
	{
		keep: keepFamilies, sweep: writes(`DELETE FROM refresh_tokens WHERE family IN (
	` + overFamilies + ` ORDER BY f.expires LIMIT $2)`),
		then: []write{writes(`DELETE FROM families WHERE n IN (
	` + overFamilies + ` AND NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.family = f.n) ORDER BY f.expires LIMIT $2)`)},
	},
	{sweep: writes(`DELETE FROM revoked_tokens WHERE n IN (
	SELECT n FROM revoked_tokens WHERE expires <= $1 ORDER BY expires LIMIT $2)`)},
	{sweep: writes(`DELETE FROM revoked_clients WHERE expires + 0 <= $1 AND n IN (
	SELECT n FROM revoked_clients WHERE expires <= $1 LIMIT $2)`)},
	{sweep: writes(`DELETE FROM codes WHERE family = '' AND n IN (
	SELECT n FROM codes WHERE family = '' AND expires + 0 <= $1 LIMIT $2)`)},
	{keep: keepSpentCodes, sweep: writes(`DELETE FROM codes WHERE n IN (
	SELECT n FROM codes WHERE expires <= $1 ORDER BY expires LIMIT $2)`)},
	{sweep: writes(`DELETE FROM sessions WHERE expires + 0 <= $1 AND n IN (
	SELECT n FROM sessions WHERE expires <= $1 ORDER BY expires LIMIT $2)`)},
	{sweep: writes(`DELETE FROM one_time_codes WHERE n IN (
	SELECT n FROM one_time_codes WHERE expires <= $1 ORDER BY expires LIMIT $2)`)},
	{sweep: writes(`DELETE FROM quotas WHERE ends + 0 <= $1 AND n IN (
	SELECT n FROM quotas WHERE ends <= $1 ORDER BY ends LIMIT $2)`)},
	{sweep: writes(`DELETE FROM opaque_tokens WHERE n IN (
	SELECT n FROM opaque_tokens WHERE expires <= $1 ORDER BY expires LIMIT $2)`)},
	{sweep: writes(`DELETE FROM deliveries WHERE n IN (
	SELECT n FROM deliveries WHERE expires <= $1 ORDER BY expires LIMIT $2)`)},
	{keep: keepSilent, sweep: writes(`DELETE FROM silent_clients WHERE until + 0 <= $1 AND n IN (
	SELECT n FROM silent_clients WHERE until <= $1 ORDER BY until LIMIT $2)`)},
	{sweep: writes(`DELETE FROM attempts WHERE expires + 0 <= $1 AND n IN (
	SELECT n FROM attempts WHERE expires <= $1 ORDER BY expires LIMIT $2)`)},
	{keep: keepAddresses, sweep: writes(`DELETE FROM known_addresses WHERE seen + 0 <= $1 AND n IN (
	SELECT n FROM known_addresses WHERE seen <= $1 ORDER BY seen LIMIT $2)`)},
	{keep: keepEvents, sweep: writes(`DELETE FROM events WHERE n IN (
	SELECT n FROM events WHERE at <= $1 ORDER BY at LIMIT $2)`)},
}

// Sweep removes rows that nothing can ask for any more, about most of them, in
// small transactions. It returns how many it removed; fewer than most means
// that nothing is left, or that another process is at it.
func (s *Store) Sweep(ctx context.Context, now time.Time, most int) (removed int, err error) {
	if s.many == nil {
		if err := s.write.prepare(ctx); err != nil {
			return 0, failure("preparing", err)
		}
	}
	for removed < most {
		n, step := 0, min(sweepStep, most-removed)
		if s.many != nil {
			n, err = s.sweepMany(ctx, now, step)
		} else {
			n, err = sweep(s.removeAlone(ctx), now, step)
		}
		removed += n
		if err != nil {
			return removed, failure("sweeping", err)
		}
		if n < step {
			break
		}
	}
	return removed, nil
}

// remove runs a statement that deletes up to some rows which were of no use after a
// time.
type remove func(w write, after int64, most int) (removed int, err error)

func (s *Store) removeAlone(ctx context.Context) remove {
	return func(w write, after int64, most int) (int, error) {
		return affected(s.write.stmts[w].ExecContext(ctx, after, most))
	}
}

func affected(result sql.Result, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// sweep takes about most rows, with the first brooms that find some.
func sweep(remove remove, now time.Time, most int) (removed int, err error) {
	for _, b := range brooms {
		if removed >= most {
			break
		}
		step := most - removed
		for _, w := range append([]write{b.sweep}, b.then...) {
			n, err := remove(w, millis(now.Add(-b.keep)), step)
			removed += n
			if err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}
