package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// held runs a story with a store whose only writer is the story's until it
// releases it: every Apply that begins before is committed with the others.
func held(t *testing.T, story func(t *testing.T, st *store.Store, limited *sql.Conn, release func())) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	synctest.Test(t, func(t *testing.T) {
		first, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		write, read, err := pools(path)
		if err != nil {
			t.Fatal(err)
		}
		st := store.New(write, read, taken)
		if err := st.Apply(t.Context(), now, store.PutEvent{}); err != nil { // statements are prepared
			t.Fatal(err)
		}
		conn, err := write.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		story(t, st, conn, func() {
			synctest.Wait() // all are waiting
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAppliesThatShareACommitAreAnsweredEachForItself(t *testing.T) {
	held(t, func(t *testing.T, st *store.Store, _ *sql.Conn, release func()) {
		var wg sync.WaitGroup
		errs := make([]error, 50) // more than share one commit
		for i := range errs {
			wg.Go(func() {
				name := fmt.Sprint("user", i)
				if i%5 == 0 {
					name = "wanted"
				}
				errs[i] = st.Apply(t.Context(), now,
					store.PutEvent{Event: store.Event{Subject: fmt.Sprint(i)}},
					store.PutAccount{Account: store.Account{ID: fmt.Sprint(i), Username: name, State: store.Active}})
			})
		}
		release()
		wg.Wait()
		good, wanted := 0, 0
		for i, err := range errs {
			_, missing := st.Account(t.Context(), fmt.Sprint(i))
			switch {
			case err == nil && missing != nil, err != nil && !errors.Is(missing, store.ErrNotFound):
				t.Errorf("%d: answered %v, there is %v", i, err, missing)
			case err == nil:
				good++
				if i%5 == 0 {
					wanted++
				}
			case !errors.Is(err, store.ErrConflict) || i%5 != 0:
				t.Errorf("%d: %v", i, err)
			}
		}
		if good != 41 || wanted != 1 {
			t.Errorf("%d went through, %d with the wanted name; want 41 and 1", good, wanted)
		}
		events, err := st.Events(t.Context(), time.Time{}, 1000)
		if err != nil || len(events) != 1+good {
			t.Errorf("%d events of %d Applies that went through, %v", len(events)-1, good, err)
		}
	})
}

func TestOutageOfOneApplyIsNotTheOthers(t *testing.T) {
	held(t, func(t *testing.T, st *store.Store, limited *sql.Conn, release func()) {
		var wg sync.WaitGroup
		errs := make([]error, 10)
		for i := range errs {
			wg.Go(func() {
				detail := "small"
				if i == 5 {
					detail = strings.Repeat("x", 1_000_000) // more than there is room for
				}
				errs[i] = st.Apply(t.Context(), now,
					store.PutAccount{Account: store.Account{ID: fmt.Sprint(i), State: store.Active}},
					store.PutEvent{Event: store.Event{Detail: detail}},
					store.RevokeToken{ID: fmt.Sprint(i), Expires: now.AddDate(0, 0, 1)})
			})
			synctest.Wait() // the first leads alone, the others are the next batch
		}
		if _, err := limited.ExecContext(t.Context(), "PRAGMA max_page_count = 120"); err != nil {
			t.Fatal(err)
		}
		told := map[string]int{}
		st.Follow(func(_ time.Time, revoked []store.Revocation) {
			for _, r := range revoked {
				told[r.Token]++
			}
		})
		release()
		wg.Wait()
		for i, err := range errs {
			_, missing := st.Account(t.Context(), fmt.Sprint(i))
			if i == 5 {
				if !errors.Is(err, store.ErrUnavailable) || !errors.Is(missing, store.ErrNotFound) || told["5"] != 0 {
					t.Errorf("too large: %v, there is %v, told %d times", err, missing, told["5"])
				}
				continue
			}
			if err != nil || missing != nil || told[fmt.Sprint(i)] != 1 {
				t.Errorf("%d: %v, there is %v, told %d times", i, err, missing, told[fmt.Sprint(i)])
			}
		}
	})
}

func TestWhoLeavesTheQueueHasDoneNothing(t *testing.T) {
	held(t, func(t *testing.T, st *store.Store, _ *sql.Conn, release func()) {
		put := func(ctx context.Context, id string) error {
			return st.Apply(ctx, now, store.PutAccount{Account: store.Account{ID: id, State: store.Active}})
		}
		var wg sync.WaitGroup
		var first, last error
		wg.Go(func() { first = put(t.Context(), "first") })
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		wg.Go(func() { left <- put(ctx, "left") })
		synctest.Wait()
		wg.Go(func() { last = put(t.Context(), "last") })
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v, want ErrUnavailable for context.Canceled", err)
		}
		release()
		wg.Wait()
		if first != nil || last != nil {
			t.Errorf("who stayed: %v, %v", first, last)
		}
		if _, err := st.Account(t.Context(), "left"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("who left has an account: %v", err)
		}
	})
}

func TestPanicOfALeaderIsNotTheEndOfTheQueue(t *testing.T) {
	held(t, func(t *testing.T, st *store.Store, _ *sql.Conn, release func()) {
		var wg sync.WaitGroup
		var after error
		wg.Go(func() {
			defer func() {
				if recover() == nil {
					t.Error("a write that is none did not panic")
				}
			}()
			_ = st.Apply(t.Context(), now, store.PutEvent{}, nil)
		})
		synctest.Wait()
		wg.Go(func() { after = st.Apply(t.Context(), now, store.PutEvent{}) })
		release()
		wg.Wait()
		if after != nil {
			t.Errorf("the next one: %v", after)
		}
	})
}
