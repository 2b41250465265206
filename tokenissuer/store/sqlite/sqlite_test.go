package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/storetest"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		path := filepath.Join(t.TempDir(), "issuer.db")
		return func(ctx context.Context) (*store.Store, error) { return sqlite.Open(ctx, path) }
	})
}
