package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// next is the current schema with more migrations.
func next(t *testing.T, ups ...string) schema {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(current().files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(current().files, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: b}
	}
	for i, up := range ups {
		name := fmt.Sprintf("%05d_next.sql", current().target()+int64(i)+1)
		files[name] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + up)}
	}
	return schema{files}
}

func parsed(t *testing.T, text string) *Address {
	t.Helper()
	a, err := ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// opened opens a store that is closed with the test.
func opened(t *testing.T, a *Address, s schema) *store.Store {
	t.Helper()
	st, err := open(t.Context(), a, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func signIn(t *testing.T, st *store.Store, id string) {
	t.Helper()
	err := st.Apply(t.Context(), now,
		store.PutAccount{Account: store.Account{ID: id, State: store.Active}},
		store.PutFamily{Family: store.Family{ID: id, Account: id, Expires: now.Add(time.Hour)}},
		store.PutRefresh{Refresh: store.Refresh{Hash: store.Hash{id[0]}, Family: id}})
	if err != nil {
		t.Error(err)
	}
}

func TestNodesThatStartTogetherMakeOneSchema(t *testing.T) {
	text := postgrestest.URL(t)
	s := next(t, `CREATE TABLE departments (n BIGINT PRIMARY KEY);
INSERT INTO departments (n) VALUES (1);`)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			st, err := open(t.Context(), parsed(t, text), s)
			if err != nil {
				t.Error(err)
				return
			}
			signIn(t, st, fmt.Sprint(i))
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	db := parsed(t, text).open("")
	defer func() { _ = db.Close() }()
	var applied, departments, accounts int
	err := db.QueryRow(`SELECT (SELECT count(*) FROM schema_versions WHERE version_id > 0), (SELECT count(*) FROM departments),
		(SELECT count(*) FROM accounts)`).Scan(&applied, &departments, &accounts)
	if err != nil || applied != int(s.target()) || departments != 1 || accounts != 8 {
		t.Errorf("%d migrations of %d, departments %d, accounts %d, %v", applied, s.target(), departments, accounts, err)
	}
}

// TestNodeWaitsForTheUpgradeOfAnother, and sees what it has made. One that goes on without
// its process has the lock of the work alone.
func TestNodeWaitsForTheUpgradeOfAnother(t *testing.T) {
	t.Parallel()
	for lock, want := range map[int64]string{
		turn: "waiting for the upgrade by another process",
		work: "an upgrade waits for one that was begun before and goes on, here for pid ",
	} {
		text := postgrestest.URL(t)
		other := parsed(t, text).open("")
		conn, err := other.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(t.Context(), `SELECT pg_advisory_lock($1)`, lock); err != nil {
			t.Fatal(err)
		}
		impatient, leave := context.WithCancel(t.Context())
		defer leave()
		a, ended := parsed(t, text), make(chan error, 1)
		a.Waits(func(string) { leave() }) // for who has the lock of the work
		go func() {
			_, err := open(impatient, a, current())
			ended <- err
		}()
		if lock == turn {
			(&reader{T: t, text: text}).until("it waits for its turn", `SELECT count(*)::TEXT FROM pg_stat_activity
				WHERE application_name = 'gatehouse upgrade' AND query LIKE 'SELECT pg_try_advisory_lock%' AND datname = current_database()`, "1")
			leave()
		}
		if err := <-ended; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("while another upgrades: %v, want %q", err, want)
		}
		if err := conn.Close(); err != nil { // back to the pool, with the lock
			t.Fatal(err)
		}
		if err := other.Close(); err != nil { // as when that process is killed
			t.Fatal(err)
		}
		signIn(t, opened(t, parsed(t, text), current()), "ann")
	}
}

// TestUpgradeThatHangsIsEnded: between two statements of a migration a process that was
// stopped, or cut off, has tables that everybody needs.
func TestUpgradeThatHangsIsEnded(t *testing.T) {
	text := postgrestest.URL(t)
	opened(t, parsed(t, text), next(t, `CREATE TABLE patience AS SELECT current_setting('idle_in_transaction_session_timeout') AS idle, current_setting('statement_timeout') AS statement;`))
	if got := postgrestest.Ask(t, text, `SELECT idle || ', ' || statement FROM patience`); got != "10s, 0" {
		t.Errorf("the server waits for it %s", got)
	}
}

// TestVersionsRunSideBySide is a rolling upgrade: the next version adds, the one
// that serves goes on, and may be started again.
func TestVersionsRunSideBySide(t *testing.T) {
	text := postgrestest.URL(t)
	before := opened(t, parsed(t, text), current())
	signIn(t, before, "a")
	newer := next(t, `ALTER TABLE accounts ADD COLUMN department TEXT COLLATE "C" NOT NULL DEFAULT 'none';
CREATE TABLE departments (n BIGINT PRIMARY KEY);`)
	after := opened(t, parsed(t, text), newer)
	signIn(t, after, "b")
	signIn(t, before, "c")
	signIn(t, opened(t, parsed(t, text), current()), "d") // it was restarted in the middle
	for _, st := range []*store.Store{before, after} {
		if all, err := st.Accounts(t.Context(), "", 10); err != nil || len(all) != 4 {
			t.Errorf("%d accounts, %v", len(all), err)
		}
	}

	// Later, when no older node is left, what they needed goes.
	contracted := next(t, `SELECT 1;`, `ALTER TABLE accounts DROP COLUMN nickname;
UPDATE schema_floor SET floor = `+fmt.Sprint(newer.target())+`;`)
	db := parsed(t, text).open("")
	defer func() { _ = db.Close() }()
	if err := contracted.upgrade(t.Context(), parsed(t, text), db, newer.target()); err != nil {
		t.Fatal(err)
	}
	_, err := open(t.Context(), parsed(t, text), current())
	want := fmt.Sprintf("schema %d, which needs a program that knows %d; this one knows up to %d: ", contracted.target(), newer.target(), current().target())
	if !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), want) {
		t.Errorf("an older program after the contraction: %v, want %q", err, want)
	}
	if _, err := newer.version(t.Context(), db); err != nil {
		t.Errorf("the program that knew not to need it: %v", err)
	}
}

func TestFailedUpgradeLeavesTheOldSchema(t *testing.T) {
	text := postgrestest.URL(t)
	signIn(t, opened(t, parsed(t, text), current()), "a")
	_, err := open(t.Context(), parsed(t, text), next(t, "ALTER TABLE accounts ADD COLUMN department TEXT;\nDELETE FROM accounts;\nINSERT INTO nowhere VALUES (1);"))
	if want := fmt.Sprintf("upgrading from schema %d to %d", current().target(), current().target()+1); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("%v, want %q and the cause", err, want)
	}
	st := opened(t, parsed(t, text), current())
	if _, err := st.Account(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	signIn(t, st, "b")
}

func TestDatabaseThatDoesNotSuitIsRefused(t *testing.T) {
	foreign := postgrestest.URL(t)
	postgrestest.Exec(t, foreign, "CREATE TABLE accounts (n INT)")
	readOnly := postgrestest.URL(t)
	readOnly = postgrestest.With(readOnly, "default_transaction_read_only", "on")
	latin := postgrestest.URL(t)
	postgrestest.Exec(t, latin, "CREATE DATABASE latin_of_tests ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
	t.Cleanup(func() { postgrestest.Exec(t, latin, "DROP DATABASE latin_of_tests") })
	hidden, othersHidden := postgrestest.URL(t), postgrestest.URL(t)
	signIn(t, opened(t, parsed(t, hidden), current()), "a")
	postgrestest.Exec(t, othersHidden, "CREATE TABLE accounts (n INT)")
	postgrestest.Exec(t, latin, "CREATE ROLE nobody_of_tests LOGIN PASSWORD 'x'")
	t.Cleanup(func() { postgrestest.Exec(t, latin, "DROP ROLE nobody_of_tests") })
	for _, text := range []*string{&hidden, &othersHidden} {
		*text = regexp.MustCompile(`//[^@]+@`).ReplaceAllString(*text, "//nobody_of_tests:x@")
	}
	for text, want := range map[string]string{
		foreign:  "has the tables of another program",
		readOnly: "cannot be written: the server or its user is set to read only",
		regexp.MustCompile(`/t[a-z0-9]+\?`).ReplaceAllString(latin, "/latin_of_tests?"): "has the encoding LATIN1, expected UTF8",
		postgrestest.With(postgrestest.URL(t), "search_path", "nowhere"):                "has no schema of search_path nowhere that the role ",
		hidden:       "has tables that the role nobody_of_tests has no rights on: connect as the role that made them: ",
		othersHidden: "has the tables of another program",
		strings.Replace(foreign, "/t", "/no-such-", 1): "does not exist",
	} {
		a := parsed(t, text)
		_, err := Open(t.Context(), a)
		if err == nil || !strings.HasPrefix(err.Error(), "store "+a.String()+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	schema := postgrestest.URL(t)
	postgrestest.Exec(t, schema, "CREATE TABLE others (n INT); CREATE SCHEMA issuer")
	signIn(t, opened(t, parsed(t, postgrestest.With(schema, "search_path", "issuer")), current()), "a")
}

// expands are the statements that an older program does not notice.
var expands = regexp.MustCompile(`(?i)^(CREATE TABLE|CREATE (UNIQUE )?INDEX|ALTER TABLE \w+ ADD COLUMN \w+ [^;]*DEFAULT|INSERT INTO|UPDATE schema_floor)`)

// TestMigrationsOnlyAddOrRaiseTheFloor holds the files to the rule of a rolling
// upgrade: what does more than to add must say who cannot work with it any more.
func TestMigrationsOnlyAddOrRaiseTheFloor(t *testing.T) {
	for text, want := range map[string]bool{
		"CREATE TABLE a (n INT);\nALTER TABLE a ADD COLUMN b BIGINT NOT NULL DEFAULT 0;": true,
		"ALTER TABLE a ADD COLUMN b BIGINT NOT NULL;":                                    false,
		"ALTER TABLE a DROP COLUMN b;":                                                   false,
		"ALTER TABLE a RENAME TO b;\nUPDATE schema_floor SET floor = 7;":                 true,
		"UPDATE a SET b = 1;":                                                            false,
		"DROP INDEX CONCURRENTLY IF EXISTS i;":                                           false,
		"DROP INDEX CONCURRENTLY IF EXISTS i;\nCREATE INDEX CONCURRENTLY i ON a (b);":    true,
		"DROP INDEX CONCURRENTLY IF EXISTS i;\nCREATE INDEX CONCURRENTLY j ON a (b);":    false,
	} {
		if got := rolls(text); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	names, err := fs.Glob(current().files, "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(current().files, name)
		if err != nil {
			t.Fatal(err)
		}
		if !rolls(string(b)) {
			t.Errorf("%s: an older program could not work beside it, and the floor is not raised", name)
		}
	}
}

// madeAnew is an index that an attempt which was ended may have left without use.
var madeAnew = regexp.MustCompile(`DROP INDEX CONCURRENTLY IF EXISTS (\w+);\s*CREATE INDEX CONCURRENTLY (\w+)`)

var comment = regexp.MustCompile(`(?m)--.*$`)

func rolls(up string) bool {
	if strings.Contains(up, "UPDATE schema_floor") {
		return true
	}
	up = comment.ReplaceAllString(up, "")
	for _, anew := range madeAnew.FindAllStringSubmatch(up, -1) {
		if anew[1] == anew[2] {
			up = strings.Replace(up, anew[0], "CREATE INDEX", 1)
		}
	}
	for statement := range strings.SplitSeq(up, ";") {
		if s := strings.TrimSpace(statement); s != "" && !expands.MatchString(s) {
			return false
		}
	}
	return true
}
