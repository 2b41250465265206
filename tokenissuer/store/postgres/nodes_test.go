package postgres_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// TestWhoServesIsSeen: each process that follows the others, of this schema alone, for
// as long as it does, whether it can listen or not.
func TestWhoServesIsSeen(t *testing.T) {
	t.Parallel()
	text := postgrestest.URL(t)
	postgrestest.Exec(t, text, `CREATE SCHEMA beside`)
	beside := postgrestest.With(text, "search_path", "beside")
	var again []func() // of each
	serve := func(text string) (end func()) {
		t.Helper()
		st := open(t, text)
		look := func() {
			t.Helper()
			if _, err := st.Position(t.Context()); err != nil {
				t.Error(err)
			}
		}
		look()
		again = append(again, look)
		return func() { _ = st.Close() }
	}
	sees := func(text string, want ...string) {
		t.Helper()
		a, err := postgres.ParseAddress(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // a session ends after its process
			if got, err = a.Serving(t.Context()); err != nil {
				t.Fatal(err)
			}
			if slices.Equal(got, want) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%q serve, want %q", got, want)
			}
		}
	}
	sees(text)
	first, second := serve(text), serve(text)
	sees(text, "127.0.0.1", "127.0.0.1")
	sees(beside)
	if n := postgrestest.Terminate(t, text, "gatehouse following"); n != 2 {
		t.Errorf("%d connections were ended", n)
	}
	sees(text)
	for _, look := range again { // over a new connection
		look()
	}
	sees(text, "127.0.0.1", "127.0.0.1")
	first()
	sees(text, "127.0.0.1")
	third := serve(beside)
	sees(beside, "127.0.0.1")
	second()
	sees(text)
	third()
}
