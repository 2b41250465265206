package store

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// writer is the pool that transactions run in.
type writer struct {
	db    *sql.DB
	queue queue

	ready     atomic.Bool
	preparing sync.Mutex
	stmts     []*sql.Stmt
}

// prepare prepares all statements at the first use: inside a transaction it is
// too late, the transaction holds the only connection.
func (w *writer) prepare(ctx context.Context) error {
	if w.ready.Load() {
		return nil
	}
	w.preparing.Lock()
	defer w.preparing.Unlock()
	for len(w.stmts) < len(writeTexts) {
		stmt, err := w.db.PrepareContext(ctx, writeTexts[len(w.stmts)])
		if err != nil {
			return err
		}
		w.stmts = append(w.stmts, stmt)
	}
	w.ready.Store(true)
	return nil
}

// application is one Apply on its way through the queue.
type application struct {
	now      time.Time
	writes   []Write
	revoked  []Revocation
	told     map[ending]bool // before this one
	ended    []ending        // by it
	conflict error
	err      error
	turn     chan bool // true: lead a batch; false: err is the answer
}

// together is how many Applies share a commit at most: the first of them waits
// for the last.
const together = 32

// queue makes one transaction of what waits for the only writer: half of a
// commit is the disk's, and costs the same for one Apply as for ten. Who finds
// nobody at work leads; when a leader is done, the first that waits is next.
type queue struct {
	mu      sync.Mutex
	led     bool
	waiting []*application
}

// enter returns when a leads, or has its answer, or ctx ended before its turn.
func (q *queue) enter(ctx context.Context, a *application) (lead bool, err error) {
	q.mu.Lock()
	if !q.led {
		q.led = true
		q.mu.Unlock()
		return true, nil
	}
	a.turn = make(chan bool, 1)
	q.waiting = append(q.waiting, a)
	q.mu.Unlock()
	select {
	case lead = <-a.turn:
		return lead, nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	i := slices.Index(q.waiting, a)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	q.mu.Unlock()
	if i < 0 {
		return <-a.turn, nil // too late: it is in a transaction, or has to lead
	}
	return false, ctx.Err()
}

// batch is the leader with those who wait.
func (q *queue) batch(leader *application) []*application {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), together-1)
	batch := append([]*application{leader}, q.waiting[:n]...)
	q.waiting = slices.Delete(q.waiting, 0, n)
	return batch
}

// leave makes the first that waits the leader.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.led = false
		return
	}
	q.waiting[0].turn <- true
	q.waiting = slices.Delete(q.waiting, 0, 1)
}
