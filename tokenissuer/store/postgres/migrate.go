package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

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

// turn is the advisory lock of whoever is to change the schema; see work for who does.
const turn = 0x6761746568 // "gateh"

// prepare brings the schema to the target, unless it is there or beyond. Of the
// processes that start together one does, and the others wait for it.
func (s schema) prepare(ctx context.Context, a *Address, db *sql.DB) error {
	version, err := s.version(ctx, db)
	if err != nil || version >= s.target() {
		return err
	}
	first := a.way.Load().open(map[string]string{"application_name": application + " upgrade"})
	defer func() { _ = first.Close() }()
	conn, err := first.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // with its session the lock ends
	err = take(ctx, func() (ours bool, err error) {
		err = conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock($1)`, int64(turn)).Scan(&ours)
		return ours, err
	})
	if err != nil {
		return fmt.Errorf("waiting for the upgrade by another process: %w", err)
	}
	if version, err = s.version(ctx, db); err != nil || version >= s.target() {
		return err
	}
	if err := s.mayUpgrade(ctx, db, version); err != nil {
		return err
	}
	return s.upgrade(ctx, a, db, version)
}

// take asks for a lock until it has it. A statement that waits for it would be waited for
// by a CREATE INDEX CONCURRENTLY of whoever has it, for ever.
func take(ctx context.Context, try func() (ours bool, err error)) error {
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		if ours, err := try(); err != nil || ours {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// version returns the schema's, 0 for none.
func (s schema) version(ctx context.Context, db *sql.DB) (int64, error) {
	var where, path, role string
	var ours, tables int
	// Not information_schema: it hides what this role may not read.
	err := db.QueryRowContext(ctx, `
SELECT COALESCE(current_schema(), ''), current_setting('search_path'), CAST(current_user AS TEXT),
	COALESCE(SUM(CASE WHEN relname = $1 THEN 1 ELSE 0 END), 0), COUNT(relname)
FROM pg_class WHERE relnamespace = `+schemaOID+` AND relkind IN ('r', 'p')`, versions).Scan(&where, &path, &role, &ours, &tables)
	if err != nil {
		return 0, fmt.Errorf("cannot be read: %w", err)
	}
	if where == "" {
		return 0, fmt.Errorf("has no schema of search_path %s that the role %s may use: make one with CREATE SCHEMA … AUTHORIZATION %s, or name another", path, role, role)
	}
	if ours == 0 {
		if tables > 0 {
			return 0, errors.New("has the tables of another program: make a database for this one alone, or a schema and add search_path=its_name to the URL")
		}
		return 0, nil
	}
	var version int64
	err = db.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM `+versions).Scan(&version)
	if e, refused := errors.AsType[*pgconn.PgError](err); refused && e.Code == "42501" { // insufficient_privilege
		return 0, fmt.Errorf("has tables that the role %s has no rights on: connect as the role that made them: %w", role, err)
	}
	if err != nil {
		return 0, fmt.Errorf("schema version cannot be read: %w", err)
	}
	if version <= s.target() {
		return version, nil
	}
	// Newer programs serve beside this one while they replace it, node by node.
	var floor int64
	if err := db.QueryRowContext(ctx, `SELECT floor FROM schema_floor`).Scan(&floor); err != nil {
		return 0, fmt.Errorf("schema floor cannot be read: %w", err)
	}
	if floor > s.target() {
		return 0, fmt.Errorf("%w: schema %d, which needs a program that knows %d; this one knows up to %d: run the newer program",
			store.ErrNewer, version, floor, s.target())
	}
	return version, nil
}
