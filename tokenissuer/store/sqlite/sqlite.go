// Package sqlite opens the store in a SQLite file, embedded in the program.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// readers is how many look-ups run side by side; each has a page cache.
const readers = 4

// Open opens the store in the file at path: makes the file and its folder if
// there are none, and brings an older schema up to date. A schema newer than
// the program is store.ErrNewer, and the file stays as it is. Every error names
// the path.
func Open(ctx context.Context, path string) (*store.Store, error) {
	st, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	return st, nil
}

func open(ctx context.Context, path string) (*store.Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	version, err := inspect(ctx, path)
	if err != nil {
		return nil, err
	}
	if version < 0 {
		if err := create(path); err != nil {
			return nil, err
		}
	}
	write, read, err := pools(path)
	if err != nil {
		return nil, err
	}
	if err := upgrade(ctx, write, version); err != nil {
		return nil, errors.Join(err, read.Close(), write.Close())
	}
	return store.New(write, read, taken), nil
}

// create makes the file before SQLite would: then its mode, which the -wal and
// -shm files inherit, is ours whatever the umask. An existing file is never
// opened here, because closing it would drop the locks that this process holds
// on it (sqlite.org/howtocorrupt.html, section 2.2).
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // another start was first
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

// pools opens the one writer and the readers.
func pools(path string) (write, read *sql.DB, err error) {
	write, err = connect(path, url.Values{
		"_txlock": {"immediate"}, // a lock that fails fails at the beginning
		"_pragma": {
			"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
			"cache_size(-4000)", "journal_size_limit(16777216)", "temp_store(MEMORY)",
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
