package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		path := filepath.Join(t.TempDir(), "issuer.db")
		return func(ctx context.Context) (*store.Store, error) { return sqlite.Open(ctx, path) }
	})
}
