package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// TestExportTakesNothingFromRequests: somebody reads one for as long as he likes, with a
// connection that comes and goes with it; and one at a time, or operators would have
// them all.
func TestExportTakesNothingFromRequests(t *testing.T) {
	t.Parallel()
	text := postgrestest.URL(t)
	st := open(t, postgrestest.With(text, "pool_max_conns", "1"))
	copying := func() string {
		return postgrestest.Ask(t, text, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gatehouse copying'`)
	}
	if err := st.Apply(t.Context(), now, store.PutAccount{Account: store.Account{ID: "before", State: store.Active}}); err != nil {
		t.Fatal(err)
	}
	held, release, ended := make(chan bool), make(chan bool), make(chan error)
	var seen int
	go func() {
		ended <- st.Snapshot(t.Context(), func(tx *sql.Tx) error {
			look := func() error { return tx.QueryRow(`SELECT COUNT(*) FROM accounts`).Scan(&seen) }
			if err := look(); err != nil {
				return err
			}
			held <- true
			<-release
			return look()
		})
	}()
	<-held
	soon, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := st.Apply(soon, now, store.PutAccount{Account: store.Account{ID: "meanwhile", State: store.Active}}); err != nil {
		t.Errorf("a request beside an export: %v", err)
	}
	if _, err := st.Account(soon, "meanwhile"); err != nil {
		t.Errorf("a look-up beside an export: %v", err)
	}
	if n := copying(); n != "1" {
		t.Errorf("%s connections copy", n)
	}
	second, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := st.Snapshot(second, func(*sql.Tx) error { return nil })
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second one beside it: %v", err)
	}
	close(release)
	if err := <-ended; err != nil || seen != 1 {
		t.Errorf("%d accounts of its moment, %v", seen, err)
	}
	for end := time.Now().Add(time.Minute); copying() != "0"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("its connection stays")
		}
	}
	if err := st.Snapshot(t.Context(), func(*sql.Tx) error { return nil }); err != nil {
		t.Errorf("the next one: %v", err)
	}
}
