package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"github.com/pressly/goose/v3"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

//go:embed migrations/*.sql
var embedded embed.FS

// versions is the table in which the applied migrations are noted.
const versions = "schema_versions"

// schema is a folder of migrations, numbered from 1 without a gap.
type schema struct{ files fs.FS }

func current() schema {
	files, err := fs.Sub(embedded, "migrations")
	if err != nil {
		panic(err) // the path is a constant
	}
	return schema{files}
}

// target is the version that all migrations together make.
func (s schema) target() int64 {
	files, err := fs.Glob(s.files, "*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	return int64(len(files))
}

func (s schema) provider(db *sql.DB) (*goose.Provider, error) {
	return goose.NewProvider(goose.DialectSQLite3, db, s.files,
		goose.WithTableName(versions), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
}

// noFile is the version of a store that does not exist yet.
const noFile = -1

// inspect returns the schema version of the file at path without changing
// anything; an empty file has version 0.
func (s schema) inspect(ctx context.Context, path string) (int64, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return noFile, nil
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, errors.New("is not a regular file")
	case named(info) > 1:
		// Each name would have a log and a lock of its own (sqlite.org/howtocorrupt.html, section 2.5).
		return 0, fmt.Errorf("has %d names (hard links), each of which could be opened beside the others: keep one", named(info))
	case info.Size() == 0:
		return 0, nil
	}
	return s.peek(ctx, path)
}

// peek is inspect of a file with something in it.
func (s schema) peek(ctx context.Context, path string) (int64, error) {
	// Not the writer's connection: that one writes a log that a crash left into
	// the file when it closes.
	db, err := connect(path, untouched(path), 1)
	if err != nil {
		return 0, err
	}
	version, err := s.version(ctx, db)
	return version, errors.Join(err, db.Close())
}

// untouched opens a database without writing, and leaves nothing beside it. Without
// a log nobody has the file open, and immutable keeps SQLite from making an empty
// one; a file with its log is read with the log.
func untouched(path string) url.Values {
	query := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}}
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		query.Set("immutable", "1")
	}
	return query
}

func (s schema) version(ctx context.Context, db *sql.DB) (int64, error) {
	var ours, tables int
	err := db.QueryRowContext(ctx,
		`SELECT COALESCE(SUM(name = $1), 0), COUNT(*) FROM sqlite_master WHERE type = 'table'`, versions).Scan(&ours, &tables)
	if err != nil {
		return 0, fmt.Errorf("cannot be read: %w", err)
	}
	if ours == 0 {
		if tables > 0 {
			return 0, errors.New("is a SQLite database of another program")
		}
		return 0, nil
	}
	var version int64
	err = db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM `+versions).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("schema version cannot be read: %w", err)
	}
	if version > s.target() {
		return 0, fmt.Errorf("%w: schema %d, this program knows up to %d; run the newer program, or restore a backup from before the upgrade",
			store.ErrNewer, version, s.target())
	}
	return version, nil
}

// upgrade brings the schema from version to target, each migration in a
// transaction of its own.
func (s schema) upgrade(ctx context.Context, db *sql.DB, version int64) error {
	if version == s.target() {
		return nil
	}
	provider, err := s.provider(db)
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("upgrading from schema %d to %d: %w", max(version, 0), s.target(), err)
	}
	return nil
}
