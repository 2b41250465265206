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

	"github.com/pressly/goose/v3"
)

// upgrade brings the schema from version to target, by a session that may take its time.
// It gives up a little before ctx ends: another process that started at the same moment
// waits for it, and is to see how it ended.
func (s schema) upgrade(ctx context.Context, a *Address, db *sql.DB, version int64) error {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)*9/10)
		defer cancel()
	}
	empty, err := s.empty(ctx, db, version)
	if err != nil {
		return err
	}
	if empty {
		s.files = emptyTables{s.files}
	}
	w := a.worker()
	defer func() { _ = w.db.Close() }() // with its session the lock ends
	for next := version + 1; next <= s.target(); next++ {
		if err := s.apply(ctx, w, next); err != nil {
			return fmt.Errorf("upgrading from schema %d to %d: %w", version, s.target(), err)
		}
	}
	return nil
}

// empty says whether a database is without a row, as a first start leaves it that was ended
// half way: the first key comes before all that is served.
func (s schema) empty(ctx context.Context, db *sql.DB, version int64) (empty bool, err error) {
	if version == 0 {
		return true, nil
	}
	err = db.QueryRowContext(ctx, `SELECT NOT EXISTS (SELECT 1 FROM keys)`).Scan(&empty)
	return empty, err
}

// apply does so with the next one, and says whom it waits for. Another process may have
// applied it meanwhile.
func (s schema) apply(ctx context.Context, w *worker, version int64) error {
	beside, err := s.besideOthers(version)
	if err != nil {
		return err
	}
	over, ended := context.WithCancel(ctx)
	seen := make(chan wait, 1)
	go func() { seen <- w.watch(over) }()
	if err = w.patient(ctx, beside); err == nil {
		err = s.step(ctx, w.db, version)
	}
	ended()
	return (<-seen).explains(err, beside)
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

// emptyTables are the migrations of an empty database: their indexes are made like
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
