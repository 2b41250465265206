package store

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// wakeOthers tells those who listen that there are changes.
const wakeOthers = `SELECT pg_notify(` + Channel + `, '')`

// Channel is SQL for the name on which the processes of a schema wake each other. The
// schema's own can be too long to have something before it.
const Channel = `'gatehouse_' || (SELECT oid FROM pg_namespace WHERE nspname = current_schema())`

const (
	// wakeEvery is how often one process wakes the others at most: each time costs the
	// database a message to each of them.
	wakeEvery = 50 * time.Millisecond

	// wakeMost is how long it may take. Who is not woken looks soon.
	wakeMost = 2 * time.Second
)

// waker wakes the other processes after a commit, and once for all that are committed
// meanwhile. It is no part of the transactions: PostgreSQL lets those that notify
// commit one after the other only, each with its own write to the disk. A process
// that dies in between leaves the others to their next look.
type waker struct {
	db *sql.DB

	mu     sync.Mutex
	closed bool
	due    bool // somebody will wake them
	last   time.Time
	under  sync.WaitGroup
}

// wake returns at once.
func (w *waker) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.due || w.closed {
		return
	}
	w.due = true
	wait := time.Until(w.last.Add(wakeEvery))
	w.under.Go(func() { w.wakeIn(wait) })
}

func (w *waker) wakeIn(wait time.Duration) {
	if wait > 0 {
		time.Sleep(wait)
	}
	w.mu.Lock()
	// What is committed from here on is another's to tell: this one may be too early for it.
	w.due, w.last = false, time.Now()
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), wakeMost)
	defer cancel()
	_, _ = w.db.ExecContext(ctx, wakeOthers) // they look by themselves, soon
}

// close waits for what is under way.
func (w *waker) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.under.Wait()
}
