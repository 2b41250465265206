package postgres_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// lingering is sign-ins that are over and have a token each that lives for a day, some
// behind them without, and events of long ago.
const lingering = `
INSERT INTO families (id, account, client, source, amr, scopes, auth_time, created, expires, revoked, session, claims)
SELECT 'f' || i, 'a' || i, 'c', '', '', '', 0, 0, $past - i, 0, '', '' FROM generate_series(1, 50000) i;
INSERT INTO refresh_tokens (family, position, hash, spent) SELECT n, 0, decode(md5(n || '/'), 'hex'), 0 FROM families;
INSERT INTO tokens (family, id, expires) SELECT n, 't' || n, $day FROM families;
INSERT INTO families (id, account, client, source, amr, scopes, auth_time, created, expires, revoked, session, claims)
SELECT 'g' || i, 'a' || i, 'c', '', '', '', 0, 0, $past + i, 0, '', '' FROM generate_series(1, 1000) i;
INSERT INTO events (at, actor, action, subject, detail) SELECT $past - CAST(500 AS BIGINT) * 86400000, '', '', '', '' FROM generate_series(1, 1000) i;
ANALYZE`

// A sign-in stays for its last access token. The sweep comes by it once and not again
// before that, however many there are and however little time its statements have; what
// is behind them goes meanwhile.
func TestSweepPassesALingeringSignInOnce(t *testing.T) {
	text := postgrestest.URL(t)
	if err := open(t, text).Close(); err != nil {
		t.Fatal(err)
	}
	admin, err := pgx.Connect(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	fill := strings.NewReplacer("$past", fmt.Sprint(now.Add(-time.Hour).UnixMilli()), "$day", fmt.Sprint(now.Add(24*time.Hour).UnixMilli())).Replace(lingering)
	if _, err := admin.Exec(t.Context(), fill); err != nil {
		t.Fatal(err)
	}
	left := func(table string) string { return postgrestest.Ask(t, text, "SELECT count(*) FROM "+table) }
	sweep := func(text string, at time.Time) (done int, err error) {
		st, err := opener(t, text)(t.Context())
		if err != nil {
			return 0, err
		}
		done, err = st.Sweep(t.Context(), at, math.MaxInt)
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		return done, err
	}
	for try := 0; left("events") != "0"; try++ { // where the machine is busy, what fails is tried again, with a little more time
		if try == 30 {
			t.Fatalf("%s events are left", left("events"))
		}
		most := fmt.Sprint(100 + 10*try)
		_, err = sweep(postgrestest.With(text, "statement_timeout", most), now)
		t.Logf("with %s ms for a statement: %v", most, err)
	}
	if _, err := sweep(text, now); err != nil {
		t.Fatal(err)
	}
	if families, refresh := left("families"), left("refresh_tokens"); families != "50000" || refresh != "50000" {
		t.Errorf("of 50000 sign-ins with a token that lives %s are left, and %s refresh tokens", families, refresh)
	}

	wholeReads(t, admin) // waits for the connections
	before := sum(indexReads(t, admin))
	if done, err := sweep(text, now.Add(time.Minute)); done != 0 || err != nil {
		t.Errorf("a minute later: %d rows, %v", done, err)
	}
	wholeReads(t, admin)
	// Of what is gone some is read until a vacuum comes by; each sign-in would be 50,000 and more.
	if read := sum(indexReads(t, admin)) - before; read > 10_000 {
		t.Errorf("%d entries of indexes were read to find that nothing is over", read)
	}

	if done, err := sweep(text, now.Add(24*time.Hour)); done != 150_000 || err != nil {
		t.Errorf("when the tokens are over: %d rows, %v", done, err)
	}
}

// TestSweepGoesOnBehindWhatFails: somebody has the row of a token and keeps it.
func TestSweepGoesOnBehindWhatFails(t *testing.T) {
	text := postgrestest.URL(t)
	st := open(t, postgrestest.With(text, "lock_timeout", "100"))
	postgrestest.Exec(t, text, `
INSERT INTO tokens (family, id, expires) VALUES (1, 't', 1);
INSERT INTO events (at, actor, action, subject, detail) VALUES (1, '', '', '', '');
INSERT INTO revoked_tokens (id, expires) SELECT 'r' || i, 1 FROM generate_series(1, 1200) i;
INSERT INTO changes (at, keys, revoked) SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) - i * 80000, 0, '[]' FROM generate_series(1, 700) i;`)
	admin, err := pgx.Connect(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	if _, err := admin.Exec(t.Context(), `BEGIN; SELECT 1 FROM tokens FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	_, err = st.Sweep(t.Context(), now, math.MaxInt)
	if err == nil || !strings.Contains(err.Error(), "sweeping tokens: ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want that tokens could not be swept, and nothing else", err)
	}
	left := func(table string) string { return postgrestest.Ask(t, text, "SELECT count(*) FROM "+table) }
	for table, want := range map[string]string{"tokens": "1", "revoked_tokens": "0", "events": "0"} {
		if got := left(table); got != want {
			t.Errorf("%s: %s rows are left, want %s", table, got, want)
		}
	}
	if got := left("changes"); len(got) > 2 {
		t.Errorf("%s changes are left", got)
	}
	if _, err := admin.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if done, err := st.Sweep(t.Context(), now, math.MaxInt); done != 1 || err != nil || left("tokens") != "0" {
		t.Errorf("the next time: %d rows, %v", done, err)
	}
}
