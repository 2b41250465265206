package main

import (
	"flag"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"
)

var nodeKills = flag.Int("nodekills", 40, "how often a node of a cluster is killed while tokens are refreshed")

// killing is the state of killNodes.
type killing struct {
	*spread
	dead []*chain // ended by the reuse of a spent token

	reused, unanswered int
}

// killNodes kills one of three nodes in the middle of refreshes, again and again. The
// clients go on at the others: what was answered holds there, and what was spent
// stays spent.
func killNodes(t *testing.T) {
	k := &killing{spread: clusterOf(t, rules{store: make([]string, 3), issuer: longMemory}).spread(6)}
	begun := time.Now()
	for n := range *nodeKills {
		k.round(n)
		if t.Failed() {
			t.Fatalf("after kill %d", n)
		}
	}
	t.Logf("%d kills of a node in %s: %d refreshes answered, %d requests without an answer, %d sign-ins ended by a spent token",
		*nodeKills, time.Since(begun).Round(time.Second), k.answered.Load(), k.unanswered, k.reused)
	if k.answered.Load() < int64(*nodeKills) || k.unanswered < *nodeKills/4 || k.reused < *nodeKills/4 {
		t.Error("that is too little to have tested anything")
	}
}

// round works until a node is killed, looks at what the others say, and has it back.
func (k *killing) round(n int) {
	k.Helper()
	node := k.nodes[n%len(k.nodes)]
	others := []*instance{k.nodes[(n+1)%len(k.nodes)], k.nodes[(n+2)%len(k.nodes)]}
	enough := k.answered.Load() + 1 + rand.Int64N(20)
	var mu sync.Mutex
	killed := false
	var work sync.WaitGroup
	for at, ch := range k.chains {
		work.Go(func() {
			for turn := at; ; turn++ {
				if !k.refresh(ch, k.nodes[turn%len(k.nodes)]) {
					mu.Lock()
					k.unanswered++
					mu.Unlock()
					return
				}
				mu.Lock()
				over := killed
				mu.Unlock()
				if over {
					return
				}
			}
		})
	}
	eventually(k.T, "refreshes are under way", func() bool { return k.answered.Load() >= enough })
	<-time.After(rand.N(3 * time.Millisecond)) // the fault's own moment
	node.running.kill()
	node.running = nil
	node.client.CloseIdleConnections()
	mu.Lock()
	killed = true
	mu.Unlock()
	work.Wait()
	if n%2 == 0 { // it comes back while the others go on
		var back sync.WaitGroup
		back.Go(node.start)
		k.check(n, others)
		back.Wait()
		for _, ch := range k.dead {
			k.gone(node, ch)
		}
	} else { // it comes back afterwards, and reads everything before it serves
		k.check(n, others)
		node.start()
		k.goneAtOnce(node)
	}
	k.dead = nil
}

// refresh is false where the node that was asked is gone. Every answer is tokens, or
// that there is too much to do.
func (k *killing) refresh(ch *chain, node *instance) bool {
	a, err := node.ask(http.MethodPost, "/oauth2/token", byRefresh("phone", ch.last(1)).Encode())
	if err != nil {
		return false
	}
	if notLater(a) == "" {
		return true
	}
	got, err := a.tokens()
	if err != nil {
		k.Errorf("a refresh: %v", err)
		return false
	}
	ch.refresh, ch.access = append(ch.refresh, got.Refresh), append(ch.access, got.Access)
	k.answered.Add(1)
	return true
}

// check has every client go on at the nodes that are left, and one of them show a
// token that was spent before.
func (k *killing) check(n int, left []*instance) {
	k.Helper()
	var looks sync.WaitGroup
	for at, ch := range k.chains {
		looks.Go(func() {
			for _, token := range ch.access {
				for _, node := range left {
					if a, err := node.ask(http.MethodGet, "/userinfo", "", bearer(token)); err != nil || a.status != http.StatusOK || !node.opens(token) {
						k.Errorf("an access token that was answered is refused by another node: %d %s, %v", a.status, a.body, err)
					}
				}
			}
			ch.access = nil
			// Whether or not the request that was cut off had been served, there is one
			// successor, on either node.
			var next [2]string
			for n, node := range left {
				a, err := node.insist("/oauth2/token", byRefresh("phone", ch.last(1)))
				got, bad := a.tokens()
				if err != nil || bad != nil {
					k.Errorf("chain %d does not go on: %v, %v", at, err, bad)
					return
				}
				next[n], ch.access = got.Refresh, append(ch.access, got.Access)
			}
			if next[0] != next[1] {
				k.Errorf("chain %d has two successors", at)
			}
			ch.refresh = append(ch.refresh, next[0])
		})
	}
	looks.Wait()
	at := n % len(k.chains)
	ch := k.chains[at]
	if len(ch.refresh) < 3 || k.Failed() {
		return
	}
	k.invalid(left[n%2], ch.last(3))
	k.dead = append(k.dead, ch)
	k.reused++
	for _, node := range left {
		k.gone(node, ch)
	}
	k.chains[at] = chainOf(left[0].signIn())
}

// gone wants a node to refuse all of a sign-in.
func (k *killing) gone(node *instance, ch *chain) {
	k.Helper()
	k.invalid(node, ch.last(1))
	for _, token := range ch.access {
		eventually(k.T, "its access tokens are refused", func() bool { return !node.open(token) })
	}
}

func (k *killing) invalid(node *instance, refresh string) {
	k.Helper()
	a, err := node.insist("/oauth2/token", byRefresh("phone", refresh))
	if err != nil || a.status != http.StatusBadRequest || a.body != `{"error":"invalid_grant"}` {
		k.Errorf("a refresh token that is dead: %d %s, %v", a.status, a.body, err)
	}
}

// goneAtOnce wants a node that is back to know what was ended without it.
func (k *killing) goneAtOnce(node *instance) {
	k.Helper()
	for _, ch := range k.dead {
		k.invalid(node, ch.last(1))
		for _, token := range ch.access {
			if node.open(token) {
				k.Error("a node that came back takes a token that was ended while it was away")
			}
		}
	}
}
