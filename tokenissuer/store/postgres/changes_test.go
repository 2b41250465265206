package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// TestReaderThatStoodStillMissesNothing: a number was given out, and its transaction
// commits while the reader is paused or cut off for longer than it waits for any.
func TestReaderThatStoodStillMissesNothing(t *testing.T) {
	text := postgrestest.URL(t)
	st := open(t, text)
	cursor, err := st.Position(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	look := func(after time.Duration, want ...string) {
		t.Helper()
		changes, _, _, err := st.Changes(t.Context(), cursor, began.Add(after))
		if err != nil {
			t.Fatal(err)
		}
		var heard []string
		for _, c := range changes {
			for _, r := range c.Revoked {
				heard = append(heard, r.Token)
			}
		}
		if fmt.Sprint(heard) != fmt.Sprint(want) {
			t.Errorf("after %s the reader heard %q, want %q", after, heard, want)
		}
	}
	row := func(n int, token string) {
		t.Helper()
		postgrestest.Exec(t, text, fmt.Sprintf(`INSERT INTO changes (n, at, keys, revoked) OVERRIDING SYSTEM VALUE VALUES (%d, %d, 0, '[{"t":%q,"e":%d}]')`,
			n, began.UnixMilli(), token, began.Add(time.Hour).UnixMilli()))
	}
	postgrestest.Exec(t, text, `SELECT nextval(pg_get_serial_sequence('changes', 'n')) FROM generate_series(1, 3)`)
	if err := st.Apply(t.Context(), began, store.RevokeToken{ID: "first", Expires: began.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	look(0, "first")
	row(2, "late") // 1 and 3 are undone
	look(2*time.Minute, "late")
	// Nobody asks for ever.
	for after := range 721 {
		look(2*time.Minute + time.Duration(after)*5*time.Second)
	}
	row(3, "never")
	look(3 * time.Hour)
}

// TestCommitThatWaitsForAStandbyIsNotMissed, by who follows and by who starts meanwhile:
// it can take as long as the standby is away, when its node has died.
func TestCommitThatWaitsForAStandbyIsNotMissed(t *testing.T) {
	text := postgrestest.URL(t)
	st := open(t, text)
	db, err := pgx.Connect(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	place := func() *store.Cursor {
		t.Helper()
		cursor, err := st.Position(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return cursor
	}
	began := time.Now()
	revoked := func(id string) {
		t.Helper()
		if err := st.Apply(t.Context(), began, store.RevokeToken{ID: id, Expires: began.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	follows := place()
	revoked("before")
	if _, err := db.Exec(t.Context(), `BEGIN; INSERT INTO changes (at, keys, revoked) VALUES (0, 0, '[{"t":"late","e":99999999999999}]')`); err != nil {
		t.Fatal(err)
	}
	revoked("after")
	postgrestest.Exec(t, text, `UPDATE changes SET at = at - 120000`)
	readers := map[string]*store.Cursor{"follows": follows, "starts": place()}
	for minutes := range 20 {
		for name, cursor := range readers {
			changes, _, _, err := st.Changes(t.Context(), cursor, began.Add(time.Duration(minutes)*time.Minute))
			if err != nil || minutes > 0 && len(changes) > 0 {
				t.Errorf("who %s read %v, %v", name, changes, err)
			}
		}
	}
	if _, err := db.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	for name, cursor := range readers {
		changes, _, _, err := st.Changes(t.Context(), cursor, began.Add(time.Hour))
		if err != nil || len(changes) != 1 || changes[0].Revoked[0].Token != "late" {
			t.Errorf("who %s misses what was committed late: %v, %v", name, changes, err)
		}
	}
}
