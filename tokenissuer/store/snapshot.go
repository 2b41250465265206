package store

import (
	"context"
	"database/sql"
	"fmt"
)

// Snapshot lets look see all records as they are at one moment, however long it
// takes and whatever is written meanwhile. Where connections are few, it has one of its
// own, and who comes second waits for it until ctx ends.
func (s *Store) Snapshot(ctx context.Context, look func(*sql.Tx) error) error {
	db, options := s.read.db, &sql.TxOptions{ReadOnly: true} // SQLite: what it reads first is its moment
	if s.many != nil {
		db, options.Isolation = s.many.copying, sql.LevelRepeatableRead
	}
	return s.long(ctx, db, options, nil, look)
}

// Fill lets fill write records as one transaction, all of them or none. It has the
// tables for itself, and their row numbers go on behind those it has written. Where
// other processes can write, they wait or fail, and where one of them was first it is
// ErrHeld. Followers hear of nothing: nobody may serve with this store yet.
func (s *Store) Fill(ctx context.Context, tables []string, fill func(*sql.Tx) error) error {
	var options *sql.TxOptions
	if s.many != nil {
		// Whatever the database's default is: each statement is to see what was there when
		// the tables were ours, not when the first one began to wait for them.
		options = &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	return s.long(ctx, s.write.db, options, tables, fill)
}

// long makes a transaction that may take minutes.
func (s *Store) long(ctx context.Context, db *sql.DB, options *sql.TxOptions, alone []string, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, options)
	if err != nil {
		return failure("beginning", err)
	}
	defer func() { _ = tx.Rollback() }() // unless it was committed
	if s.many != nil {
		switch err := prolong(ctx, tx, alone); {
		case err == nil:
		case s.many.judge(err) == Held:
			return fmt.Errorf("%w: %w", ErrHeld, err)
		default:
			return failure("beginning", err)
		}
	}
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return failure("committing", err)
	}
	return nil
}

// prolong takes the limits off that are for requests, and the tables from others.
func prolong(ctx context.Context, tx *sql.Tx, alone []string) error {
	texts := []string{`SET LOCAL statement_timeout = 0`, `SET LOCAL idle_in_transaction_session_timeout = 0`}
	if len(alone) > 0 {
		// Before it looks which keys there are, whoever makes one waits here.
		texts = append(texts, string(holdKeys))
	}
	for _, table := range alone {
		texts = append(texts, `LOCK TABLE `+table+` IN SHARE ROW EXCLUSIVE MODE`)
	}
	for _, text := range texts {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// Tables lists the tables of a transaction's database, those of its own and of its
// extensions left out.
func (s *Store) Tables(ctx context.Context, tx *sql.Tx) ([]string, error) {
	text := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`
	if s.many != nil {
		text = `SELECT CAST(relname AS TEXT) FROM pg_class
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND relkind IN ('r', 'p')
AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = CAST('pg_class' AS regclass) AND d.objid = pg_class.oid AND d.deptype = 'e') ORDER BY relname`
	}
	rows, err := tx.QueryContext(ctx, text)
	if err != nil {
		return nil, failure("tables", err)
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, failure("tables", err)
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// Counting says whether row numbers come from a counter that has to be told of
// rows that brought their own.
func (s *Store) Counting() bool { return s.many != nil }
