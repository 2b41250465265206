package feed_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/feed"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// patience is for a machine that does other things, too. How long it takes is measured
// by the whole program's tests.
const patience = time.Minute

// node is a process that follows the changes of others.
type node struct {
	*testing.T
	st      *store.Store
	revoked *feed.Revocations
	tail    *feed.Tail

	mu    sync.Mutex
	keys  int                         // how often they were to be read again
	read  func(context.Context) error // does that; nil: they are
	heard []store.Revocation
	told  []string // of what goes wrong
}

func startNode(t *testing.T, url string) *node {
	t.Helper()
	n := &node{T: t}
	address, err := postgres.ParseAddress(url)
	if err != nil {
		t.Fatal(err)
	}
	if n.st, err = postgres.Open(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	n.tail, err = feed.NewTail(t.Context(), n.st, time.Now, func(err error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.told = append(n.told, err.Error())
	})
	if err != nil {
		t.Fatal(err)
	}
	if n.revoked, err = feed.Open(t.Context(), n.st, time.Now()); err != nil {
		t.Fatal(err)
	}
	n.st.Follow(func(_ time.Time, revoked []store.Revocation) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.heard = append(n.heard, revoked...)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.tail.Run(ctx, func(ctx context.Context) error {
			n.mu.Lock()
			n.keys++
			read := n.read
			n.mu.Unlock()
			if read == nil {
				return nil
			}
			return read(ctx)
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := n.st.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (n *node) revoke(tokens ...string) {
	n.Helper()
	var writes []store.Write
	for _, id := range tokens {
		writes = append(writes, store.RevokeToken{ID: id, Expires: time.Now().Add(time.Hour)})
	}
	if err := n.st.Apply(n.Context(), time.Now(), writes...); err != nil {
		n.Fatal(err)
	}
}

// within waits until something is so.
func (n *node) within(most time.Duration, what string, so func() bool) {
	n.Helper()
	for end := time.Now().Add(most); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.Fatalf("not within %s: %s; told %q", most, what, n.told)
		}
	}
}

func (n *node) knows(token string) func() bool {
	return func() bool { return n.revoked.Revoked(token, "", 0) }
}

func TestRevocationReachesOtherNodes(t *testing.T) {
	url := postgrestest.URL(t)
	a, b, c := startNode(t, url), startNode(t, url), startNode(t, url)
	a.revoke("t1")
	if !a.knows("t1")() {
		t.Error("its own node does not know of it when Apply returns")
	}
	for _, other := range []*node{b, c} {
		other.within(patience, "t1 revoked", other.knows("t1"))
	}
	// More than one row takes.
	var many []string
	for i := range 1200 {
		many = append(many, fmt.Sprintf("m%d", i))
	}
	b.revoke(many...)
	for _, id := range many {
		a.within(patience, id+" revoked", a.knows(id))
	}
	c.st.Hear(time.Now(), nil)
	if err := c.st.Apply(t.Context(), time.Now(), store.RefuseClient{Client: "shop", Longest: time.Hour}); err != nil {
		t.Fatal(err)
	}
	a.within(patience, "shop's tokens revoked", func() bool { return a.revoked.Revoked("x", "shop", time.Now().Add(-time.Minute).Unix()) })
}

// TestRevokedTwiceIsAnsweredOnce it is in effect: here, too, where nobody has heard yet
// that another node was first. It is not announced again.
func TestRevokedTwiceIsAnsweredOnce(t *testing.T) {
	url := postgrestest.URL(t)
	address, err := postgres.ParseAddress(url)
	if err != nil {
		t.Fatal(err)
	}
	var stores [2]*store.Store // that do not follow each other
	var gates [2]*feed.Revocations
	for i := range stores {
		if stores[i], err = postgres.Open(t.Context(), address); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = stores[i].Close() })
		if gates[i], err = feed.Open(t.Context(), stores[i], time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	later := time.Now().Add(time.Hour)
	err = stores[0].Apply(t.Context(), time.Now(), store.PutAccount{Account: store.Account{ID: "ann", State: store.Active}},
		store.PutFamily{Family: store.Family{ID: "family", Account: "ann", Client: "shop", Expires: later}},
		store.PutToken{Token: store.Token{ID: "t1", Family: "family", Expires: later}})
	if err != nil {
		t.Fatal(err)
	}
	// One of its tokens was revoked alone, and then all of it at another node.
	if err := stores[0].Apply(t.Context(), time.Now(), store.RevokeToken{ID: "t1", Expires: later}); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(stores[:])
	slices.Reverse(gates[:])
	for i, st := range stores {
		for id, w := range map[string]store.Write{"t1": store.RevokeFamily{Family: "family"}, "t2": store.RevokeToken{ID: "t2", Expires: later}} {
			if err := st.Apply(t.Context(), time.Now(), w); err != nil {
				t.Fatal(err)
			}
			if !gates[i].Revoked(id, "", 0) {
				t.Errorf("%s is revoked, and the gate of node %d takes it", id, i)
			}
		}
	}
	if n := postgrestest.Ask(t, url, `SELECT count(*) FROM changes`); n != "2" {
		t.Errorf("announced %s times", n)
	}
}

// TestNodesOfASchemaWakeEachOther, and nobody else, whatever its name.
func TestNodesOfASchemaWakeEachOther(t *testing.T) {
	url := postgrestest.URL(t)
	woken := make(chan string, 10)
	schemas := []string{strings.Repeat("s", 63), strings.Repeat("ß", 31), "Quoted\"one\""}
	var stores []*store.Store
	for _, schema := range schemas {
		quoted := pgx.Identifier{schema}.Sanitize()
		postgrestest.Exec(t, url, `CREATE SCHEMA `+quoted)
		n := startNode(t, postgrestest.With(url, "search_path", quoted))
		stores = append(stores, n.st)
		listening := make(chan bool, 10)
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() {
			first := true
			_ = n.st.Listen(ctx, func() {
				if first { // it listens from here on
					first = false
					listening <- true
					return
				}
				woken <- schema
			})
		})
		t.Cleanup(func() { cancel(); done.Wait() })
		<-listening
	}
	for i, st := range stores {
		if err := st.Apply(t.Context(), time.Now(), store.RevokeToken{ID: "t", Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if got := <-woken; got != schemas[i] {
			t.Errorf("%s woke %s", schemas[i], got)
		}
	}
}

func TestChangedKeysAreReadAgain(t *testing.T) {
	url := postgrestest.URL(t)
	a, b := startNode(t, url), startNode(t, url)
	key := store.Key{ID: "k", Use: "sig", Algorithm: "ES256", Material: []byte("x"), Created: time.Now(), SignFrom: time.Now()}
	if err := a.st.Apply(t.Context(), time.Now(), store.PutKey{Key: key}); err != nil {
		t.Fatal(err)
	}
	b.within(patience, "the keys are read", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.keys == 1
	})
}

// A row's number is given out before its transaction commits, so rows appear behind
// others that everybody has read.
func TestChangeThatCommitsLateIsNotMissed(t *testing.T) {
	url := postgrestest.URL(t)
	a, b := startNode(t, url), startNode(t, url)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	begin := func(token string) *sql.Tx {
		t.Helper()
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf(`[{"t":%q,"e":%d}]`, token, time.Now().Add(time.Hour).UnixMilli())
		if _, err := tx.ExecContext(t.Context(), `INSERT INTO changes (at, keys, revoked) VALUES ($1, 0, $2)`, time.Now().UnixMilli(), text); err != nil {
			t.Fatal(err)
		}
		return tx
	}
	late, undone := begin("late"), begin("undone")
	for i := range 20 { // some are read together, and more than one time
		id := fmt.Sprintf("t%d", i)
		a.revoke(id)
		b.within(patience, id+" revoked", b.knows(id))
	}
	if err := undone.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := late.Commit(); err != nil { // and notifies nobody
		t.Fatal(err)
	}
	b.within(patience, "late revoked", b.knows("late"))
	// Who starts now begins behind it.
	c := startNode(t, url)
	c.within(patience, "t19 revoked", c.knows("t19"))
	if b.knows("undone")() {
		t.Error("what was undone was heard")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.heard); n != 21 {
		t.Errorf("%d revocations were heard, not each of 21 once: %v", n, b.heard)
	}
}

func TestLostListenerLosesNothing(t *testing.T) {
	url := postgrestest.URL(t)
	a, b := startNode(t, url), startNode(t, url)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ended := 0
	for i := range 20 {
		var n int
		err := db.QueryRowContext(t.Context(), `SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'gatehouse listener'`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		ended += n
		id := fmt.Sprintf("t%d", i)
		a.revoke(id)
		b.within(patience, id+" revoked", b.knows(id))
	}
	if ended < 2 {
		t.Errorf("%d listeners were ended: the test tested nothing", ended)
	}
}

// TestRequestsThatWaitDoNotKeepRevocationsOut: who has all connections that requests
// share, because somebody holds a row, has not the gates.
func TestRequestsThatWaitDoNotKeepRevocationsOut(t *testing.T) {
	url := postgrestest.URL(t)
	a, b := startNode(t, postgrestest.With(url, "pool_max_conns", "1")), startNode(t, url)
	held, release, ended := make(chan bool), make(chan bool), make(chan error)
	go func() {
		ended <- a.st.Fill(t.Context(), nil, func(*sql.Tx) error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	b.revoke("t1")
	a.within(patience, "t1 revoked", a.knows("t1"))
	revoked := 0
	if err := a.st.Revocations(t.Context(), time.Now(), func(some []store.Revocation) { revoked += len(some) }); err != nil || revoked != 1 {
		t.Errorf("what is read anew: %d, %v", revoked, err)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNodeKnowsHowFarBehindItIs(t *testing.T) {
	s := postgrestest.Start(t)
	n := startNode(t, s.Database(t))
	const follows = 1500 * time.Millisecond // a look comes each half second, and takes a while
	n.within(patience, "it follows", func() bool { return n.tail.Behind() < follows })
	s.Kill()
	n.within(patience, "it is behind", func() bool { return n.tail.Behind() > 2*time.Second })
	// A look waits for a server that is away: until it gave up, it could yet be answered.
	n.within(patience, "the first is told", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.told) > 0
	})
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	n.within(patience, "it follows again", func() bool { return n.tail.Behind() < follows })
	n.within(patience, "both are told", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.told) >= 2 && slices.Contains(n.told, "the changes of other nodes are followed again")
	})
	n.mu.Lock()
	if len(n.told) != 2 { // who listens was cut off, too, and says nothing of its own
		t.Errorf("told %q", n.told)
	}
	n.mu.Unlock()
	// It is known as exactly as the quickest look was quick.
	n.within(patience, "the clock of this machine is the database's", func() bool { return n.tail.Ahead().Abs() <= 50*time.Millisecond })
}
