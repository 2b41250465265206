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
// and says which write failed. A ctx that ends is heard until the turn of this
// Apply has come.
func (s *Store) Apply(ctx context.Context, now time.Time, writes ...Write) error {
	if len(writes) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return failure("applying", err)
	}
	if err := s.write.prepare(ctx); err != nil {
		return failure("preparing", err)
	}
	a := &application{now: now, writes: writes}
	if !s.write.alone {
		s.commit(ctx, a)
		return a.err
	}
	lead, err := s.write.queue.enter(ctx, a)
	if err != nil {
		return failure("waiting for the writer", err)
	}
	if lead {
		s.commit(context.WithoutCancel(ctx), s.write.queue.batch(a)...)
		s.write.queue.leave()
	}
	return a.err
}

var (
	beginOne = writes(`SAVEPOINT one`)
	undoOne  = writes(`ROLLBACK TO one`)
	endOne   = writes(`RELEASE one`)
)

// commit makes one transaction of all applications and answers each. They come
// after one another as if each had its own: one that conflicts is undone alone,
// and what fails otherwise is tried again without the rest.
func (s *Store) commit(ctx context.Context, batch ...*application) {
	bad, err := s.transact(ctx, batch)
	if bad != nil && len(batch) > 1 {
		for _, a := range batch {
			s.commit(ctx, a)
		}
		return
	}
	for _, a := range batch {
		if err != nil {
			// Conflicts too: what they lost against may not have happened.
			a.err = err
		}
		if a.err == nil {
			s.tell(a.now, a.revoked)
		}
		a.answer()
	}
}

// transact returns the application that made it fail, if it was one.
func (s *Store) transact(ctx context.Context, batch []*application) (bad *application, err error) {
	conn, err := s.write.db.Conn(ctx)
	if err != nil {
		return nil, failure("waiting for the writer", err)
	}
	defer func() { _ = conn.Close() }()
	// From here it takes a millisecond. To watch ctx would cost a goroutine for
	// each statement, to throw work away that is nearly done.
	ctx = context.WithoutCancel(ctx)
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return nil, failure("beginning", err)
	}
	good := 0
	for _, a := range batch {
		t := &transaction{tx: tx, stmts: s.write.stmts, at: a.now, now: millis(a.now)}
		if len(batch) == 1 {
			err = t.all(ctx, a.writes)
		} else {
			err = t.amongOthers(ctx, a.writes)
		}
		a.revoked, a.err = t.revoked, nil
		switch {
		case err == nil:
			good++
		case errors.Is(err, ErrConflict) || s.taken(err):
			a.err = conflict(err)
		default:
			// Some failures have ended the transaction already; either way it is gone.
			_ = tx.Rollback()
			return a, failure("applying", err)
		}
	}
	if good == 0 {
		_ = tx.Rollback()
		return nil, nil
	}
	if err := tx.Commit(); err != nil {
		return nil, failure("committing", err)
	}
	return nil, nil
}

func (t *transaction) all(ctx context.Context, writes []Write) error {
	for _, w := range writes {
		if err := w.apply(ctx, t); err != nil {
			return fmt.Errorf("%T: %w", w, err)
		}
	}
	return nil
}

func (t *transaction) amongOthers(ctx context.Context, writes []Write) error {
	if err := t.may(ctx, beginOne); err != nil {
		return err
	}
	refused := t.all(ctx, writes)
	if refused != nil {
		if err := t.may(ctx, undoOne); err != nil {
			return fmt.Errorf("undoing after %q: %w", refused, err)
		}
	}
	if err := t.may(ctx, endOne); err != nil {
		return err
	}
	return refused
}

// conflict says which write met it, and hides how the database puts it.
func conflict(err error) error {
	if errors.Is(err, ErrConflict) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrConflict, err)
}
