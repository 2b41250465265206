package gate

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
	"time"
)

// queue lets a few through at a time. Who has to wait stands behind others of the same
// host, and the hosts take turns: whoever brings thousands keeps himself waiting.
// It is safe for concurrent use.
type queue struct {
	mu    sync.Mutex
	free  int // nobody waits while there is one
	hosts list.List
	of    map[netip.Addr]*list.Element
}

// host is one of whom somebody waits.
type host struct {
	addr    netip.Addr
	waiting list.List // of *waiter
}

type waiter struct {
	come chan struct{} // closed when it is his turn
	host *list.Element
	at   *list.Element // nil: no longer
}

func newQueue(most int) *queue { return &queue{free: most, of: map[netip.Addr]*list.Element{}} }

// enter waits for a turn, and says whether there was one in time; leave gives it back.
func (q *queue) enter(ctx context.Context, addr netip.Addr, patience time.Duration) bool {
	w := q.stand(addr)
	if w == nil {
		return true
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-w.come:
		return true
	case <-late.C:
	case <-ctx.Done():
	}
	return !q.goAway(w)
}

// stand takes a turn, or a place in the queue.
func (q *queue) stand(addr netip.Addr) *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.free > 0 {
		q.free--
		return nil
	}
	at := q.of[addr]
	if at == nil {
		at = q.hosts.PushBack(&host{addr: addr})
		q.of[addr] = at
	}
	w := &waiter{come: make(chan struct{}), host: at}
	w.at = at.Value.(*host).waiting.PushBack(w)
	return w
}

// leave hands a turn to the next.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	next := q.hosts.Front()
	if next == nil {
		q.free++
		return
	}
	w := next.Value.(*host).waiting.Front().Value.(*waiter)
	q.hosts.MoveToBack(next)
	q.remove(w)
	close(w.come)
}

// goAway gives a place up; false: it is his turn already.
func (q *queue) goAway(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.at == nil {
		return false
	}
	q.remove(w)
	return true
}

func (q *queue) remove(w *waiter) {
	h := w.host.Value.(*host)
	h.waiting.Remove(w.at)
	w.at = nil
	if h.waiting.Len() == 0 {
		q.hosts.Remove(w.host)
		delete(q.of, h.addr)
	}
}
