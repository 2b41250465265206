package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// A pooler of sessions knows none of the parameters that an address may have, and is told
// to ignore none: each holds on its connections, for the store and for who listens.
func TestPoolerOfSessionsIsAServer(t *testing.T) {
	t.Parallel()
	direct := postgrestest.URL(t)
	postgrestest.Exec(t, direct, `CREATE SCHEMA issuer`)
	pool := postgrestest.Pool(t, direct, "session")
	text := postgrestest.With(postgrestest.With(pool.Address(), "search_path", "issuer"), "lock_timeout", "1234")
	var all sync.WaitGroup
	for n := range 4 { // at once, on an empty database
		all.Go(func() { signIn(t, opened(t, parsed(t, text), current()), fmt.Sprint(n)) })
	}
	all.Wait()

	a := parsed(t, text)
	db := a.open("")
	defer func() { _ = db.Close() }()
	for name, want := range map[string]string{
		"statement_timeout": "5s", "lock_timeout": "1234ms", "idle_in_transaction_session_timeout": "10s", "search_path": "issuer", "application_name": "gatehouse",
	} {
		var got string
		if err := db.QueryRowContext(t.Context(), `SELECT current_setting($1)`, name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q, %v", name, got, want, err)
		}
	}

	// One listens and hears what another says; the pooler ends, and comes back.
	for _, again := range []string{"a", "b"} {
		heard, listening := make(chan struct{}, 10), make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { listening <- a.listen(ctx, func() { heard <- struct{}{} }) }()
		<-heard
		if _, err := db.ExecContext(ctx, `SELECT pg_notify('gatehouse_' || oid, '') FROM pg_namespace WHERE nspname = 'issuer'`); err != nil {
			t.Fatal(err)
		}
		<-heard
		pool.Stop()
		<-listening
		cancel()
		pool.Begin(t)
		st := opened(t, parsed(t, text), current())
		signIn(t, st, again)
		if _, err := st.Position(t.Context()); err != nil {
			t.Error(err)
		}
		if serving, err := a.Serving(t.Context()); err != nil || len(serving) != 1 {
			t.Errorf("%q serve, %v", serving, err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

// One of transactions would answer, and then lose what was prepared, and keep the lock
// of the upgrade. Other clients of it come in between.
func TestPoolerOfTransactionsIsRefused(t *testing.T) {
	t.Parallel()
	direct := postgrestest.URL(t)
	text := postgrestest.Pool(t, direct, "transaction").Address()
	for _, text := range []string{text, postgrestest.With(text, "pool_max_conns", "1")} {
		for range 3 {
			if _, err := Open(t.Context(), parsed(t, text)); err == nil || !strings.Contains(err.Error(), "gives every transaction another connection: set pool_mode = session") {
				t.Fatalf("a start: %v", err)
			}
		}
	}
	a := parsed(t, direct)
	if err := a.Change(t.Context(), parsed(t, text)); err == nil || !strings.Contains(err.Error(), "set pool_mode = session") {
		t.Errorf("a reload: %v", err)
	}
	if n := postgrestest.Ask(t, direct, `SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`); n != "0" {
		t.Errorf("%s locks are left", n)
	}
}

// One with too little room lets everybody wait, which a start must not do for ever.
func TestPoolerWithoutRoomIsSaidToHaveNone(t *testing.T) {
	t.Parallel()
	text := postgrestest.Pool(t, postgrestest.URL(t), "session\ndefault_pool_size = 1").Address()
	if _, err := Open(t.Context(), parsed(t, text)); err == nil || !strings.Contains(err.Error(), "has no second connection for this node: raise default_pool_size") {
		t.Errorf("a start: %v", err)
	}
}

// An index on a large table is made beside writers, which waits for every statement that
// began before it; nodes that wait for their turn must not be among them.
func TestIndexIsMadeWhileNodesWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	text := postgrestest.URL(t)
	signIn(t, opened(t, parsed(t, text), current()), "a")
	s := next(t, "-- +goose NO TRANSACTION\nCREATE INDEX CONCURRENTLY accounts_of_tomorrow ON accounts (state);")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			st, err := open(ctx, parsed(t, text), s)
			if err != nil {
				t.Error(err)
				return
			}
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
