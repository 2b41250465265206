// Package sqlite opens the store in a SQLite file, embedded in the program.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Magic is how a SQLite file begins (sqlite.org/fileformat.html, section 1.3).
const Magic = "SQLite format 3\x00"

// Open opens the store in the file at path: makes the file and its folder if
// there are none, and brings an older schema up to date. A schema newer than
// the program is store.ErrNewer, and the file stays as it is. One process at a
// time has it open, until it closes the store or ends. Every error names the
// path.
func Open(ctx context.Context, path string) (*store.Store, error) {
	st, err := open(ctx, path, current())
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	return st, nil
}

// Check says what Open would refuse, and changes nothing: no file, no folder,
// no upgrade.
func Check(ctx context.Context, path string) error {
	abs, err := filepath.Abs(path)
	if err == nil {
		_, err = current().inspect(ctx, abs)
	}
	if err == nil {
		err = writable(abs)
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	return nil
}

var errNoStore = errors.New("there is no store: name the configuration that the server runs with, as its user and with its environment")

// Found says whether there is a store at path, which Open would make.
func Found(ctx context.Context, path string) error {
	version, err := current().inspect(ctx, path)
	if err == nil && version <= 0 {
		err = errNoStore
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	return nil
}

func open(ctx context.Context, path string, s schema) (*store.Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	version, err := s.inspect(ctx, path)
	if err != nil {
		return nil, err
	}
	if version == noFile {
		err = create(path)
	} else {
		err = tighten(path)
	}
	if err != nil {
		return nil, err
	}
	lock, err := acquire(ctx, path)
	if err != nil {
		return nil, err
	}
	write, read, err := pools(path)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	err = begin(ctx, write)
	if err == nil {
		err = s.upgrade(ctx, write, version)
	}
	if err != nil {
		return nil, errors.Join(err, read.Close(), write.Close(), lock.Close())
	}
	return store.New(write, read, taken, lock), nil
}

// begin starts a transaction, which is nothing but a lock, so that a file or
// folder that cannot be written is found now, not by the first sign-in.
func begin(ctx context.Context, write *sql.DB) error {
	tx, err := write.BeginTx(ctx, nil)
	if err == nil {
		err = tx.Rollback()
	}
	if err != nil {
		return fmt.Errorf("cannot be written: %w", err)
	}
	return nil
}

// readers is how many look-ups run side by side; each has a page cache.
const readers = 4

// pools opens the one writer and the readers.
func pools(path string) (write, read *sql.DB, err error) {
	write, err = connect(path, url.Values{
		"_txlock": {"immediate"}, // who cannot get the lock learns it before any work
		"_pragma": {
			"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
			"cache_size(-4000)", "journal_size_limit(16777216)", "temp_store(MEMORY)",
			"secure_delete(FAST)", // a key that was sealed does not stay in the page in plain
		},
	}, 1)
	if err != nil {
		return nil, nil, err
	}
	read, err = connect(path, url.Values{
		"_pragma": {"busy_timeout(5000)", "query_only(1)", "cache_size(-2000)", "temp_store(MEMORY)"},
	}, readers)
	if err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	return write, read, nil
}

// connect makes a pool whose connections stay open: one costs as much as fifty
// look-ups.
func connect(path string, query url.Values, most int) (*sql.DB, error) {
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
}

// taken says whether a unique value exists already.
func taken(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}
