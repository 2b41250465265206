package main

import (
	"net/http"
	"testing"
	"time"
)

func init() { faults["nodes are cut off"] = cutOff }

const (
	cutFor   = 20 * time.Second
	cutBound = 6 * time.Second
)

// cutOff pulls the cable between two of four nodes and PostgreSQL: packets vanish,
// and nobody is told. Whoever asks those two reaches them by another one.
func cutOff(t *testing.T) {
	r := newRoom(t)
	c := clusterOf(t, rules{
		store:  []string{"", "", "max_staleness 6s", "max_staleness 6s\n\t\t\twhen_stale serve"},
		issuer: longMemory,
		place: func(at int, i *instance) {
			if at >= 2 {
				r.move(i)
			}
		},
	})
	refusing, serving := c.nodes[2], c.nodes[3]
	spread := c.spread(8)
	lost, kept := c.nodes[2].signIn(), c.nodes[3].signIn()
	for _, n := range c.nodes {
		if !n.opens(lost.Access) || !n.opens(kept.Access) {
			t.Fatal("refused before anything happened")
		}
	}
	work := spread.begin()
	eventually(t, "refreshes are under way", func() bool { return spread.answered.Load() > 30 })

	var watches []func() []seen
	for _, n := range []*instance{refusing, serving} {
		watches = append(watches, n.watch(lost.Access), n.watch(kept.Access))
	}
	r.link("down")
	cut := time.Now()
	took := []time.Duration{c.revokeOn(c.nodes[0], lost.Access, c.nodes[:2]...)}
	for range 20 {
		took = append(took, c.revokeOn(c.nodes[0], c.nodes[1].signIn().Access, c.nodes[:2]...))
	}
	report(t, "revocations beside nodes that are cut off, on those that are not", c.nodes[0], took)
	refusing.unhealthy()
	for _, n := range []*instance{refusing, serving} {
		began := time.Now()
		n.later("a sign-in", http.MethodPost, "/oauth2/token", byPassword("phone").Encode())
		t.Logf("a sign-in at a node that is cut off is answered 503 after %s", time.Since(began).Round(time.Millisecond))
	}
	<-time.After(time.Until(cut.Add(cutFor))) // the fault itself
	healing := time.Now()
	r.link("up")
	for _, n := range c.nodes {
		eventually(t, "a node knows what was revoked meanwhile", func() bool {
			a, err := n.ask(http.MethodGet, "/", "", bearer(lost.Access))
			return err == nil && a.status == http.StatusUnauthorized
		})
		eventually(t, "it serves again", func() bool { return n.open(kept.Access) })
		eventually(t, "sign-ins resume", func() bool { _, err := n.tryPassword(); return err == nil })
	}
	t.Logf("all nodes know everything and sign people in %s after the cable is back", time.Since(healing).Round(time.Millisecond))
	work()
	for at, what := range []string{"a node that is cut off and refuses beyond its bound", "a node that is cut off and goes on"} {
		// The first token was revoked meanwhile, and the second was not.
		gateCutOff(t, what, at == 0, cut, healing, append(watches[2*at](), watches[2*at+1]()...))
	}
	spread.look()
	t.Logf("%d refreshes answered on four nodes, %d requests answered 503", spread.answered.Load(), spread.later.Load())
}

// gateCutOff judges what the gate of a node answered that was cut off.
func gateCutOff(t *testing.T, what string, refuses bool, cut, healing time.Time, both []seen) {
	t.Helper()
	before, after := within(both, cut, cut.Add(cutBound)), within(both, cut.Add(cutBound), healing)
	t.Logf("%s: %v within the bound, %v after it", what, statuses(before), statuses(after))
	if refuses {
		only(t, what, before, http.StatusOK, http.StatusServiceUnavailable)
		only(t, what, after, http.StatusServiceUnavailable)
	} else {
		only(t, what, append(before, after...), http.StatusOK)
	}
	if statuses(before)[http.StatusOK] == 0 || len(after) == 0 {
		t.Errorf("%s let nothing through from the start, or was not asked later", what)
	}
}
