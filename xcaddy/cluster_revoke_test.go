package main

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// revokeOn revokes a token on one node and waits until the others refuse it, too. It
// returns how long that took from the request on.
func (c *cluster) revokeOn(node *instance, token string, others ...*instance) time.Duration {
	c.Helper()
	began := time.Now()
	if a := node.post("/oauth2/revoke", revocation(token)); a.status != http.StatusOK {
		c.Fatalf("revoking: %d %s", a.status, a.body)
	}
	if node.open(token) {
		c.Error("its own node takes it after the answer")
	}
	for _, n := range others {
		eventually(c.T, "refused", func() bool { return !n.open(token) })
	}
	return time.Since(began)
}

// report logs how long something took. Half of it within the second that is promised
// is asked of every machine, and with the time of some requests where those are slow; the
// rest is measured.
func report(t *testing.T, what string, by *instance, took []time.Duration) {
	t.Helper()
	most := time.Second + 20*by.pace()
	slices.Sort(took)
	n := len(took)
	t.Logf("%d %s: median %s, p99 %s, longest %s", n, what,
		took[n/2].Round(time.Millisecond), took[(99*n+99)/100-1].Round(time.Millisecond), took[n-1].Round(time.Millisecond))
	if took[n/2] > most {
		t.Errorf("%s: half took longer than %s, %s at the most", what, took[n/2], most)
	}
}

// pace is how long a request takes that needs nothing but the node.
func (i *instance) pace() time.Duration {
	i.Helper()
	const requests = 20
	began := time.Now()
	for range requests {
		i.must(http.MethodGet, "/health", "")
	}
	return time.Since(began) / requests
}

// A revocation on one node is in effect on the others soon; how soon is told.
func TestRevocationReachesEveryNode(t *testing.T) {
	c := newCluster(t, 3, "")
	report(t, "revocations on three nodes, to the last refusal", c.nodes[0], c.revokeMany(100))
}

// endListeners ends the connections on which nodes listen again and again meanwhile:
// a revocation reaches them none the less.
func endListeners(t *testing.T) {
	c := clusterOf(t, rules{store: make([]string, 3)})
	var ended atomic.Int64
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		every := time.NewTicker(100 * time.Millisecond)
		defer every.Stop()
		for {
			select {
			case <-done:
				return
			case <-every.C:
				ended.Add(int64(postgrestest.Terminate(t, c.url, "gatehouse listener")))
			}
		}
	}()
	took := c.revokeMany(40)
	close(done)
	<-stopped
	report(t, "revocations on three nodes whose listeners are ended", c.nodes[0], took)
	t.Logf("%d listeners were ended", ended.Load())
	if ended.Load() < 3 {
		t.Error("no listener was ended: it tested nothing")
	}
}

func (c *cluster) revokeMany(rounds int) (took []time.Duration) {
	c.Helper()
	for round := range rounds {
		node := c.nodes[round%len(c.nodes)]
		token := node.signIn().Access
		for _, n := range c.nodes {
			if !n.open(token) {
				c.Fatalf("round %d: refused before it is revoked", round)
			}
		}
		took = append(took, c.revokeOn(node, token, c.nodes...))
	}
	return took
}
