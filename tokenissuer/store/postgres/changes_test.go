package postgres_test

import (
	"fmt"
	"testing"
	"time"

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
	// Nobody asks for them for ever.
	for after := range 13 {
		look(2*time.Minute + time.Duration(after)*5*time.Second)
	}
	row(3, "never")
	look(4 * time.Minute)
}
