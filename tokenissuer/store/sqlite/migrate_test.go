package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// next is the current schema with one more migration.
func next(t *testing.T, up string) schema {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(current().files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(current().files, name)
		files[name] = &fstest.MapFile{Data: b}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%05d_next.sql", current().target()+1)
	files[name] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + up)}
	return schema{files}
}

// raw opens the file as no program of ours does.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := connect(path, url.Values{"_pragma": {"journal_mode(WAL)", "foreign_keys(1)"}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// tables counts the rows of every table.
func tables(t *testing.T, db *sql.DB) map[string]int {
	t.Helper()
	rows, err := db.Query(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> $1`, versions)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		counts[name] = 0
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	for name := range counts {
		var n int
		if err := db.QueryRow(`SELECT COUNT(*) FROM ` + name).Scan(&n); err != nil {
			t.Fatal(err)
		}
		counts[name] = n
	}
	return counts
}

// fill puts three rows into every table, whatever its columns are: numbers are
// the row's, so that what refers to another table finds its row. Attributes are
// read back, as JSON.
func fill(t *testing.T, db *sql.DB) {
	t.Helper()
	names := slices.Sorted(maps.Keys(tables(t, db)))
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(`PRAGMA defer_foreign_keys = on`); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		rows, err := tx.Query(`SELECT CASE name WHEN 'attributes' THEN 'JSON' ELSE type END FROM pragma_table_info($1)`, name)
		if err != nil {
			t.Fatal(err)
		}
		var values []string
		for rows.Next() {
			var kind string
			if err := rows.Scan(&kind); err != nil {
				t.Fatal(err)
			}
			value := map[string]string{"TEXT": "'t' || i", "JSON": "json_object('t', 't' || i)", "BLOB": "CAST('b' || i AS BLOB)"}[kind]
			if value == "" {
				value = "i"
			}
			values = append(values, value)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
		_, err = tx.Exec(`WITH r (i) AS (VALUES (1), (2), (3)) INSERT INTO ` + name + ` SELECT ` + strings.Join(values, ", ") + ` FROM r`)
		if err != nil {
			t.Fatalf("filling %s: %v", name, err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// at makes a store of an older version, with rows in every table.
func at(t *testing.T, path string, s schema, version int64) map[string]int {
	t.Helper()
	db := raw(t, path)
	if version > 0 {
		provider, err := s.provider(db)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := provider.UpTo(t.Context(), version); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, db)
	before := tables(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return before
}

func TestOlderStoreIsUpgradedInPlace(t *testing.T) {
	// One more than there are, so that there is an older one from the start.
	s := next(t, `ALTER TABLE accounts ADD COLUMN department TEXT NOT NULL DEFAULT 'none';
CREATE TABLE departments (n INTEGER PRIMARY KEY, name TEXT NOT NULL);`)
	for version := range s.target() {
		path := filepath.Join(t.TempDir(), "issuer.db")
		before := at(t, path, s, version)
		if want := version > 0; (len(before) > 0) != want {
			t.Fatalf("version %d has %d tables", version, len(before))
		}
		st, err := open(t.Context(), path, s)
		if err != nil {
			t.Fatalf("from version %d: %v", version, err)
		}
		if version > 0 {
			a, err := st.Account(t.Context(), "t2")
			if err != nil || a.Username != "t2" || a.Email != "t2" || a.PasswordHash != "t2" {
				t.Errorf("from version %d: account %+v, %v", version, a, err)
			}
		}
		err = st.Apply(t.Context(), now,
			store.PutAccount{Account: store.Account{ID: "new", State: store.Active}},
			store.PutFamily{Family: store.Family{ID: "new", Account: "new", Expires: now.Add(time.Hour)}})
		if err != nil {
			t.Errorf("from version %d: %v", version, err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		db := raw(t, path)
		after := tables(t, db)
		for name, n := range before {
			if name == "accounts" || name == "families" {
				n++
			}
			if after[name] != n {
				t.Errorf("from version %d: %s has %d rows, want %d", version, name, after[name], n)
			}
		}
		if got, err := s.version(t.Context(), db); err != nil || got != s.target() {
			t.Errorf("from version %d: now %d, %v; want %d", version, got, err, s.target())
		}
	}
}

func TestFailedUpgradeLeavesTheOldStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	before := at(t, path, current(), current().target())
	broken := next(t, "ALTER TABLE accounts ADD COLUMN department TEXT;\nDELETE FROM events;\nINSERT INTO nowhere VALUES (1);")
	_, err := open(t.Context(), path, broken)
	want := fmt.Sprintf("upgrading from schema %d to %d", current().target(), broken.target())
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v, want %q and the cause", err, want)
	}
	st, err := open(t.Context(), path, current())
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if after := tables(t, raw(t, path)); !maps.Equal(before, after) {
		t.Errorf("rows before %v, after %v", before, after)
	}
}

func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	contents := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		contents[e.Name()] = string(b)
	}
	return contents
}

func TestNewerStoreIsRefusedAndLeftAlone(t *testing.T) {
	newer := next(t, `CREATE TABLE wonders (n INTEGER PRIMARY KEY);`)
	path := filepath.Join(t.TempDir(), "issuer.db")
	at(t, path, newer, newer.target())
	refuse := func(path string) {
		t.Helper()
		before := folder(t, filepath.Dir(path))
		for doing, err := range map[string]error{
			"Open": func() error { _, err := Open(t.Context(), path); return err }(), "Check": Check(t.Context(), path),
		} {
			want := fmt.Sprintf("store %s: store is of a newer version: schema %d, this program knows up to %d; ",
				path, newer.target(), current().target())
			if !errors.Is(err, store.ErrNewer) || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: %v, want %q", doing, err, want)
			}
		}
		after := folder(t, filepath.Dir(path))
		for name := range after {
			if _, ok := before[name]; !ok {
				t.Errorf("%s was made", name)
			}
		}
		for name, content := range before {
			if strings.HasSuffix(name, "-shm") {
				continue // the locks and the index of the log; no record is in it
			}
			if after[name] != content {
				t.Errorf("%s was changed, from %d to %d bytes", name, len(content), len(after[name]))
			}
		}
	}
	refuse(path)

	// The newer program was killed: the last of it is in the log alone.
	db := raw(t, path)
	if _, err := db.Exec(`PRAGMA wal_autocheckpoint = 0; INSERT INTO wonders VALUES (77)`); err != nil {
		t.Fatal(err)
	}
	killed := filepath.Join(t.TempDir(), "issuer.db")
	for name, content := range folder(t, filepath.Dir(path)) {
		to := filepath.Join(filepath.Dir(killed), name)
		if err := os.WriteFile(to, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(folder(t, filepath.Dir(killed))["issuer.db-wal"]) == 0 {
		t.Fatal("there is no log to leave alone")
	}
	refuse(killed)
}

func TestOpenStoreCanBeChecked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	st, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if err := st.Apply(t.Context(), now, store.PutEvent{}); err != nil {
		t.Fatal(err)
	}
	if err := Check(context.Background(), path); err != nil {
		t.Error(err)
	}
	if err := st.Apply(t.Context(), now, store.PutEvent{}); err != nil {
		t.Error(err)
	}
}
