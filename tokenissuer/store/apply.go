package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
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
	stmts   []*sql.Stmt // of a single writer
	many    *many       // or what many have
	taken   func(error) bool
	at      time.Time
	now     int64 // at, as the database counts
	revoked []Revocation
	known   []Revocation    // was revoked before, by another process; ours may not have heard
	ended   []ending        // see TellEnded
	told    map[ending]bool // what was ended before, and told
	seen    map[ending]bool // what is in ended
	keys    bool            // one was written
}

// exec runs w and returns how many rows it touched.
func (t *transaction) exec(ctx context.Context, w write, args ...any) (int64, error) {
	result, err := t.run(ctx, w, args...)
	switch {
	case err == nil:
		return result.RowsAffected()
	case t.taken(err):
		return 0, fmt.Errorf("%w: %w", ErrConflict, err)
	}
	return 0, err
}

// run, query and queryRow leave the preparing to the driver where connections are
// many: it knows what each has prepared.
func (t *transaction) run(ctx context.Context, w write, args ...any) (sql.Result, error) {
	if t.many != nil {
		return t.tx.ExecContext(ctx, t.many.writes[w], args...)
	}
	return t.tx.StmtContext(ctx, t.stmts[w]).ExecContext(ctx, args...)
}

func (t *transaction) query(ctx context.Context, w write, args ...any) (*sql.Rows, error) {
	if t.many != nil {
		return t.tx.QueryContext(ctx, t.many.writes[w], args...)
	}
	return t.tx.StmtContext(ctx, t.stmts[w]).QueryContext(ctx, args...)
}

func (t *transaction) queryRow(ctx context.Context, w write, args ...any) *sql.Row {
	if t.many != nil {
		return t.tx.QueryRowContext(ctx, t.many.writes[w], args...)
	}
	return t.tx.StmtContext(ctx, t.stmts[w]).QueryRowContext(ctx, args...)
}

// hold takes a row against other writers, if it is there.
func (t *transaction) hold(ctx context.Context, h hold, args ...any) error {
	if t.many == nil {
		return nil
	}
	_, err := t.tx.ExecContext(ctx, string(h), args...)
	return err
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

// Apply makes all writes in their order, as one transaction, or none of them; what
// of them would be too much for one ends before it, after a look whether the rest
// would be refused, see lighten. When it returns nil they are durable and every
// follower knows of them. now is the time of all its conditions. The error is
// ErrConflict or ErrUnavailable, and says which write failed. A ctx that ends is
// heard until the turn of this Apply has come.
func (s *Store) Apply(ctx context.Context, now time.Time, writes ...Write) error {
	if len(writes) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return failure("applying", err)
	}
	told, err := s.lighten(ctx, now, writes)
	if err != nil {
		return err
	}
	return s.apply(ctx, &application{now: now, writes: writes, told: told, err: errAborted})
}

// apply makes one transaction of an application, alone or with others'.
func (s *Store) apply(ctx context.Context, a *application) error {
	if s.many != nil {
		return s.alongside(ctx, a)
	}
	if err := s.write.prepare(ctx); err != nil {
		return failure("preparing", err)
	}
	lead, err := s.write.queue.enter(ctx, a)
	if err != nil {
		return failure("waiting for the writer", err)
	}
	if lead {
		s.lead(context.WithoutCancel(ctx), a)
	}
	return a.err
}

// errAborted is the answer of an Apply whose leader panicked.
var errAborted = fmt.Errorf("%w: aborted", ErrUnavailable)

// lead commits a with what waits. The server above survives a panic in one of
// its requests, so the next leader and the others' answers are deferred.
func (s *Store) lead(ctx context.Context, a *application) {
	// On one busy core nobody runs while the leader commits. Whoever is ready to
	// ask now goes first, so that all of them share this commit.
	runtime.Gosched()
	batch := s.write.queue.batch(a)
	defer s.write.queue.leave()
	defer func() {
		for _, other := range batch[1:] {
			other.turn <- false
		}
	}()
	s.commit(ctx, batch...)
}

var (
	beginOne = writes(`SAVEPOINT one`)
	undoOne  = writes(`ROLLBACK TO one`)
	endOne   = writes(`RELEASE one`)
)

// commit makes one transaction of all applications. They come after one another
// as if each had its own: one that conflicts is undone alone, and what fails
// otherwise is tried again without the rest.
func (s *Store) commit(ctx context.Context, batch ...*application) {
	retry, err := s.transact(ctx, batch)
	if retry && len(batch) > 1 {
		for _, a := range batch {
			s.commit(ctx, a)
		}
		return
	}
	for _, a := range batch {
		switch {
		case err != nil:
			a.err = err // conflicts too: what they lost against may not have happened
		case a.conflict != nil:
			a.err = a.conflict
		default:
			s.tell(a.now, a.revoked)
			a.err = nil
		}
	}
}

// transact also says, with an error, whether one application alone caused it.
func (s *Store) transact(ctx context.Context, batch []*application) (retry bool, err error) {
	conn, err := s.write.db.Conn(ctx)
	if err != nil {
		return false, failure("waiting for the writer", err)
	}
	defer func() { _ = conn.Close() }()
	// From here it takes a millisecond. To watch ctx would cost a goroutine for
	// each statement, to throw work away that is nearly done.
	ctx = context.WithoutCancel(ctx)
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return false, failure("beginning", err)
	}
	defer func() { _ = tx.Rollback() }() // unless it was committed
	good := 0
	for _, a := range batch {
		t := &transaction{tx: tx, stmts: s.write.stmts, taken: s.taken, at: a.now, now: millis(a.now), told: a.told}
		if len(batch) == 1 {
			err = t.all(ctx, a.writes)
		} else {
			err = t.amongOthers(ctx, a.writes)
		}
		a.revoked, a.ended, a.conflict = t.revoked, t.ended, nil
		switch {
		case err == nil:
			good++
		case errors.Is(err, ErrConflict):
			a.conflict = err
		default:
			return true, failure("applying", err)
		}
	}
	if good == 0 {
		return false, nil
	}
	if err := tx.Commit(); err != nil {
		return false, failure("committing", err)
	}
	return false, nil
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
	if refused != nil && !errors.Is(refused, ErrConflict) {
		return refused // an outage undoes everything
	}
	if refused != nil {
		if err := t.may(ctx, undoOne); err != nil {
			return fmt.Errorf("undoing: %w", err)
		}
	}
	if err := t.may(ctx, endOne); err != nil {
		return err
	}
	return refused
}
