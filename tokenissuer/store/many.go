package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

// Verdict is what an error of a database means for what was asked of it.
type Verdict int

// The verdicts. Of Undone nothing happened, for the sake of another transaction, and
// once more it may succeed. With Lost the connection or the server went away: what
// was being committed may be there or not, of anything else nothing happened.
const (
	Failed Verdict = iota // and it would again
	Taken                 // a unique value exists
	Unfit                 // a value that no record can have, such as a text with a zero byte
	Undone
	Lost
	Held // somebody else has what it waited for, and did not let go in time
)

// Listen calls wake when it listens, and then whenever another process may have changed
// something, until ctx or the connection ends.
type Listen func(ctx context.Context, wake func()) error

// Pools are the connections of a store whose writers are many.
type Pools struct {
	Requests  *sql.DB // they write beside each other, and beside those of other processes
	Following *sql.DB // to hear of what those did; few
	Copying   *sql.DB // for who reads everything, however long it takes; one, and closed when it was read
}

// NewMany makes a store of such pools. What else is held for it is closed after them.
func NewMany(p Pools, judge func(error) Verdict, listen Listen, held ...io.Closer) *Store {
	return &Store{
		write: writer{db: p.Requests},
		read:  reader{db: p.Requests},
		taken: func(err error) bool { return judge(err) == Taken },
		held:  append([]io.Closer{p.Following, p.Copying}, held...),
		many: &many{
			judgeOther: judge, following: p.Following, copying: p.Copying, listen: listen, waker: waker{db: p.Following},
			writes: saidAloud(writeTexts), reads: saidAloud(readTexts),
		},
	}
}

// many is what a store needs whose writers are many.
type many struct {
	judgeOther    func(error) Verdict
	following     *sql.DB
	copying       *sql.DB
	listen        Listen
	waker         waker
	writes, reads []string
}

// errCopy is of a server that follows another one, and may be behind it by any time.
var errCopy = errors.New("the server is a standby")

func (m *many) judge(err error) Verdict {
	if errors.Is(err, errCopy) {
		return Lost // the one that it follows is somewhere else
	}
	return m.judgeOther(err)
}

// hold is a statement that takes a row against other writers until the
// transaction ends. A single writer has nobody to hold it against.
//
// Rows are taken in one order, or writers would wait for each other: the account,
// its sessions, its codes and consents, its families, their tokens. What cannot
// keep to it costs somebody a second: then the database finds them waiting, and
// undoes one.
type hold string

// The texts are the same for every database. What only writers beside each other
// have to say, which rows they hold, stands between /*[ and ]*/: a comment for a
// single writer.
var aloud = strings.NewReplacer("/*[", "", "]*/", "")

func saidAloud(texts []string) []string {
	said := make([]string, len(texts))
	for i, text := range texts {
		said[i] = aloud.Replace(text)
	}
	return said
}

const (
	// tries is how often something is asked whose transaction was undone. Each time
	// somebody else's went through.
	tries = 20

	// patience is how long a request waits for a server that is away. A longer
	// outage is the caller's to know of.
	patience = 2 * time.Second

	// transactionMost is how long a transaction or look-up may take, its network
	// included: whoever is cut off must learn it. A server ends its own part earlier.
	transactionMost = 10 * time.Second
)

// again does what may be done twice until it has happened or nothing helps. sure
// says that nothing of it happened.
func (m *many) again(ctx context.Context, do func() (sure bool, err error)) error {
	began := time.Now()
	for try, undone := 0, 0; ; try++ {
		sure, err := do()
		if err == nil || ctx.Err() != nil {
			return err
		}
		switch verdict := m.judge(err); {
		case verdict == Undone:
			if undone++; undone == tries {
				return fmt.Errorf("in the way of others %d times: %w", tries, err)
			}
		case verdict == Lost && sure && time.Since(began) < patience:
		default:
			return err
		}
		// The exponent is bounded, and the rest chance: those that were in each other's
		// way should not meet again.
		most := time.Millisecond << min(try+1, 8)
		wait := time.NewTimer(rand.N(most)) //nolint:gosec // chance, not a secret
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return err
		}
	}
}

// connect takes a connection of the pool, or makes one. Both can hang where the
// network does.
func connect(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, transactionMost)
	defer cancel()
	return db.Conn(ctx)
}

// part takes leave of a connection. Where the server went away, or became another's
// copy that cannot write, nobody else should get it.
func (m *many) part(conn *sql.Conn, err error) {
	if err != nil && m.judge(err) == Lost {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	_ = conn.Close()
}

// alongside makes one application's transaction beside others.
func (s *Store) alongside(ctx context.Context, a *application) error {
	err := s.many.again(ctx, func() (bool, error) { return s.attempt(ctx, a) })
	switch {
	case err == nil:
		s.tell(a.now, a.revoked)
		return nil
	case errors.Is(err, ErrConflict):
		return err
	case s.many.judge(err) == Unfit:
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	return failure("applying", err)
}

// attempt makes the transaction once. It is sure that nothing happened unless the
// commit got no answer.
func (s *Store) attempt(ctx context.Context, a *application) (sure bool, err error) {
	conn, err := connect(ctx, s.write.db)
	if err != nil {
		return true, err
	}
	defer func() { s.many.part(conn, err) }()
	// A ctx that ends in the middle would cost the connection, and strangers end
	// theirs as they please.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactionMost)
	defer cancel()
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return true, err
	}
	defer func() { _ = tx.Rollback() }() // unless it was committed
	t := &transaction{tx: tx, many: s.many, taken: s.taken, at: a.now, now: millis(a.now), told: a.told}
	if err := t.all(ctx, a.writes); err != nil {
		return true, err
	}
	if err := t.announce(ctx); err != nil {
		return true, err
	}
	a.revoked, a.ended = append(t.revoked, t.known...), t.ended
	err = tx.Commit()
	if err == nil && t.announced() {
		s.many.waker.wake()
	}
	return false, err
}

// ask runs a look-up and hands over its rows. It is asked again where it may be;
// use has to begin anew then.
func (s *Store) ask(ctx context.Context, q read, args []any, use func(*sql.Rows) error) error {
	err := s.many.again(ctx, func() (bool, error) { return true, s.askOnce(ctx, q, args, use) })
	if err != nil && s.many.judge(err) == Unfit {
		return sql.ErrNoRows
	}
	return err
}

func (s *Store) askOnce(ctx context.Context, q read, args []any, use func(*sql.Rows) error) (err error) {
	db := s.read.db
	if apart[q] {
		db = s.many.following
	}
	conn, err := connect(ctx, db)
	if err != nil {
		return err
	}
	defer func() { s.many.part(conn, err) }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactionMost) // as in attempt
	defer cancel()
	rows, err := conn.QueryContext(ctx, s.many.reads[q], args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	if err := use(rows); err != nil {
		return err
	}
	return rows.Err()
}

// Of many processes one sweeps at a time: the others would wait for the same rows, or
// do it all again. Who has this row has the turn; nobody waits for it, and it is given
// back with the transaction, whatever becomes of its process. It is the first of the
// migrations' rows, which nobody else takes.
const takeTurn = `SELECT version_id FROM schema_versions WHERE version_id = 0 FOR UPDATE SKIP LOCKED`

// sweepMany is one transaction of a Sweep. To remove twice is to remove.
func (s *Store) sweepMany(ctx context.Context, sweep func(context.Context, *sql.Tx) (int, error)) (done int, err error) {
	err = s.many.again(ctx, func() (sure bool, err error) {
		ctx, cancel := context.WithTimeout(ctx, transactionMost)
		defer cancel()
		done = 0
		tx, err := s.write.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		if err != nil {
			return true, err
		}
		defer func() { _ = tx.Rollback() }() // unless it was committed
		var turn int64
		if err := tx.QueryRowContext(ctx, takeTurn).Scan(&turn); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				err = errTurn
			}
			return true, err
		}
		n, err := sweep(ctx, tx)
		if err != nil {
			return true, err
		}
		if err := tx.Commit(); err != nil {
			return true, err
		}
		done = n
		return true, nil
	})
	return done, err
}
