package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Write is one conditional change of an Apply. The set is closed: a new
// operation is a new struct, with its statement beside it.
type Write interface {
	apply(ctx context.Context, t *transaction) error
}

// transaction is what a write sees of the Apply it belongs to.
type transaction struct {
	tx      *sql.Tx
	stmts   []*sql.Stmt
	at      time.Time
	now     int64 // at, as the database counts
	revoked []Revocation
}

// exec runs w and returns how many rows it touched.
func (t *transaction) exec(ctx context.Context, w write, args ...any) (int64, error) {
	result, err := t.tx.StmtContext(ctx, t.stmts[w]).ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// must runs w; no row touched means that its condition did not hold.
func (t *transaction) must(ctx context.Context, w write, args ...any) error {
	n, err := t.exec(ctx, w, args...)
	if err == nil && n == 0 {
		err = ErrConflict
	}
	return err
}

// may runs w; no row touched is fine.
func (t *transaction) may(ctx context.Context, w write, args ...any) error {
	_, err := t.exec(ctx, w, args...)
	return err
}

// Apply makes all writes in their order, as one transaction, or none of them.
// When it returns nil they are durable and every follower knows of them. now is
// the time of all its conditions. The error is ErrConflict or ErrUnavailable,
// and says which write failed.
func (s *Store) Apply(ctx context.Context, now time.Time, writes ...Write) error {
	if len(writes) == 0 {
		return nil
	}
	if err := s.write.prepare(ctx); err != nil {
		return failure("preparing", err)
	}
	conn, err := s.write.db.Conn(ctx)
	if err != nil {
		return failure("waiting for the writer", err)
	}
	defer func() { _ = conn.Close() }()
	// From here it takes a millisecond. To watch ctx would cost a goroutine for
	// each statement, to throw work away that is nearly done.
	ctx = context.WithoutCancel(ctx)
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return failure("beginning", err)
	}
	t := &transaction{tx: tx, stmts: s.write.stmts, at: now, now: millis(now)}
	for _, w := range writes {
		if err := w.apply(ctx, t); err != nil {
			// Some failures have ended the transaction already; either way it is gone.
			_ = tx.Rollback()
			return s.refusal(w, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return failure("committing", err)
	}
	s.tell(now, t.revoked)
	return nil
}

func (s *Store) refusal(w Write, err error) error {
	if errors.Is(err, ErrConflict) || s.taken(err) {
		return fmt.Errorf("%w: %T", ErrConflict, w)
	}
	return failure(fmt.Sprintf("%T", w), err)
}
