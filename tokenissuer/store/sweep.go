package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// sweepStep is how many rows one transaction of a Sweep removes: the writer is
// away for some milliseconds only, and a token request slips in between.
const sweepStep = 500

// broom removes up to $2 rows that were of no use after $1.
type broom struct {
	of    string
	keep  time.Duration // how long past its expiry a row is of use
	sweep []write       // one after the other
}

// keepFamilies is longer than access tokens live by default: a sign-in stays while one
// of them does, and one that has none then goes at the first look.
const keepFamilies = 10 * time.Minute

// overFamilies are the first sign-ins that are over. Each look takes them out: with a
// token that lives a sign-in is put off to the token's end, and else it goes. Nothing
// is minted for it any more, so nobody comes by it a third time.
const (
	overFamilies = `SELECT n FROM families WHERE expires + lingers <= $1 ORDER BY expires + lingers LIMIT $2`

	// A subquery of one row is asked for each row; EXISTS might be for the whole table.
	tokenOf = `(SELECT t.family FROM tokens t WHERE t.family = `
)

// A token that is over is still there where the broom before this failed: the sign-in
// waits for it as long again.
var lingerFamilies = fmt.Sprintf(`
UPDATE families SET lingers = (
	SELECT CASE WHEN MAX(t.expires) - %[1]d > $1 THEN MAX(t.expires) - %[1]d ELSE $1 + %[1]d END
	FROM tokens t WHERE t.family = families.n) - expires
WHERE n IN (`+overFamilies+`) AND `+tokenOf+`families.n LIMIT 1) IS NOT NULL`, keepFamilies.Milliseconds())

// Expires + 0 is in no index: the few codes that wait are looked through, not the many
// that began a sign-in. What may live on, such as a quota whose next window begins
// beside the sweep, is asked twice: a row that was waited for is not selected again.
var brooms = []broom{
	{of: "tokens", sweep: []write{writes(`DELETE FROM tokens WHERE id IN (
	SELECT id FROM tokens WHERE expires <= $1 ORDER BY expires LIMIT $2)`)}},
	// Those families go at once whose refresh tokens have gone: left for later, they would
	// be looked through again for each of the next ones.
	{of: "families", keep: keepFamilies, sweep: []write{
		writes(lingerFamilies),
		writes(`DELETE FROM refresh_tokens WHERE family IN (` + overFamilies + `) AND ` + tokenOf + `refresh_tokens.family LIMIT 1) IS NULL`),
		writes(`DELETE FROM families WHERE n IN (` + overFamilies + `) AND ` + tokenOf + `families.n LIMIT 1) IS NULL
	AND (SELECT r.family FROM refresh_tokens r WHERE r.family = families.n LIMIT 1) IS NULL`),
	}},
	{of: "revoked_tokens", sweep: []write{writes(`DELETE FROM revoked_tokens WHERE n IN (
	SELECT n FROM revoked_tokens WHERE expires <= $1 ORDER BY expires LIMIT $2)`)}},
	{of: "revoked_clients", sweep: []write{writes(`DELETE FROM revoked_clients WHERE expires + 0 <= $1 AND n IN (
	SELECT n FROM revoked_clients WHERE expires <= $1 LIMIT $2)`)}},
	{of: "codes", sweep: []write{writes(`DELETE FROM codes WHERE family = '' AND n IN (
	SELECT n FROM codes WHERE family = '' AND expires + 0 <= $1 LIMIT $2)`)}},
	{of: "codes", keep: keepSpentCodes, sweep: []write{writes(`DELETE FROM codes WHERE n IN (
	SELECT n FROM codes WHERE expires <= $1 ORDER BY expires LIMIT $2)`)}},
	{of: "sessions", sweep: []write{writes(`DELETE FROM sessions WHERE expires + 0 <= $1 AND n IN (
	SELECT n FROM sessions WHERE expires <= $1 ORDER BY expires LIMIT $2)`)}},
	{of: "one_time_codes", sweep: []write{writes(`DELETE FROM one_time_codes WHERE n IN (
	SELECT n FROM one_time_codes WHERE expires <= $1 ORDER BY expires LIMIT $2)`)}},
	{of: "quotas", sweep: []write{writes(`DELETE FROM quotas WHERE ends + 0 <= $1 AND n IN (
	SELECT n FROM quotas WHERE ends <= $1 ORDER BY ends LIMIT $2)`)}},
	{of: "opaque_tokens", sweep: []write{writes(`DELETE FROM opaque_tokens WHERE n IN (
	SELECT n FROM opaque_tokens WHERE expires <= $1 ORDER BY expires LIMIT $2)`)}},
	{of: "deliveries", sweep: []write{writes(`DELETE FROM deliveries WHERE n IN (
	SELECT n FROM deliveries WHERE expires <= $1 ORDER BY expires LIMIT $2)`)}},
	{of: "silent_clients", keep: keepSilent, sweep: []write{writes(`DELETE FROM silent_clients WHERE until + 0 <= $1 AND n IN (
	SELECT n FROM silent_clients WHERE until <= $1 ORDER BY until LIMIT $2)`)}},
	{of: "attempts", sweep: []write{writes(`DELETE FROM attempts WHERE expires + 0 <= $1 AND n IN (
	SELECT n FROM attempts WHERE expires <= $1 ORDER BY expires LIMIT $2)`)}},
	{of: "known_addresses", keep: keepAddresses, sweep: []write{writes(`DELETE FROM known_addresses WHERE seen + 0 <= $1 AND n IN (
	SELECT n FROM known_addresses WHERE seen <= $1 ORDER BY seen LIMIT $2)`)}},
	{of: "events", keep: keepEvents, sweep: []write{writes(`DELETE FROM events WHERE n IN (
	SELECT n FROM events WHERE at <= $1 ORDER BY at LIMIT $2)`)}},
}

// Sweep removes rows that nothing can ask for any more, about most of them, in small
// transactions. What fails is left for the next time, and the rest is swept: the error
// names it. It returns how many rows it removed, or found to be of use for longer;
// fewer than most means that nothing is left, or that another process is at it.
func (s *Store) Sweep(ctx context.Context, now time.Time, most int) (done int, err error) {
	if s.many == nil {
		if err := s.write.prepare(ctx); err != nil {
			return 0, failure("preparing", err)
		}
	}
	for _, c := range s.chores(ctx, now) {
		n, failed := c.toTheEnd(most - done)
		done += n
		switch {
		case errors.Is(failed, errTurn):
			return done, err
		case failed == nil:
			continue
		}
		err = errors.Join(err, failure("sweeping "+c.of, failed))
		if ctx.Err() != nil || s.many != nil && s.many.judge(failed) == Lost {
			break // the others would fail as well, each after its time
		}
	}
	return done, err
}

// errTurn is of another process that sweeps.
var errTurn = errors.New("another process sweeps")

// chore is a part of a Sweep, which fails alone.
type chore struct {
	of   string
	step func(most int) (done int, err error) // in a transaction
}

// toTheEnd takes steps until there is nothing left to do.
func (c chore) toTheEnd(most int) (done int, err error) {
	for done < most {
		step := min(sweepStep, most-done)
		n, err := c.step(step)
		done += n
		if err != nil || n < step {
			return done, err
		}
	}
	return done, nil
}

// chores are the brooms, and what else those sweep who are many.
func (s *Store) chores(ctx context.Context, now time.Time) (all []chore) {
	for _, b := range brooms {
		all = append(all, chore{b.of, func(most int) (int, error) {
			if s.many == nil {
				return b.step(s.removeAlone(ctx), now, most)
			}
			return s.sweepMany(ctx, func(ctx context.Context, tx *sql.Tx) (int, error) {
				return b.step(s.many.removeIn(ctx, tx), now, most)
			})
		}})
	}
	if s.many != nil {
		all = append(all, chore{"changes", func(most int) (int, error) {
			return s.sweepMany(ctx, func(ctx context.Context, tx *sql.Tx) (int, error) {
				return affected(tx.ExecContext(ctx, dropChanges, dropping(most)...))
			})
		}})
	}
	return all
}

// remove runs a statement about up to some rows which were of no use after a time.
type remove func(w write, after int64, most int) (done int, err error)

func (s *Store) removeAlone(ctx context.Context) remove {
	return func(w write, after int64, most int) (int, error) {
		return affected(s.write.stmts[w].ExecContext(ctx, after, most))
	}
}

func (m *many) removeIn(ctx context.Context, tx *sql.Tx) remove {
	return func(w write, after int64, most int) (int, error) {
		return affected(tx.ExecContext(ctx, m.writes[w], after, most))
	}
}

func affected(result sql.Result, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

func (b broom) step(remove remove, now time.Time, most int) (done int, err error) {
	for _, w := range b.sweep {
		n, err := remove(w, millis(now.Add(-b.keep)), most)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}
