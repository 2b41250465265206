package postgres_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// grown is a database after years: $n people with a sign-in and five refresh tokens
// each; two who sign in for each call, a tenth as often as there are people, with two
// tokens each time; a session with a hundred sign-ins of each of ten apps, a hundred
// tokens each; and the changes of a busy hour.
const grown = `
INSERT INTO accounts (id, username, email, name, nickname, zone_info, locale, password_hash, password_set, password_expire, state, created, updated, email_verified, phone_verified, attributes)
SELECT 'a' || i, 'u' || i, 'u' || i || '@x.example', '', '', '', '', '', 0, 0, 'active', 0, 0, 0, 0, '{}' FROM generate_series(1, $n) i;
UPDATE accounts SET id = 'loop' WHERE id = 'a' || $n;
UPDATE accounts SET id = 'role' WHERE id = 'a' || ($n - 1);
INSERT INTO families (id, account, client, source, amr, scopes, auth_time, created, expires, revoked, session, claims)
SELECT gen_random_uuid()::text, 'a' || i, 'app', 'password', 'pwd', 'openid', 0, 0, $e + i, 0, '', '' FROM generate_series(1, $n) i;
INSERT INTO refresh_tokens (family, position, hash, spent) SELECT n, p, sha256((id || p)::bytea), 0 FROM families CROSS JOIN generate_series(0, 4) p;
INSERT INTO families (id, account, client, source, amr, scopes, auth_time, created, expires, revoked, session, claims)
SELECT gen_random_uuid()::text, who, 'app', 'password', 'pwd', 'openid', 0, 1, $e + i, 0, '', '' FROM generate_series(1, $n / 10) i CROSS JOIN unnest(ARRAY['loop', 'role']) who;
INSERT INTO tokens (family, id, expires) SELECT n, gen_random_uuid()::text, $e FROM families CROSS JOIN generate_series(1, 2) WHERE account IN ('loop', 'role');
INSERT INTO families (id, account, client, source, amr, scopes, auth_time, created, expires, revoked, session, claims)
SELECT gen_random_uuid()::text, 'a1', 'app' || i % 10, 'password', 'pwd', 'openid', 0, 2, $e + i, 0, 'tabs', '' FROM generate_series(1, 1000) i;
INSERT INTO tokens (family, id, expires) SELECT n, gen_random_uuid()::text, $e FROM families CROSS JOIN generate_series(1, 100) WHERE session = 'tabs';
INSERT INTO changes (at, keys, revoked) SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) - 3500000 + i * 34 / 10, 0, '[{"t":"00000000-0000-0000-0000-000000000000","e":1}]' FROM generate_series(1, $n) i;
ANALYZE`

// BenchmarkMillion is what growth must not make dearer, beside ACCOUNTS people. Each
// part is done once, so: ACCOUNTS=1000000 go test -run '^$' -bench Million -benchtime 1x
func BenchmarkMillion(b *testing.B) {
	accounts, err := strconv.Atoi(os.Getenv("ACCOUNTS"))
	if err != nil {
		b.Skip("ACCOUNTS is not a number of people, such as 1000000")
	}
	text := postgrestest.URL(b)
	st, err := opener(b, text)(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	admin, err := pgx.Connect(b.Context(), text)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	fill := strings.NewReplacer("$n", fmt.Sprint(accounts), "$e", fmt.Sprint(now.Add(20*time.Hour).UnixMilli())).Replace(grown)
	if _, err := admin.Exec(b.Context(), fill); err != nil {
		b.Fatal(err)
	}
	m := &million{st: st, accounts: accounts}
	b.Run("look", m.look)
	b.Run("end-account", m.endAccount)
	b.Run("end-session", func(b *testing.B) { m.end(b, store.RevokeSession{ID: "tabs", All: true}) })
	b.Run("take-role", func(b *testing.B) {
		was, err := st.Account(b.Context(), "role")
		if err != nil {
			b.Fatal(err)
		}
		next := was
		next.Attributes = map[string]string{"operator/role": "reader"}
		m.end(b, store.UpdateAccount{Account: next, Was: &was}, store.RevokeTokensOf{Account: "role"})
	})
	b.Run("end-loop", func(b *testing.B) {
		m.end(b, store.SetState{Account: "loop", State: store.Frozen}, store.RevokeAccount{Account: "loop"})
	})
	b.Run("sweep", m.sweep)
}

type million struct {
	st       *store.Store
	accounts int
	next     int
}

func (m *million) apply(b *testing.B, writes ...store.Write) time.Duration {
	b.Helper()
	began := time.Now()
	if err := m.st.Apply(b.Context(), now, writes...); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// look is what each node asks twice a second.
func (m *million) look(b *testing.B) {
	cursor, err := m.st.Position(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	more := true
	for more { // to the end of what is there
		if _, _, more, err = m.st.Changes(b.Context(), cursor, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	var took []time.Duration
	for range 2000 {
		began := time.Now()
		if _, _, _, err = m.st.Changes(b.Context(), cursor, time.Now()); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	report(b, "look", took)
}

// endAccount ends all of people as they are.
func (m *million) endAccount(b *testing.B) {
	var took []time.Duration
	for range 300 {
		m.next += 7
		took = append(took, m.apply(b, store.RevokeAccount{Account: fmt.Sprint("a", 2+m.next%(m.accounts-3))}))
	}
	report(b, "end", took)
}

// end ends very much at once, beside somebody who refreshes all the time.
func (m *million) end(b *testing.B, writes ...store.Write) {
	ended, steps := 0, 0
	m.st.Follow(func(_ time.Time, revoked []store.Revocation) { ended, steps = ended+len(revoked), steps+1 })
	beside := m.refresh(b)
	took := m.apply(b, writes...)
	report(b, "refresh", beside())
	b.ReportMetric(took.Seconds(), "s-all")
	b.ReportMetric(float64(ended), "tokens")
	b.ReportMetric(float64(steps), "transactions")
}

// refresh rotates one sign-in's token until it is told to stop.
func (m *million) refresh(b *testing.B) (stop func() []time.Duration) {
	b.Helper()
	id := fmt.Sprint("beside", m.next)
	m.next++
	hash := func(n int) store.Hash { return store.Hash{byte(m.next), byte(n), byte(n >> 8), byte(n >> 16), 1} }
	m.apply(b, store.PutFamily{Family: store.Family{ID: id, Account: "a1", Client: "app", Expires: now.Add(900 * time.Hour)}},
		store.PutRefresh{Refresh: store.Refresh{Hash: hash(0), Family: id}})
	ctx, cancel := context.WithCancel(b.Context())
	var took []time.Duration
	var all sync.WaitGroup
	all.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			began := time.Now()
			err := m.st.Apply(b.Context(), now, store.SpendRefresh{Hash: hash(n)}, store.DropSpentRefresh{Family: id, N: n - 1},
				store.PutRefresh{Refresh: store.Refresh{Hash: hash(n + 1), Family: id, N: n + 1}})
			if err != nil {
				b.Error(err)
				return
			}
			took = append(took, time.Since(began))
		}
	})
	return func() []time.Duration { cancel(); all.Wait(); return took }
}

// sweep removes everybody's sign-ins, which have ended.
func (m *million) sweep(b *testing.B) {
	at := now.Add(800 * time.Hour)
	beside := m.refresh(b)
	began, removed := time.Now(), 0
	var took []time.Duration
	for n := 500; n >= 500; removed += n {
		var err error
		began := time.Now()
		if n, err = m.st.Sweep(b.Context(), at, 500); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	all := time.Since(began)
	report(b, "refresh", beside())
	report(b, "step", took)
	b.ReportMetric(all.Seconds(), "s-all")
	b.ReportMetric(float64(removed), "rows")
	b.ReportMetric(float64(removed)/all.Seconds(), "rows/s")
}

func report(b *testing.B, of string, took []time.Duration) {
	b.Helper()
	b.ReportMetric(0, "ns/op")
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	at := func(part int) float64 {
		return float64(took[min(len(took)-1, len(took)*part/100)].Microseconds()) / 1000
	}
	b.ReportMetric(at(50), "ms-p50-"+of)
	b.ReportMetric(at(99), "ms-p99-"+of)
	b.ReportMetric(at(100), "ms-most-"+of)
}
