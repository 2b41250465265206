package store

import (
	"context"
	"time"
)

// sweepStep is how many rows one transaction of a Sweep removes: the writer is
// away for some milliseconds only, and a token request slips in between.
const sweepStep = 500

// broom removes up to $2 rows that were of no use after $1.
type broom struct {
	sweep write
	keep  time.Duration // how long past its expiry a row is of use
}

// A family goes last, when nothing points to it any more. CROSS JOIN keeps the
// order: first the few families, then their tokens. Expires + 0 is in no index:
// the few codes that wait are looked through, not the many that began a sign-in.
// What may live on, such as a quota whose next window begins beside the sweep, is
// asked twice: a row that was waited for is not selected again.
var brooms = []broom{
	{sweep: writes(`DELETE FROM tokens WHERE id IN (
	SELECT id FROM tokens WHERE expires <= $1 ORDER BY expires LIMIT $2)`)},
	{sweep: writes(`DELETE FROM refresh_tokens WHERE hash IN (
	SELECT r.hash FROM families f CROSS JOIN refresh_tokens r WHERE r.family = f.n AND f.expires <= $1 LIMIT $2)`)},
	{sweep: writes(`DELETE FROM families WHERE n IN (
	SELECT f.n FROM families f WHERE f.expires <= $1
	AND NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.family = f.n)
	AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.family = f.n) LIMIT $2)`)},
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
	{sweep: writes(`DELETE FROM attempts WHERE expires + 0 <= $1 AND n IN (
	SELECT n FROM attempts WHERE expires <= $1 ORDER BY expires LIMIT $2)`)},
	{keep: keepAddresses, sweep: writes(`DELETE FROM known_addresses WHERE seen + 0 <= $1 AND n IN (
	SELECT n FROM known_addresses WHERE seen <= $1 ORDER BY seen LIMIT $2)`)},
	{keep: keepEvents, sweep: writes(`DELETE FROM events WHERE n IN (
	SELECT n FROM events WHERE at <= $1 ORDER BY at LIMIT $2)`)},
}

// Sweep removes rows that nothing can ask for any more, up to most of them, in
// small transactions. It returns how many it removed; fewer than most means
// that nothing is left.
func (s *Store) Sweep(ctx context.Context, now time.Time, most int) (int, error) {
	if s.many == nil {
		if err := s.write.prepare(ctx); err != nil {
			return 0, failure("preparing", err)
		}
	}
	removed := 0
	for _, b := range brooms {
		for removed < most {
			step := min(sweepStep, most-removed)
			n, err := s.step(ctx, b.sweep, millis(now.Add(-b.keep)), step)
			if err != nil {
				return removed, failure("sweeping", err)
			}
			removed += int(n)
			if int(n) < step {
				break
			}
		}
	}
	if s.many != nil && removed < most {
		n, err := s.sweepChanges(ctx, min(sweepStep, most-removed))
		if err != nil {
			return removed, failure("sweeping", err)
		}
		removed += int(n)
	}
	return removed, nil
}

func (s *Store) step(ctx context.Context, w write, args ...any) (removed int64, err error) {
	if s.many != nil {
		return s.sweepMany(ctx, s.many.writes[w], args...)
	}
	result, err := s.write.stmts[w].ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
