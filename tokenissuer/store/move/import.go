package move

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// ErrNotEmpty is of a store that has records already.
var ErrNotEmpty = errors.New("the store is not empty")

// Import stores all records of an export in a store that has none, or nothing at
// all. Before it keeps them it reads them back and compares. It holds a few rows
// at a time.
//
// opens, unless it is nil, is asked of each key; what it answers is the import's error.
// The export is read to its end all the same: a key that was damaged on the way is not
// one that was sealed with something else.
func Import(ctx context.Context, into *store.Store, from io.Reader, opens func(store.Key) error) (Moved, error) {
	r := newReader(from)
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = t.name
	}
	err := into.Fill(ctx, names, func(tx *sql.Tx) error {
		if err := known(ctx, into, tx); err != nil {
			return err
		}
		if err := vacant(ctx, tx); err != nil {
			return err
		}
		s := &storing{ctx: ctx, tx: tx, reader: r, opens: opens}
		if err := r.each(s.begin, s.row, s.done); err != nil {
			return err
		}
		if s.shut != nil {
			return s.shut
		}
		if into.Counting() {
			if err := count(ctx, tx); err != nil {
				return err
			}
		}
		back, err := export(ctx, tx, io.Discard, nil)
		if err == nil && back.SHA256 != r.moved.SHA256 {
			err = errors.New("what was stored reads back differently from the export")
		}
		return err
	})
	return r.moved, err
}

// vacant says whether no table has a row. Nothing else may be among records that
// belong together: keys, and what was signed or counted with them.
func vacant(ctx context.Context, tx *sql.Tx) error {
	for _, t := range tables {
		if err := t.look(ctx, tx); err != nil {
			return err
		}
		var one int
		switch err := tx.QueryRowContext(ctx, "SELECT 1 FROM "+t.name+" LIMIT 1").Scan(&one); {
		case err == nil:
			return fmt.Errorf("%w: its table %s has rows; import into one that no server was started with", ErrNotEmpty, t.name)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
	}
	return nil
}

// count has the databases' own counters go on behind the rows.
func count(ctx context.Context, tx *sql.Tx) error {
	for _, t := range tables {
		if t.of != "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, t.counting()); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// together is how many rows one statement stores: most of a row's cost is the way
// to the database.
const together = 64

// storing stores rows, many with one statement.
type storing struct {
	ctx    context.Context
	tx     *sql.Tx
	reader *reader

	opens func(store.Key) error
	shut  error // what opens said: nothing is stored any more

	one, many *sql.Stmt // of the table under way
	waiting   []row
	first     int // the line of the first that waits
}

func (s *storing) begin(t *table) (err error) {
	if s.one, err = s.tx.PrepareContext(s.ctx, t.insertion(1)); err != nil {
		return err
	}
	s.many, err = s.tx.PrepareContext(s.ctx, t.insertion(together))
	return err
}

func (s *storing) row(t *table, r row) error {
	if s.shut == nil && s.opens != nil && t.name == keys {
		s.shut = s.opens(t.signing(r))
	}
	if s.shut != nil {
		return nil
	}
	bound, err := t.bind(r)
	if err != nil {
		return err
	}
	if len(s.waiting) == 0 {
		s.first = s.reader.n
	}
	if s.waiting = append(s.waiting, bound); len(s.waiting) < together {
		return nil
	}
	return s.store(t)
}

// store stores the rows that wait.
func (s *storing) store(t *table) error {
	defer func() { s.waiting = s.waiting[:0] }()
	if len(s.waiting) == together {
		all := slices.Concat(s.waiting...)
		failed, err := s.attempt(func() error { _, err := s.many.ExecContext(s.ctx, all...); return err })
		if err != nil || !failed {
			return err
		}
	}
	// One of them will not do: which?
	for n, r := range s.waiting {
		if _, err := s.one.ExecContext(s.ctx, r...); err != nil {
			return ofFile{fmt.Errorf("line %d cannot be stored in %s: %w", s.first+n, t.name, err)}
		}
	}
	return nil
}

// attempt undoes what failed and nothing else.
func (s *storing) attempt(do func() error) (failed bool, err error) {
	if _, err := s.tx.ExecContext(s.ctx, `SAVEPOINT batch`); err != nil {
		return false, err
	}
	end := `RELEASE SAVEPOINT batch`
	if do() != nil {
		failed, end = true, `ROLLBACK TO SAVEPOINT batch`
	}
	_, err = s.tx.ExecContext(s.ctx, end)
	return failed, err
}

// done stores the rest of a table, and looks that each row has its owner.
func (s *storing) done(t *table) error {
	if s.shut != nil {
		return errors.Join(s.one.Close(), s.many.Close())
	}
	if err := s.store(t); err != nil {
		return err
	}
	if err := errors.Join(s.one.Close(), s.many.Close()); err != nil {
		return err
	}
	if t.of == "" {
		return nil
	}
	owner := t.columns[0].name
	var n int64
	err := s.tx.QueryRowContext(s.ctx, "SELECT t."+owner+" FROM "+t.name+" t LEFT JOIN "+t.of+" o ON o.n = t."+owner+
		" WHERE o.n IS NULL LIMIT 1").Scan(&n)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: the table %s, which ends before line %d, has rows of %s %d, which is not there", ErrFile, t.name, s.reader.n, t.of, n)
}
