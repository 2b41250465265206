package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/storetest"
)

func open(t *testing.T, text string) *store.Store {
	t.Helper()
	st, err := opener(t, text)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// writers note numbers, each under a name of its own, until they are stopped, and
// return what each was told.
func writers(t *testing.T, st *store.Store, count int) (stop func() (told map[string]error)) {
	t.Helper()
	told := map[string]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	quit := make(chan struct{})
	for w := range count {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-quit:
					return
				default:
				}
				subject := fmt.Sprint(w, "/", n)
				err := st.Apply(t.Context(), now,
					store.PutAccount{Account: store.Account{ID: subject, State: store.Active}},
					store.PutEvent{Event: store.Event{At: now, Subject: subject}})
				mu.Lock()
				told[subject] = err
				mu.Unlock()
			}
		})
	}
	return func() map[string]error {
		close(quit)
		wg.Wait()
		return told
	}
}

// kept checks that what was told of is there, once, and whole.
func kept(t *testing.T, st *store.Store, told map[string]error) (good, unsure int) {
	t.Helper()
	events, err := st.Events(t.Context(), time.Time{}, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, e := range events {
		times[e.Subject]++
	}
	for subject, err := range told {
		_, missing := st.Account(t.Context(), subject)
		switch n := times[subject]; {
		case err == nil && n != 1, n > 1:
			t.Errorf("%s: told %v, there are %d", subject, err, n)
		case (missing == nil) != (n == 1):
			t.Errorf("%s: half of it is there: %d events, account %v", subject, n, missing)
		case err == nil:
			good++
		case !errors.Is(err, store.ErrUnavailable):
			// A conflict would say that somebody else was first, when it was this one itself.
			t.Errorf("%s: %v", subject, err)
		default:
			unsure++
		}
	}
	return good, unsure
}

// TestRestartedServerLosesNothingItToldOf: stopped and killed under writers, who
// go on by themselves when it is back.
func TestRestartedServerLosesNothingItToldOf(t *testing.T) {
	s := postgrestest.Start(t)
	st := open(t, s.Database(t))
	for name, end := range map[string]func(){"stopped": s.Stop, "killed": s.Kill} {
		stop := writers(t, st, 4)
		await(t, st, 50)
		end()
		if _, err := st.Account(t.Context(), "x"); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "connect") {
			t.Errorf("%s: %v, want ErrUnavailable and why", name, err)
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Account(t.Context(), "x"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s and back: %v", name, err)
		}
		await(t, st, 50)
		good, unsure := kept(t, st, stop())
		t.Logf("%s: %d told of, %d unsure", name, good, unsure)
		if _, err := st.Sweep(t.Context(), now.AddDate(10, 0, 0), 1_000_000); err != nil {
			t.Error(err)
		}
		for accounts := one(t, st); len(accounts) > 0; accounts = one(t, st) {
			var gone []store.Write
			for _, a := range accounts {
				gone = append(gone, store.RemoveAccount{Account: a.ID})
			}
			if err := st.Apply(t.Context(), now, gone...); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func one(t *testing.T, st *store.Store) []store.Account {
	t.Helper()
	accounts, err := st.Accounts(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return accounts
}

// await waits until so many more accounts are there.
func await(t *testing.T, st *store.Store, more int) {
	t.Helper()
	began, count := -1, 0
	for count < began+more || began < 0 {
		accounts, err := st.Accounts(t.Context(), "", 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		if count = len(accounts); began < 0 {
			began = count
		}
	}
}

// TestEndedConnectionsAreNobodysTrouble: those that a database administrator or a
// proxy ends. What had not been committed is done again, and nothing twice.
func TestEndedConnectionsAreNobodysTrouble(t *testing.T) {
	text := postgrestest.URL(t)
	st := open(t, text)
	stop := writers(t, st, 4)
	ended := 0
	for range 15 {
		await(t, st, 20)
		ended += postgrestest.Terminate(t, text, "")
	}
	told := stop()
	good, unsure := kept(t, st, told)
	t.Logf("%d connections ended: %d told of, %d unsure", ended, good, unsure)
	if ended < 15 || good < 100 {
		t.Error("the test tested nothing")
	}
	// Unsure are those alone whose commit got no answer.
	if unsure > ended/2 {
		t.Errorf("%d of %d were not done again", unsure, ended)
	}
	stopReading := make(chan struct{})
	var reading sync.WaitGroup
	for range 4 {
		reading.Go(func() {
			for {
				select {
				case <-stopReading:
					return
				default:
				}
				if _, err := st.Keys(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 15 {
		postgrestest.Terminate(t, text, "")
	}
	close(stopReading)
	reading.Wait()
}

// TestWritersInEachOthersWayAllComeThrough: rows that are taken in opposite order.
func TestWritersInEachOthersWayAllComeThrough(t *testing.T) {
	text := postgrestest.With(postgrestest.URL(t), "deadlock_timeout", "10ms")
	text = postgrestest.With(postgrestest.With(text, "lock_timeout", "60s"), "statement_timeout", "60s") // the machine may be slow
	st := open(t, text)
	take := func(b byte) store.Write {
		return store.TakeQuota{Key: store.Hash{b}, Most: 1000, Window: time.Hour}
	}
	var wg sync.WaitGroup
	for w := range 4 { // of more, on a slow machine, one may be undone as often as it is tried again
		wg.Go(func() {
			for range 20 {
				writes := []store.Write{take(1), take(2), take(3)}
				if w%2 == 1 {
					writes = []store.Write{take(3), take(2), take(1)}
				}
				if err := st.Apply(t.Context(), now, writes...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for b := range byte(3) {
		if q, err := st.Quota(t.Context(), now, store.Hash{b + 1}); err != nil || q.Taken != 80 {
			t.Errorf("quota %d: %+v, %v; want 80 taken", b, q, err)
		}
	}
}

// TestNobodyWaitsForEver: for a row that somebody else holds, nor in a transaction
// that nobody ends.
func TestNobodyWaitsForEver(t *testing.T) {
	text := postgrestest.URL(t)
	st := open(t, postgrestest.With(text, "lock_timeout", "100ms"))
	if err := st.Apply(t.Context(), now, store.PutAccount{Account: store.Account{ID: "ann", State: store.Active}}); err != nil {
		t.Fatal(err)
	}
	patient := open(t, postgrestest.With(postgrestest.With(text, "lock_timeout", "60s"), "statement_timeout", "60s"))
	admin, err := pgx.Connect(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	if _, err := admin.Exec(t.Context(), "BEGIN; LOCK TABLE accounts"); err != nil {
		t.Fatal(err)
	}
	freeze := store.SetState{Account: "ann", State: store.Frozen}
	if err := st.Apply(t.Context(), now, freeze); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "lock timeout") {
		t.Errorf("while the table is held: %v", err)
	}
	if _, err := st.Account(t.Context(), "ann"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a look-up while the table is held: %v", err)
	}
	if _, err := admin.Exec(t.Context(), "SET idle_in_transaction_session_timeout = 1500"); err != nil {
		t.Fatal(err)
	}
	if err := patient.Apply(t.Context(), now, freeze); err != nil {
		t.Errorf("after the holder's transaction was ended for it: %v", err)
	}
}

// TestClientThatLeavesCostsNoConnection: strangers leave in the middle as they please.
func TestClientThatLeavesCostsNoConnection(t *testing.T) {
	text := postgrestest.URL(t)
	st := open(t, postgrestest.With(text, "pool_max_conns", "1"))
	only := func() (pid string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // those of the start end after it
			pid = postgrestest.Ask(t, text, `SELECT COALESCE(string_agg(pid::TEXT, ' '), '') FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gatehouse'`)
			if pid != "" && !strings.Contains(pid, " ") {
				return pid
			}
			if time.Now().After(end) {
				t.Fatalf("connections: %q", pid)
			}
		}
	}
	if _, err := st.Keys(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := only()
	if _, err := st.Keys(t.Context()); err != nil { // one that was quiet for a while is asked first whether it lives
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Duration(i)*50*time.Microsecond, cancel)
			_, _ = st.Keys(ctx)
			_ = st.Apply(ctx, now, store.PutEvent{})
		})
	}
	wg.Wait()
	if after := only(); after != before {
		t.Errorf("the connection was %s, and is %s", before, after)
	}
}

const asRotation = "STORE_TEST_ROTATE" // the address to rotate in until it is killed

func rotate(text string) error {
	address, err := postgres.ParseAddress(text)
	if err != nil {
		return err
	}
	st, err := postgres.Open(context.Background(), address)
	if err != nil {
		return err
	}
	return storetest.Rotate(context.Background(), st, os.Stdout)
}

func TestKilledProcessLosesNothingItToldOf(t *testing.T) {
	text := postgrestest.URL(t)
	storetest.Crash(t, 20, opener(t, text), func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asRotation+"="+text)
		cmd.Stderr = os.Stderr
		return cmd
	})
}

// TestStandbyTakesOver: the server dies, its copy is promoted, and writers who know
// both go on with nothing lost.
func TestStandbyTakesOver(t *testing.T) {
	first := postgrestest.Start(t)
	text := first.Database(t)
	second := first.Standby(t)
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = second.Host() + "," + first.Host() // the standby first: it has to be passed over
	st := open(t, postgrestest.With(u.String(), "target_session_attrs", "read-write"))
	stop := writers(t, st, 4)
	await(t, st, 100)
	first.Kill()
	second.Promote(t)
	if _, err := st.Account(t.Context(), "x"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a look-up after the change: %v", err)
	}
	await(t, st, 100)
	good, unsure := kept(t, st, stop())
	t.Logf("%d told of, %d unsure", good, unsure)
}

// TestServerThatMayOnlyBeReadIsLeft: a primary that became a standby still answers,
// and its connections are good for nothing.
func TestServerThatMayOnlyBeReadIsLeft(t *testing.T) {
	s := postgrestest.Start(t)
	text := s.Database(t)
	st := open(t, text)
	stop := writers(t, st, 2)
	await(t, st, 20)
	operator, err := pgx.Connect(t.Context(), postgrestest.With(text, "default_transaction_read_only", "off"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = operator.Close(context.Background()) }()
	set := func(what string) {
		t.Helper()
		for _, sql := range []string{"ALTER SYSTEM " + what, "SELECT pg_reload_conf()"} {
			if _, err := operator.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	began := time.Now()
	set("SET default_transaction_read_only = on")
	if _, err := st.Keys(t.Context()); err != nil { // to look is allowed
		t.Error(err)
	}
	set("RESET default_transaction_read_only")
	took := time.Since(began)
	await(t, st, 20)
	good, unsure := kept(t, st, stop())
	if took > time.Second { // a writer waits for two
		t.Logf("the machine took %s for it, and %d were given up", took, unsure)
		unsure = 0
	}
	if unsure > 0 || good < 40 {
		t.Errorf("%d told of, %d given up", good, unsure)
	}
}
