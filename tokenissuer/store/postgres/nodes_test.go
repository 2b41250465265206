package postgres_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// TestWhoServesIsSeen: each process that follows the others, of this schema alone, for
// as long as it does.
func TestWhoServesIsSeen(t *testing.T) {
	t.Parallel()
	text := postgrestest.URL(t)
	postgrestest.Exec(t, text, `CREATE SCHEMA beside`)
	beside := postgrestest.With(text, "search_path", "beside")
	serve := func(text string) (end func()) {
		t.Helper()
		st := open(t, text)
		ctx, cancel := context.WithCancel(t.Context())
		listens, ended := make(chan struct{}, 1), make(chan struct{})
		go func() {
			defer close(ended)
			_ = st.Listen(ctx, func() {
				select {
				case listens <- struct{}{}:
				default:
				}
			})
		}()
		<-listens
		return func() { cancel(); <-ended }
	}
	sees := func(text string, want ...string) {
		t.Helper()
		a, err := postgres.ParseAddress(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) { // a session ends after its process
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
	first()
	sees(text, "127.0.0.1")
	third := serve(beside)
	sees(beside, "127.0.0.1")
	second()
	sees(text)
	third()
}
