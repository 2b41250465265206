package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
)

// A statement is a number into the texts of its pool. The texts are collected
// while the package is initialised, so that each stands beside its operation,
// and prepared once for each connection.
type (
	write int
	read  int
)

var (
	writeTexts, readTexts []string
	apart                 = map[read]bool{} // those of readsApart
)

func writes(text string) write {
	writeTexts = append(writeTexts, text)
	return write(len(writeTexts) - 1)
}

func reads(text string) read {
	readTexts = append(readTexts, text)
	return read(len(readTexts) - 1)
}

// readsApart is of what a process follows the others by. It has connections of its
// own: requests that wait for each other must not keep the gates from hearing what was
// revoked.
func readsApart(text string) read {
	q := reads(text)
	apart[q] = true
	return q
}

// reader prepares each statement when it is first asked for: a start should
// not wait for look-ups that may never come.
type reader struct {
	db    *sql.DB
	stmts []atomic.Pointer[sql.Stmt]
}

func (r *reader) stmt(ctx context.Context, q read) (*sql.Stmt, error) {
	if stmt := r.stmts[q].Load(); stmt != nil {
		return stmt, nil
	}
	stmt, err := r.db.PrepareContext(ctx, readTexts[q])
	if err != nil {
		return nil, err
	}
	if !r.stmts[q].CompareAndSwap(nil, stmt) {
		_ = stmt.Close() // another request was first
		return r.stmts[q].Load(), nil
	}
	return stmt, nil
}

// scanner is a row, alone or among others.
type scanner interface{ Scan(into ...any) error }

// one reads the single row of q.
func one[T any](ctx context.Context, s *Store, doing string, q read, scan func(scanner) (T, error), args ...any) (T, error) {
	var none T
	if s.many != nil {
		v := none
		err := s.ask(ctx, q, args, func(rows *sql.Rows) (err error) {
			if !rows.Next() {
				return cmp.Or(rows.Err(), sql.ErrNoRows)
			}
			v, err = scan(rows)
			return err
		})
		if err != nil {
			return none, failure(doing, err)
		}
		return v, nil
	}
	stmt, err := s.read.stmt(ctx, q)
	if err != nil {
		return none, failure(doing, err)
	}
	v, err := scan(stmt.QueryRowContext(ctx, args...))
	if err != nil {
		return none, failure(doing, err)
	}
	return v, nil
}

// all reads every row of q.
func all[T any](ctx context.Context, s *Store, doing string, q read, scan func(scanner) (T, error), args ...any) ([]T, error) {
	var vs []T
	collect := func(rows *sql.Rows) error {
		vs = nil
		for rows.Next() {
			v, err := scan(rows)
			if err != nil {
				return err
			}
			vs = append(vs, v)
		}
		return rows.Err()
	}
	if s.many != nil {
		err := s.ask(ctx, q, args, collect)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, failure(doing, err)
		}
		return vs, nil
	}
	stmt, err := s.read.stmt(ctx, q)
	if err != nil {
		return nil, failure(doing, err)
	}
	rows, err := stmt.QueryContext(ctx, args...) //nolint:rowserrcheck // collect asks for it
	if err != nil {
		return nil, failure(doing, err)
	}
	defer func() { _ = rows.Close() }()
	if err := collect(rows); err != nil {
		return nil, failure(doing, err)
	}
	return vs, nil
}
