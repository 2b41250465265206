package postgres

import (
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// TestIndexThatCouldNotBeMadeIsMadeAnew: beside somebody who reads for long, such as
// pg_dump, an index cannot be finished while everybody writes. What is left of it is of
// no use, and the next start makes it.
func TestIndexThatCouldNotBeMadeIsMadeAnew(t *testing.T) {
	text := postgrestest.URL(t)
	db := parsed(t, text).open("")
	defer func() { _ = db.Close() }()
	reads, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reads.Exec(`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL idle_in_transaction_session_timeout = 0; SELECT 1`); err != nil {
		t.Fatal(err)
	}
	hasty := postgrestest.With(text, "lock_timeout", "100")
	if st, err := open(t.Context(), parsed(t, hasty), current()); err == nil {
		_ = st.Close()
		t.Fatal("an index was made beside a transaction that may not see it")
	} else if !strings.Contains(err.Error(), "such as pg_dump or an export: start again when that is over: ") {
		t.Error(err)
	}
	unfinished := `SELECT count(*) FROM pg_index WHERE NOT indisvalid`
	if got := postgrestest.Ask(t, text, unfinished); got != "1" {
		t.Errorf("%s indexes are unfinished, want 1", got)
	}
	if err := reads.Rollback(); err != nil {
		t.Fatal(err)
	}
	signIn(t, opened(t, parsed(t, text), current()), "a")
	if got := postgrestest.Ask(t, text, unfinished); got != "0" {
		t.Errorf("%s indexes are unfinished after the next start", got)
	}
}
