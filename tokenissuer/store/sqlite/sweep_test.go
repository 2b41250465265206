package sqlite

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// TestSweepGoesOnBehindWhatFails: a row that cannot be removed keeps none of another
// table.
func TestSweepGoesOnBehindWhatFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	st, err := open(t.Context(), path, current())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	err = st.Apply(t.Context(), now, store.PutEvent{Event: store.Event{At: now}}, store.TakeQuota{Key: store.Hash{1}, Most: 1, Window: time.Hour},
		store.RevokeToken{ID: "t", Expires: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	db := raw(t, path)
	if _, err := db.Exec(`CREATE TRIGGER kept BEFORE DELETE ON quotas BEGIN SELECT RAISE(ABORT, 'kept'); END`); err != nil {
		t.Fatal(err)
	}
	later := now.AddDate(10, 0, 0)
	done, err := st.Sweep(t.Context(), later, math.MaxInt)
	if done != 2 || err == nil || !strings.Contains(err.Error(), "sweeping quotas: ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%d rows, %v; want 2, and that quotas could not be swept", done, err)
	}
	if _, err := db.Exec(`DROP TRIGGER kept`); err != nil {
		t.Fatal(err)
	}
	if done, err := st.Sweep(t.Context(), later, math.MaxInt); done != 1 || err != nil {
		t.Errorf("the next time: %d rows, %v", done, err)
	}
}
