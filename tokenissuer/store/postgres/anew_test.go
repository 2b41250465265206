package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// reader is somebody who reads something of a database for long, and nothing of ours.
type reader struct {
	*testing.T
	tx   *sql.Tx
	text string
	pid  int
}

func reading(t *testing.T, text string) *reader {
	t.Helper()
	db := parsed(t, postgrestest.With(text, "application_name", "report")).open("")
	t.Cleanup(func() { _ = db.Close() })
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{t, tx, text, 0}
	t.Cleanup(func() { _ = tx.Rollback() })
	if _, err := tx.Exec(`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
		t.Fatal(err)
	}
	if err := tx.QueryRow(`SELECT pg_backend_pid()`).Scan(&r.pid); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *reader) ends() {
	r.Helper()
	if err := r.tx.Rollback(); err != nil {
		r.Error(err)
	}
}

// until waits for an answer of the database.
func (r *reader) until(what, question, want string) {
	r.Helper()
	for end := time.Now().Add(time.Minute); postgrestest.Ask(r.T, r.text, question) != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("not in a minute: %s", what)
		}
	}
}

// lacking is a database of ours before the first index that is made while others write. It
// is in use: there is a key.
func lacking(t *testing.T) (text string) {
	t.Helper()
	text = postgrestest.URL(t)
	before := fstest.MapFS{}
	for version := int64(1); version <= current().target(); version++ {
		beside, err := current().besideOthers(version)
		if err != nil {
			t.Fatal(err)
		}
		if beside {
			break
		}
		names, err := fs.Glob(current().files, fmt.Sprintf("%05d_*.sql", version))
		if err != nil {
			t.Fatal(err)
		}
		b, err := fs.ReadFile(current().files, names[0])
		if err != nil {
			t.Fatal(err)
		}
		before[names[0]] = &fstest.MapFile{Data: b}
	}
	opened(t, parsed(t, text), schema{before})
	postgrestest.Exec(t, text, `INSERT INTO keys (id, usage, algorithm, material, sealed, created, sign_from, retired, expires) VALUES ('k', '', '', '', 0, 0, 0, 0, 0)`)
	return text
}

const (
	unfinished = `SELECT count(*)::TEXT FROM pg_index WHERE NOT indisvalid`
	waiting    = `SELECT count(*)::TEXT FROM pg_stat_activity WHERE application_name = 'gatehouse upgrade' AND wait_event_type = 'Lock' AND datname = current_database()`
)

// TestIndexWaitsForWhoReadsForLong: nobody waits behind it, so it waits for longer than for
// a table, and says for whom.
func TestIndexWaitsForWhoReadsForLong(t *testing.T) {
	t.Parallel()
	text := lacking(t)
	report := reading(t, text)
	a := parsed(t, postgrestest.With(text, "lock_timeout", "100"))
	told := make(chan string, 10)
	a.Waits(func(who string) { told <- who })
	started := make(chan error, 1)
	go func() {
		st, err := open(t.Context(), a, current())
		if err == nil {
			err = st.Close()
		}
		started <- err
	}()
	select {
	case err := <-started:
		t.Fatalf("beside a transaction that may not see its index: %v", err)
	case got := <-told:
		if want := fmt.Sprintf("pid %d (report)", report.pid); got != want {
			t.Errorf("it waits for %s, want %s", got, want)
		}
	}
	report.ends()
	if err := <-started; err != nil {
		t.Error(err)
	}
}

// TestIndexThatCouldNotBeMadeIsMadeAnew: beside somebody who reads for very long, such as
// pg_dump, an index cannot be finished while everybody writes. What is left of it is of
// no use, and the next start makes it.
func TestIndexThatCouldNotBeMadeIsMadeAnew(t *testing.T) {
	t.Parallel()
	text := lacking(t)
	report := reading(t, text)
	late, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	if st, err := open(late, parsed(t, text), current()); err == nil {
		_ = st.Close()
		t.Fatal("an index was made beside a transaction that may not see it")
	} else if want := fmt.Sprintf("such as pg_dump or an export, here for pid %d (report): start again when that is over: ", report.pid); !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	if late.Err() != nil {
		t.Error("who came with it and waits for it has given up before it has")
	}
	report.until("the index is given up", unfinished, "1")
	report.ends()
	signIn(t, opened(t, parsed(t, text), current()), "a")
	if got := postgrestest.Ask(t, text, unfinished); got != "0" {
		t.Errorf("%s indexes are unfinished after the next start", got)
	}
}

// TestFirstStartWaitsForNobody: where there is no row yet, nobody can miss an index. One that
// was ended half way is followed by another.
func TestFirstStartWaitsForNobody(t *testing.T) {
	t.Parallel()
	halfWay := lacking(t)
	postgrestest.Exec(t, halfWay, `DELETE FROM keys`)
	for name, text := range map[string]string{"first": postgrestest.URL(t), "half way": halfWay} {
		t.Run(name, func(t *testing.T) { waitsForNobody(t, text) })
	}
}

func waitsForNobody(t *testing.T, text string) {
	report := reading(t, text)
	soon, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	st, err := open(soon, parsed(t, text), current())
	if err != nil {
		t.Fatal(err)
	}
	signIn(t, st, "a")
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	report.ends()
	if got := postgrestest.Ask(t, text, unfinished); got != "0" {
		t.Errorf("%s indexes are unfinished", got)
	}
}

// TestWhoMayNotUpgradeWaitsForWhoDoes, and serves then.
func TestWhoMayNotUpgradeWaitsForWhoDoes(t *testing.T) {
	t.Parallel()
	text := lacking(t)
	owner := parsed(t, text).way.Load().config.User
	name, as := postgrestest.Role(t, text)
	postgrestest.Exec(t, text, documented(t, owner, name))
	report := reading(t, text)
	started := make(chan error, 2)
	start := func(text, id string) {
		st, err := open(t.Context(), parsed(t, text), current())
		if err == nil {
			signIn(t, st, id)
			err = st.Close()
		}
		started <- err
	}
	go start(text, "a")
	report.until("the upgrade waits for the report", waiting, "1")
	go start(as, "b")
	report.until("the other has come", `SELECT count(*)::TEXT FROM pg_stat_activity WHERE application_name = 'gatehouse upgrade' AND usename = '`+name+`'`, "1")
	select {
	case err := <-started:
		t.Errorf("while the upgrade is under way: %v", err)
	default:
	}
	report.ends()
	for range 2 {
		if err := <-started; err != nil {
			t.Error(err)
		}
	}
}
