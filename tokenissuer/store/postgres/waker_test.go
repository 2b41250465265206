package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// Each notification is a message to every node: one is enough for all that a node has
// committed since the last. None is too few: what is committed after one is told too.
func TestOneNotificationIsForManyChanges(t *testing.T) {
	text := postgrestest.URL(t)
	st := open(t, text)
	config, err := pgx.ParseConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	heard := 0
	config.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) { heard++ }
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var channel string
	if err := conn.QueryRow(t.Context(), `SELECT `+store.Channel).Scan(&channel); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `LISTEN `+pgx.Identifier{channel}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	// told is how often others were woken by so many changes, one after the other.
	told := func(changes int) int {
		t.Helper()
		st := open(t, text)
		for i := range changes {
			if err := st.Apply(t.Context(), now, store.RevokeToken{ID: fmt.Sprint(changes, "/", i), Expires: now.Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := st.Close(); err != nil { // which sends what is due
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `SELECT 1`); err != nil { // behind all that was sent
			t.Fatal(err)
		}
		n := heard
		heard = 0
		return n
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if n := told(1); n != 1 {
		t.Errorf("one change was told %d times", n)
	}
	began := time.Now()
	if n, most := told(300), int(time.Since(began)/(50*time.Millisecond))+2; n < 1 || n > most {
		t.Errorf("300 changes were told %d times, want 1 to %d", n, most)
	}
}
