package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
)

// upgrade brings the schema from version to target, by the pool that may take its time.
// It gives up a little before ctx ends: another process that started at the same moment
// waits for it, and is to see how it ended.
func (s schema) upgrade(ctx context.Context, a *Address, long *sql.DB, version int64) error {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)*9/10)
		defer cancel()
	}
	if version == 0 {
		s.files = emptyTables{s.files}
	}
	for next := version + 1; next <= s.target(); next++ {
		if err := s.apply(ctx, a, long, next); err != nil {
			return fmt.Errorf("upgrading from schema %d to %d: %w", version, s.target(), err)
		}
	}
	return nil
}

// apply does so with the next one.
func (s schema) apply(ctx context.Context, a *Address, long *sql.DB, version int64) error {
	beside, err := s.besideOthers(version)
	if err != nil {
		return err
	}
	if beside {
		return s.index(ctx, a, version)
	}
	if err = s.step(ctx, long, version); locked(err) {
		err = fmt.Errorf("somebody has its tables for long, such as pg_dump or an export: start again when that is over: %w", err)
	}
	return err
}

// step applies a migration, in a transaction unless it says otherwise. What is before it
// has been applied.
func (s schema) step(ctx context.Context, db *sql.DB, version int64) error {
	provider, err := goose.NewProvider(goose.DialectPostgres, db, s.files,
		goose.WithTableName(versions), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	_, err = provider.UpTo(ctx, version)
	return err
}

func locked(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "55P03" // lock_not_available
}

// besideOthers says whether a migration makes an index while everybody writes.
func (s schema) besideOthers(version int64) (bool, error) {
	names, err := fs.Glob(s.files, fmt.Sprintf("%05d_*.sql", version))
	if err != nil {
		return false, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(s.files, name)
		if err != nil || bytes.Contains(text, []byte(concurrently)) {
			return true, err
		}
	}
	return false, nil
}

const concurrently = " INDEX CONCURRENTLY "

// indexMost is how long an index waits for one transaction where nothing says how much time
// there is; otherwise for two thirds of that. A process that dies meanwhile leaves a server's
// that waits, and has the turn, for as long.
const indexMost = 10 * time.Minute

// index applies a migration that waits for whoever began to read before it, anything of this
// database. Nobody waits behind it, so it may wait for longer than for a table.
func (s schema) index(ctx context.Context, a *Address, version int64) error {
	most := indexMost
	if end, ok := ctx.Deadline(); ok {
		most = time.Until(end) * 2 / 3
	}
	db := a.way.Load().open(1, map[string]string{
		"application_name": application + " upgrade", "statement_timeout": "0", "lock_timeout": milliseconds(max(most, time.Millisecond)),
	})
	defer func() { _ = db.Close() }()
	var pid int
	if err := db.QueryRowContext(ctx, `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
		return err
	}
	over, ended := context.WithCancel(ctx)
	last := make(chan string, 1)
	go func() { last <- a.blockers(over, pid) }()
	err := s.step(ctx, db, version)
	ended()
	who := <-last
	if err != nil && who != "" {
		err = fmt.Errorf("an index waits for who reads something of this database for long, such as pg_dump or an export, here for %s: start again when that is over: %w", who, err)
	}
	return err
}

// askWhom is how often is asked whom an index waits for: it stops all locks for a moment.
const askWhom = time.Second

// blockers tells of those whom a session waits for, until ctx ends, and returns who it was
// in the end. What they do is not ours to know.
func (a *Address) blockers(ctx context.Context, pid int) (last string) {
	db := a.way.Load().open(1, nil)
	defer func() { _ = db.Close() }()
	tick := time.NewTicker(askWhom)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return last
		case <-tick.C:
		}
		var who string
		err := db.QueryRowContext(ctx, `
SELECT COALESCE(string_agg('pid ' || pid || COALESCE(' (' || NULLIF(application_name, '') || ')', ''), ', '), '')
FROM pg_stat_activity WHERE pid = ANY(pg_blocking_pids($1))`, pid).Scan(&who)
		if err != nil || who == last {
			continue // it waits all the same
		}
		last = who
		if tell := a.waits.Load(); tell != nil && who != "" {
			(*tell)(who)
		}
	}
}

// Waits has f told of whom an upgrade waits for that Open makes.
func (a *Address) Waits(f func(who string)) { a.waits.Store(&f) }

// emptyTables are migrations of a database without a row: their indexes are made like
// everything else, and wait for nobody who reads something of another program there.
type emptyTables struct{ fs.FS }

// Open is of fs.FS.
func (e emptyTables) Open(name string) (fs.File, error) {
	file, err := e.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return file, err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return plain{file, strings.NewReader(strings.ReplaceAll(string(text), concurrently, " INDEX "))}, nil
}

type plain struct {
	fs.File
	text io.Reader
}

// Read is of fs.File.
func (p plain) Read(b []byte) (int, error) { return p.text.Read(b) }
