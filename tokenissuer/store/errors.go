package store

import (
	"database/sql"
	"errors"
	"fmt"
)

// What a store answers besides a record. Callers ask with errors.Is.
var (
	// ErrNotFound: no such record.
	ErrNotFound = errors.New("not found")

	// ErrConflict: a condition of an Apply did not hold, so nothing of it
	// happened. Someone else was first, or what it builds on is gone. An end of
	// very much that somebody else overtook may have happened in part.
	ErrConflict = errors.New("conflict")

	// ErrUnavailable: the database did not answer, or could not write. It wraps
	// the cause; the same call may succeed later.
	ErrUnavailable = errors.New("store unavailable")

	// ErrHeld: somebody else has what a Fill needs for itself. It wraps the cause; when
	// they have ended it may succeed.
	ErrHeld = errors.New("is held by another import, a server that is starting or an open transaction: let that end, and try again")

	// ErrNewer: the database was written by a newer version of the program.
	ErrNewer = errors.New("store is of a newer version")
)

// failure is err as the caller sees it. What the database says
// and this package does not expect is ErrUnavailable: to retry is right, and to
// take it for "not found" would turn an outage into a wrong answer.
func failure(doing string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return fmt.Errorf("%w: %s: %w", ErrUnavailable, doing, err)
}
