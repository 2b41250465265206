package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// backlog is sign-ins that are over, with three refresh tokens each, beside as many
// that are not, and the changes of a day.
const backlog = `
INSERT INTO families (id, account, client, source, amr, scopes, auth_time, created, expires, revoked, session, claims)
SELECT 'f' || i, 'a' || i, 'c', '', '', '', 0, 0, CASE WHEN i % 2 = 0 THEN $past - i ELSE $future + i END, 0, '', '' FROM generate_series(1, 20000) i;
INSERT INTO refresh_tokens (family, position, hash, spent) SELECT n, p, decode(md5(n || '/' || p), 'hex'), 0 FROM families CROSS JOIN generate_series(0, 2) p;
INSERT INTO changes (at, keys, revoked) SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) - (10001 - i) * 8000, 0, '[]' FROM generate_series(1, 10000) i;
INSERT INTO events (at, actor, action, subject, detail) SELECT $past - CAST(500 AS BIGINT) * 86400000, '', '', '', '' FROM generate_series(1, 5000) i;
ANALYZE`

// A sweep that has much to do looks at each row some times, however much there is: a
// day without one, or a million sign-ins that end together, takes longer and no more
// for each. What was announced and what happened does not stay for ever.
func TestSweepOfABacklogGrowsWithIt(t *testing.T) {
	text := postgrestest.URL(t)
	st := open(t, text)
	admin, err := pgx.Connect(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	fill := strings.NewReplacer("$past", fmt.Sprint(now.Add(-time.Hour).UnixMilli()), "$future", fmt.Sprint(now.Add(time.Hour).UnixMilli())).Replace(backlog)
	filled := time.Now()
	if _, err := admin.Exec(t.Context(), fill); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	wholeReads(t, admin) // waits for the connections
	before := sum(indexReads(t, admin))
	st = open(t, text)
	const step = 500
	removed, steps := 0, 0
	for n := step; n >= step; steps++ {
		if n, err = st.Sweep(t.Context(), now, step); err != nil {
			t.Fatal(err)
		}
		removed += n
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	// Of the changes those of the last hour stay: 450, one every eight seconds, or as many less as have gone.
	const least = 10_000*(1+3) + 9_550 + 5_000
	if most := least + 2 + int(time.Since(filled)/(8*time.Second)); removed < least || removed > most {
		t.Errorf("%d rows removed, want %d to %d", removed, least, most)
	}
	wholeReads(t, admin)
	if read := sum(indexReads(t, admin)) - before; read > 5*removed {
		t.Errorf("%d entries of indexes were read to remove %d rows in %d steps", read, removed, steps)
	}
}

func sum(counts map[string]int) (all int) {
	for _, n := range counts {
		all += n
	}
	return all
}
