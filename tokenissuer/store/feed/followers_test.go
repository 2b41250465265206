package feed_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/feed"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// BenchmarkFollowers is what nodes cost that follow one database: each of them idle,
// and each revocation in each of them, in the database and in the nodes. All run in
// this process. One op is five seconds: -benchtime 3x.
func BenchmarkFollowers(b *testing.B) {
	for _, nodes := range []int{1, 10, 30, 60} {
		text := postgrestest.URL(b)
		f := startFollowers(b, text, nodes)
		for _, rate := range []int{0, 1, 10, 100} {
			b.Run(fmt.Sprintf("nodes=%d/revocations=%d", nodes, rate), func(b *testing.B) {
				for b.Loop() {
					f.measure(b, rate)
				}
			})
		}
		f.stop()
	}
}

// followers are nodes that follow, and one of them that revokes.
type followers struct {
	server  int // the database's first process
	stores  []*store.Store
	heard   []map[string]time.Time // by each, of each token
	mu      sync.Mutex
	stop    func()
	revoked int
}

func startFollowers(b *testing.B, text string, nodes int) *followers {
	b.Helper()
	f := &followers{server: serverOf(b, text)}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for n := range nodes {
		address, err := postgres.ParseAddress(text + "&pool_max_conns=1")
		if err != nil {
			b.Fatal(err)
		}
		st, err := postgres.Open(b.Context(), address)
		if err != nil {
			b.Fatal(err)
		}
		tail, err := feed.NewTail(b.Context(), st, time.Now, func(err error) { b.Error(err) })
		if err != nil {
			b.Fatal(err)
		}
		if _, err := feed.Open(b.Context(), st, time.Now()); err != nil {
			b.Fatal(err)
		}
		f.stores, f.heard = append(f.stores, st), append(f.heard, map[string]time.Time{})
		st.Follow(func(_ time.Time, revoked []store.Revocation) {
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, r := range revoked {
				if _, before := f.heard[n][r.Token]; !before {
					f.heard[n][r.Token] = time.Now()
				}
			}
		})
		all.Go(func() { tail.Run(ctx, func(context.Context) error { return nil }) })
	}
	f.stop = func() {
		cancel()
		all.Wait()
		for _, st := range f.stores {
			_ = st.Close()
		}
	}
	return f
}

// measure revokes for five seconds at a rate.
func (f *followers) measure(b *testing.B, rate int) {
	const long = 5 * time.Second
	time.Sleep(time.Second) // until what came before has been read
	db, own, began := f.cpu(), processCPU(b), time.Now()
	done := map[string]time.Time{}
	for n := 1; n <= rate*int(long.Seconds()); n++ {
		time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(rate))))
		f.revoked++
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", f.revoked)
		if err := f.stores[0].Apply(context.Background(), time.Now(), store.RevokeToken{ID: id, Expires: time.Now().Add(time.Hour)}); err != nil {
			b.Fatal(err)
		}
		done[id] = time.Now()
	}
	time.Sleep(time.Until(began.Add(long + time.Second)))
	took := time.Since(began).Seconds()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64((f.cpu()-db).Microseconds())/took, "db-us/s")
	b.ReportMetric(float64((processCPU(b)-own).Microseconds())/took/float64(len(f.stores)), "node-us/s")
	b.ReportMetric(f.private(), "KiB/conn")
	var late []time.Duration
	for end := time.Now().Add(30 * time.Second); !f.allHeard(done) && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, at := range done {
		last := at
		for n := range f.heard {
			heard, ok := f.heard[n][id]
			if !ok {
				b.Fatalf("node %d has not heard of %s", n, id)
			}
			if heard.After(last) {
				last = heard
			}
			delete(f.heard[n], id)
		}
		late = append(late, last.Sub(at))
	}
	if slices.Sort(late); len(late) > 0 {
		b.ReportMetric(late[len(late)/2].Seconds()*1000, "ms-p50")
		b.ReportMetric(late[len(late)*99/100].Seconds()*1000, "ms-p99")
	}
}

func (f *followers) allHeard(done map[string]time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n := range f.heard {
		for id := range done {
			if _, ok := f.heard[n][id]; !ok {
				return false
			}
		}
	}
	return true
}

// serverOf is the first process of a database of this machine.
func serverOf(b *testing.B, text string) int {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), text)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var lines string
	if err := conn.QueryRow(b.Context(), `SELECT pg_read_file('postmaster.pid')`).Scan(&lines); err != nil {
		b.Fatal(err)
	}
	first, _, _ := strings.Cut(lines, "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		b.Fatal(err)
	}
	return pid
}

// processes are the database's.
func (f *followers) processes() []string {
	first := strconv.Itoa(f.server)
	children, _ := os.ReadFile(filepath.Join("/proc", first, "task", first, "children"))
	return append(strings.Fields(string(children)), first)
}

// cpu is what the database's processes have run. Those that end meanwhile are left out:
// nobody connects anew in so short a time.
func (f *followers) cpu() time.Duration {
	sum := time.Duration(0)
	for _, pid := range f.processes() {
		text, _ := os.ReadFile(filepath.Join("/proc", pid, "schedstat"))
		ran, _, _ := strings.Cut(string(text), " ")
		n, _ := strconv.ParseInt(ran, 10, 64)
		sum += time.Duration(n)
	}
	return sum
}

// private is the memory in KiB that a connection's process has for itself, the mean of all.
func (f *followers) private() float64 {
	sum, connections := 0.0, 0.0
	for _, pid := range f.processes() {
		if said, _ := os.ReadFile(filepath.Join("/proc", pid, "cmdline")); !strings.Contains(string(said), "127.0.0.1(") {
			continue
		}
		connections++
		text, _ := os.ReadFile(filepath.Join("/proc", pid, "smaps_rollup"))
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "Private_") {
				n, _ := strconv.ParseFloat(strings.Fields(line)[1], 64)
				sum += n
			}
		}
	}
	return sum / connections
}

// processCPU is what this process has run.
func processCPU(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
