package postgres_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/storetest"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	if text := os.Getenv(asRotation); text != "" {
		if err := rotate(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(postgrestest.Main(m))
}

// opener opens the same database each time.
func opener(tb testing.TB, text string) storetest.Open {
	tb.Helper()
	address, err := postgres.ParseAddress(text)
	if err != nil {
		tb.Fatal(err)
	}
	return func(ctx context.Context) (*store.Store, error) { return postgres.Open(ctx, address) }
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open { return opener(t, postgrestest.URL(t)) })
}
