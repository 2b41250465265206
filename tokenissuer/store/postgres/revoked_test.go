package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// TestManyRevocationsAreReadInParts: a database gives each statement five seconds, and
// what is revoked may be millions.
func TestManyRevocationsAreReadInParts(t *testing.T) {
	t.Parallel()
	const most, live, dead = 10_000, 25_000, 10_500 // the dead are a whole part, and more
	text := postgrestest.URL(t)
	st := open(t, text)
	at := time.Now()
	fill := func(what string, count int, expires time.Time) {
		postgrestest.Exec(t, text, fmt.Sprintf(`INSERT INTO revoked_tokens (id, expires) SELECT '%s' || i, %d FROM generate_series(1, %d) i`,
			what, expires.UnixMilli(), count))
	}
	fill("a", live/2, at.Add(time.Hour))
	fill("b", dead, at.Add(-time.Second))
	fill("c", live/2, at.Add(time.Hour))
	postgrestest.Exec(t, text, fmt.Sprintf(`DELETE FROM revoked_tokens WHERE id = 'a7'; INSERT INTO revoked_clients (id, not_before, expires) VALUES ('shop', 1, %d)`,
		at.Add(time.Hour).UnixMilli()))

	seen := map[string]bool{}
	err := st.Revocations(t.Context(), at, func(some []store.Revocation) {
		if len(some) > most {
			t.Errorf("%d at once", len(some))
		}
		for _, r := range some {
			name := r.Token + r.Client
			if seen[name] || r.Token != "" && name[0] == 'b' || !r.Expires.After(at) {
				t.Errorf("%+v: twice, or expired", r)
			}
			seen[name] = true
		}
	})
	if err != nil || len(seen) != live || !seen["shop"] { // one was taken out, the client came
		t.Errorf("%d of %d, %v", len(seen), live, err)
	}
}
