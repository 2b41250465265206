package main

import (
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	pausedFor = 30 * time.Second
	crowd     = 40 // requests at once that a node finds when it goes on
)

// pause stops nodes for thirty seconds, as a hypervisor or a debugger does, while a
// token is revoked. Those that may be two seconds behind let nobody through with it
// when they go on, not even who was waiting in their queue.
func pause(t *testing.T) {
	c := clusterOf(t, rules{store: []string{"", "max_staleness 2s", "max_staleness 2m", "max_staleness 2s\n\t\t\twhen_stale serve"}})
	first, paused := c.nodes[0], c.nodes[1:]
	lost, unmet, kept := first.signIn(), first.signIn(), first.signIn()
	var streams []<-chan struct{}
	for _, n := range paused {
		if !n.opens(lost.Access) || !n.opens(kept.Access) {
			t.Fatal("refused")
		}
		streams = append(streams, n.stream(lost.Access))
	}
	for _, n := range paused {
		n.signal(syscall.SIGSTOP)
	}
	began := time.Now()
	for _, token := range []string{lost.Access, unmet.Access, lost.Refresh} {
		if a := first.post("/oauth2/revoke", revocation(token)); a.status != http.StatusOK {
			t.Fatalf("revoking: %d %s", a.status, a.body)
		}
	}
	if out, err := first.command("", "issuer", "key", "rotate", "--address", first.admin); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	<-time.After(time.Until(began.Add(pausedFor - time.Second))) // the pause itself

	crowds := make([]*queue, len(paused))
	for at, n := range paused {
		crowds[at] = n.crowd(lost.Access, unmet.Access)
	}
	<-time.After(time.Until(began.Add(pausedFor))) // they stand in the queue
	goesOn := time.Now()
	for _, n := range paused {
		n.signal(syscall.SIGCONT)
	}
	for at, q := range crowds {
		q.all.Wait()
		t.Logf("a node paused for %s, %q: let %d requests of %d through with a revoked token, the last %s after it went on; %d were answered 503",
			pausedFor, []string{"max_staleness 2s", "max_staleness 2m", "when_stale serve"}[at], q.through, q.asked, max(0, q.last.Sub(goesOn)).Round(time.Millisecond), q.later)
		if at == 0 && q.through > 0 {
			t.Error("a node that was too far behind let a revoked token through")
		}
	}
	want := first.must(http.MethodGet, "/oauth2/jwks", "").body
	for at, n := range paused {
		select {
		case <-streams[at]:
		case <-time.After(patience):
			t.Error("a stream goes on although its token was revoked in the pause")
		}
		if a, err := n.insist("/oauth2/token", byRefresh("phone", lost.Refresh)); err != nil || a.status != http.StatusBadRequest {
			t.Errorf("a refresh with what was revoked: %d %s, %v", a.status, a.body, err)
		}
		eventually(t, "the key that was made meanwhile is published", func() bool { return n.must(http.MethodGet, "/oauth2/jwks", "").body == want })
		if !n.opens(kept.Access) {
			t.Error("a good token is refused after the pause")
		}
		eventually(t, "health after the pause", func() bool {
			a := n.must(http.MethodGet, "/health", "")
			return a.status == http.StatusOK && strings.Contains(a.body, "behind_seconds")
		})
		for _, metric := range []string{"gatehouse_store_behind_seconds 0.", "gatehouse_store_keys_behind_seconds 0."} {
			eventually(t, metric, func() bool { return strings.Contains(n.metrics(), metric) })
		}
	}
}

// queue is requests that wait for a node, each of which asks again until it is told
// that its token is revoked.
type queue struct {
	all                   sync.WaitGroup
	mu                    sync.Mutex
	asked, through, later int
	last                  time.Time // when the last was let through
}

// crowd sends requests with both tokens by turns, on the connections that there are
// and on fresh ones.
func (i *instance) crowd(tokens ...string) *queue {
	fresh, transport := *i, i.client.Transport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	fresh.client = &http.Client{Timeout: patience, Transport: transport}
	q := new(queue)
	for n := range crowd {
		by := []*instance{i, &fresh}[n/2%2]
		q.all.Go(func() {
			for q.ask(by, tokens[n%len(tokens)]) {
			}
		})
	}
	return q
}

// ask is false when nothing more will come of it.
func (q *queue) ask(i *instance, token string) (again bool) {
	s := i.atGate(token)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked++
	switch s.status {
	case http.StatusOK:
		q.through++
		q.last = s.ended
	case http.StatusServiceUnavailable:
		q.later++
	case http.StatusUnauthorized:
		return false
	default:
		i.Errorf("a gate that goes on answered %d", s.status)
		return false
	}
	return true
}
