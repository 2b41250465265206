package postgres_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// BenchmarkRotation is the durable part of one refresh, as sqlite's is: spend a
// token, store its successor, record the access token. cpu-us/op is this process's
// alone; the server's processes are beside it on the same machine.
func BenchmarkRotation(b *testing.B) {
	for _, clients := range []int{1, 8} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) { rotations(b, clients) })
	}
}

func rotations(b *testing.B, clients int) {
	ctx, cancel := context.WithCancel(context.Background()) // as a request's context is
	defer cancel()
	text := postgrestest.URL(b)
	st, err := opener(b, text)(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = st.Close() }()

	const families = 1000
	id := func(kind string, i int) string {
		return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, kind, i)).String()
	}
	hash := func(family, n int) store.Hash { return sha256.Sum256(fmt.Append(nil, family, "/", n)) }
	for i := range families {
		err := st.Apply(ctx, now,
			store.PutAccount{Account: store.Account{ID: id("account", i), Username: fmt.Sprint("user", i), State: store.Active}},
			store.PutFamily{Family: store.Family{
				ID: id("family", i), Account: id("account", i), Client: "shop",
				Source: "staff", AMR: []string{"pwd"}, Scopes: []string{"openid", "orders:read"}, Expires: now.Add(24 * time.Hour),
			}},
			store.PutRefresh{Refresh: store.Refresh{Hash: hash(i, 0), Family: id("family", i)}})
		if err != nil {
			b.Fatal(err)
		}
	}

	var next atomic.Int64
	rotate := func(i int) error {
		f, n := i%families, i/families
		return st.Apply(ctx, now,
			store.SpendRefresh{Hash: hash(f, n)},
			store.PutRefresh{Refresh: store.Refresh{Hash: hash(f, n+1), Family: id("family", f), N: n + 1}},
			store.PutToken{Token: store.Token{ID: id("token", i), Family: id("family", f), Expires: now.Add(5*time.Minute + time.Duration(i)*time.Millisecond)}})
	}
	b.ReportAllocs()
	written := walBytes(b, text)
	b.ResetTimer()
	before := cpu()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				if err := rotate(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64(walBytes(b, text)-written)/float64(b.N), "wal-B/op")
}

// walBytes is how much the server has written to its log, which is what its disk and its
// standbys get.
func walBytes(b *testing.B, text string) (n int64) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), text)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(b.Context(), `SELECT CAST(pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') AS BIGINT)`).Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

// BenchmarkFamilyOf is the look-up behind introspection and userinfo.
func BenchmarkFamilyOf(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	st, err := opener(b, postgrestest.URL(b))(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	err = st.Apply(ctx, now,
		store.PutAccount{Account: store.Account{ID: "a", State: store.Active}},
		store.PutFamily{Family: store.Family{ID: "f", Account: "a", Expires: now.Add(time.Hour)}},
		store.PutToken{Token: store.Token{ID: "t", Family: "f", Expires: now.Add(time.Hour)}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	for range b.N {
		if _, _, err := st.FamilyOf(ctx, "t"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-us/op")
}

// cpu is the processor time of this process, the kernel's part included.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
