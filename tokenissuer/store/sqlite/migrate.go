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

func migrations(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, files,
		goose.WithTableName(versions), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
}

// target is the schema version this program writes: one for each migration.
func target() int64 {
	files, err := fs.Glob(embedded, "migrations/*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	return int64(len(files))
}

// inspect returns the schema version of the file at path without changing
// anything: 0 if the file is empty, -1 if there is none.
func inspect(ctx context.Context, path string) (int64, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return -1, nil
	case err != nil:
		return 0, err
	case !info.Mode().IsRegular():
		return 0, errors.New("is not a regular file")
	case info.Size() == 0:
		return 0, nil
	}
	// Not the writer's connection: that one recovers a log and checkpoints it.
	db, err := connect(path, url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}}, 1)
	if err != nil {
		return 0, err
	}
	version, err := versionOf(ctx, db)
	return version, errors.Join(err, db.Close())
}

func versionOf(ctx context.Context, db *sql.DB) (int64, error) {
	var ours, others int
	err := db.QueryRowContext(ctx,
		`SELECT COALESCE(SUM(name = $1), 0), COUNT(*) FROM sqlite_master WHERE type = 'table'`, versions).Scan(&ours, &others)
	if err != nil {
		return 0, fmt.Errorf("cannot be read: %w", err)
	}
	if ours == 0 {
		if others > 0 {
			return 0, errors.New("is a SQLite database of another program")
		}
		return 0, nil
	}
	var version int64
	err = db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM `+versions).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("schema version cannot be read: %w", err)
	}
	if version > target() {
		return 0, fmt.Errorf("%w: schema %d, this program knows up to %d; run the newer program, or restore a backup from before the upgrade",
			store.ErrNewer, version, target())
	}
	return version, nil
}

// upgrade brings the schema from version to target. It begins a transaction
// even if there is nothing to do: a file that cannot be written is found at the
// start, not by the first sign-in.
func upgrade(ctx context.Context, db *sql.DB, version int64) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("cannot be written: %w", err)
	}
	if err := tx.Rollback(); err != nil {
		return fmt.Errorf("cannot be written: %w", err)
	}
	if version == target() {
		return nil
	}
	provider, err := migrations(db)
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("upgrading from schema %d to %d: %w", max(version, 0), target(), err)
	}
	return nil
}
