package feed_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// reading has the node's keys read that way.
func (n *node) reading(read func(context.Context) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.read = read
}

func (n *node) makeKey(id string) {
	n.Helper()
	key := store.Key{ID: id, Use: "sig", Algorithm: "ES256", Material: []byte("x"), Created: time.Now(), SignFrom: time.Now()}
	if err := n.st.Apply(n.Context(), time.Now(), store.PutKey{Key: key}); err != nil {
		n.Fatal(err)
	}
}

// TestRevocationsDoNotWaitForKeys: who reads the keys may wait for who makes one, or be
// unable to open one. The node knows that its keys are old, and its revocations are not.
func TestRevocationsDoNotWaitForKeys(t *testing.T) {
	sealed := errors.New("it is sealed")
	for name, read := range map[string]func(ctx context.Context, end <-chan struct{}) error{
		"they wait": func(ctx context.Context, end <-chan struct{}) error {
			select {
			case <-ctx.Done():
			case <-end:
			}
			return ctx.Err()
		},
		"one cannot be opened": func(_ context.Context, end <-chan struct{}) error {
			select {
			case <-end:
				return nil
			default:
				return sealed
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := postgrestest.URL(t)
			a, b := startNode(t, url), startNode(t, url)
			end := make(chan struct{})
			b.reading(func(ctx context.Context) error { return read(ctx, end) })
			before := b.readKeys()
			a.makeKey("k")
			made := time.Now()
			b.within(patience, "the keys are to be read", func() bool { return b.readKeys() > before })
			for i := range 5 {
				id := fmt.Sprintf("t%d", i)
				a.revoke(id)
				b.within(patience, id+" revoked", b.knows(id))
			}
			revoked := time.Now()
			b.within(patience, "it follows", func() bool { return time.Since(revoked) > b.tail.Behind() })
			if since, behind := time.Since(made), b.tail.KeysBehind(); behind < since {
				t.Errorf("keys that were made %s ago are not known, and it is %s behind them", since, behind)
			}
			b.within(patience, "it is known for how long", func() bool { return b.tail.KeysUnread() > time.Since(revoked)/2 })
			if n := b.toldOf("cannot be followed"); n != 0 {
				t.Errorf("the revocations are said %d times not to be followed", n)
			}
			failed := 0
			if name == "one cannot be opened" {
				failed = 1
				b.within(patience, "it is tried again", func() bool { return b.readKeys() > before+2 })
			}
			close(end)
			ended := time.Now()
			b.within(patience, "the keys are known", func() bool { return time.Since(ended) > b.tail.KeysBehind() && b.tail.KeysUnread() == 0 })
			for _, told := range []string{"cannot be read: it is sealed", "are read again"} {
				b.within(patience, "it is told", func() bool { return b.toldOf(told) == failed })
			}
		})
	}
}

// TestKeysThatChangeWhileTheyAreReadAreReadAgain: what was read may be older.
func TestKeysThatChangeWhileTheyAreReadAreReadAgain(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	a, b := startNode(t, url), startNode(t, url)
	reads, end := make(chan struct{}, 10), make(chan struct{})
	b.reading(func(ctx context.Context) error {
		reads <- struct{}{}
		select {
		case <-ctx.Done():
		case <-end:
		}
		return ctx.Err()
	})
	a.makeKey("first")
	<-reads
	a.makeKey("second")
	a.revoke("t1") // comes behind it
	b.within(patience, "t1 revoked", b.knows("t1"))
	close(end)
	<-reads
	ended := time.Now()
	b.within(patience, "the keys are known", func() bool { return time.Since(ended) > b.tail.KeysBehind() })
}

// TestRevocationsDoNotWaitForTheTableOfKeys: who waits for it, while somebody compacts or
// changes it, has none of the connections that revocations are read by.
func TestRevocationsDoNotWaitForTheTableOfKeys(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	patient := postgrestest.With(postgrestest.With(url, "lock_timeout", "60000"), "statement_timeout", "60000")
	a, b := startNode(t, url), startNode(t, patient)
	b.reading(func(ctx context.Context) error {
		_, err := b.st.Keys(ctx)
		return err
	})
	holder, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(context.Background()) }()
	if _, err := holder.Exec(t.Context(), `BEGIN; LOCK TABLE keys IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	postgrestest.Exec(t, url, `INSERT INTO changes (at, keys, revoked) VALUES (CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT), 1, '[]')`)
	waiter := func() string {
		return postgrestest.Ask(t, url, `SELECT COALESCE(MAX(pid::TEXT), 'nobody') FROM pg_locks WHERE relation = 'keys'::regclass AND NOT granted`)
	}
	b.within(patience, "the keys are waited for", func() bool { return waiter() != "nobody" })
	before := waiter()
	for i := range 5 {
		id := fmt.Sprintf("t%d", i)
		a.revoke(id)
		b.within(patience, id+" revoked", b.knows(id))
	}
	if after := waiter(); after != before {
		t.Errorf("%s waited for the keys, and %s when the revocations were heard of", before, after)
	}
}

// TestKeysThatWereReadAreAsYoungAsTheRevocations, and need no further look for it.
func TestKeysThatWereReadAreAsYoungAsTheRevocations(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	a, b := startNode(t, url), startNode(t, url)
	end := make(chan struct{})
	b.reading(func(ctx context.Context) error {
		select {
		case <-ctx.Done():
		case <-end:
		}
		return ctx.Err()
	})
	a.makeKey("k")
	made := time.Now()
	b.within(patience, "a look after it", func() bool { return time.Since(made) > b.tail.Behind() && b.tail.KeysBehind() > time.Since(made) })
	holder, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(context.Background()) }()
	if _, err := holder.Exec(t.Context(), `BEGIN; LOCK TABLE changes IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	close(end)
	b.within(patience, "the keys are known", func() bool { return time.Since(made) > b.tail.KeysBehind() })
}
