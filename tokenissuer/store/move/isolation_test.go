package move

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// TestKeyThatCameWhileAnImportWaitedIsSeen, whatever isolation the database's operator
// has set for those who ask for none: a node that starts has made it.
func TestKeyThatCameWhileAnImportWaitedIsSeen(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"read committed", "repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			url := postgrestest.URL(t)
			postgrestest.Exec(t, url, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = ''`+level+`''', current_database()); END $$`)
			st, err := at(t.Context(), postgrestest.With(postgrestest.With(url, "lock_timeout", "60000"), "statement_timeout", "60000"))
			opened(t, st, err)
			node, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = node.Close(context.Background()) }()
			if _, err := node.Exec(t.Context(), `BEGIN ISOLATION LEVEL READ COMMITTED; SELECT floor FROM schema_floor FOR UPDATE;
				INSERT INTO keys (n, id, usage, algorithm, material, sealed, created, sign_from, retired, expires) VALUES (1000, 'early', 'sig', 'ES256', '', 0, 0, 0, 0, 0)`); err != nil {
				t.Fatal(err)
			}
			imported := make(chan error, 1)
			go func() {
				_, err := Import(t.Context(), st, bytes.NewReader(example(t, 2)), nil)
				imported <- err
			}()
			for postgrestest.Ask(t, url, `SELECT count(*)::TEXT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == "0" {
				continue // until it waits
			}
			if _, err := node.Exec(t.Context(), `COMMIT`); err != nil {
				t.Fatal(err)
			}
			if err := <-imported; !errors.Is(err, ErrNotEmpty) {
				t.Errorf("among a key that was there: %v", err)
			}
		})
	}
}
