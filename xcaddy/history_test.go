package main

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// contest is people who race with each other's and their own requests over nodes,
// while those fail.
type contest struct {
	*testing.T
	nodes  []*instance
	window window
	post   *post
	began  time.Time
	people []*person
	late   sync.WaitGroup // histories that wait until a window is over

	mu     sync.Mutex
	counts map[string]int
}

const crowds = 6 // of clients; each races about one thing at a time

// racesFor is how long a test races: RACES_FOR=10m for more than a look.
func racesFor(t *testing.T, normal time.Duration) time.Duration {
	t.Helper()
	long, err := time.ParseDuration(cmp.Or(os.Getenv("RACES_FOR"), normal.String()))
	if err != nil {
		t.Fatalf("RACES_FOR: %v", err)
	}
	return long
}

// hook is where one-time codes go, and the clients whose people get them.
func hook(t *testing.T) (p *post, clients string) {
	t.Helper()
	p = &post{codes: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(p.text))
	t.Cleanup(server.Close)
	return p, fmt.Sprintf(racer, server.URL)
}

const aSecondsWindow = "\t\trefresh_window 1s\n"

// Requests over three nodes that race for one code, one refresh token, one one-time
// code are answered as if they had come one after another: on a quiet day, while
// nodes are killed, and while the database ends connections.
func TestRacesOverThreeNodesAreLinearizable(t *testing.T) {
	t.Parallel()
	p, clients := hook(t)
	cluster := clusterOf(t, rules{store: make([]string, 3), issuer: "\t\trefresh_window 3s\n", clients: clients})
	// Nodes know the database's clock as exactly as an answer of it is quick, and hear of
	// each other within a second, on a machine that has nothing else to do. This one has.
	c := newContest(t, cluster.nodes, window{open: 3 * time.Second, slack: time.Second, late: 10 * time.Second}, p)
	c.race(racesFor(t, 8*time.Second), nil, c.kill, func() {
		<-time.After(rand.N(200 * time.Millisecond)) // the fault's own moment
		postgrestest.Terminate(t, cluster.url, "")
		c.count("connections of all nodes ended")
	})
}

// The same on one node, which has one writer.
func TestRacesOnOneNodeAreLinearizable(t *testing.T) {
	t.Parallel()
	p, clients := hook(t)
	i := newInstance(t)
	i.path = swift(t)
	i.configure("\t\tsigning_algorithm ES256\n"+aSecondsWindow+clients, "{$SITE} {\n\ttoken_issuer\n\ttoken_gate\n\trespond ok\n}\n")
	i.start()
	i.addAlice()
	c := newContest(t, []*instance{i}, window{open: time.Second, slack: 10 * time.Millisecond}, p)
	c.race(racesFor(t, 6*time.Second), nil, c.kill)
}

func newContest(t *testing.T, nodes []*instance, w window, p *post) *contest {
	t.Helper()
	c := &contest{T: t, nodes: nodes, window: w, post: p, began: time.Now(), counts: map[string]int{}}
	for range crowds {
		c.people = append(c.people, c.newPerson())
	}
	return c
}

// race lets everybody race until the time is over, with one fault after the other.
func (c *contest) race(long time.Duration, faults ...func()) {
	c.Helper()
	const atLeast, atMost = 2 * time.Second, 10 * time.Second
	each := min(max(long/time.Duration(len(faults)), atLeast), atMost)
	for n := 0; !c.Failed() && (n < len(faults) || time.Since(c.began) < long || c.lacking() != "" && time.Since(c.began) < patience); n++ {
		c.raceBeside(each, faults[n%len(faults)])
	}
	c.late.Wait()
	c.tell()
}

func (c *contest) raceBeside(long time.Duration, fault func()) {
	end := time.Now().Add(long)
	var all sync.WaitGroup
	defer all.Wait()
	for _, p := range c.people {
		all.Go(func() {
			for time.Now().Before(end) && !c.Failed() {
				if rand.IntN(4) == 0 {
					p.oneTimeCode()
				} else {
					p.signIn()
				}
			}
		})
	}
	for fault != nil && time.Now().Before(end) && !c.Failed() {
		fault()
	}
}

// kill takes one node away in the middle of everything, and starts it again.
func (c *contest) kill() {
	<-time.After(rand.N(800 * time.Millisecond)) // the fault's own moment
	n := c.node()
	n.running.kill()
	n.running = nil
	c.count("nodes killed")
	n.start()
}

// tell logs what has been done, and fails where that was too little to have tested
// anything.
func (c *contest) tell() {
	c.Helper()
	var said strings.Builder
	for _, what := range slices.Sorted(maps.Keys(c.counts)) {
		fmt.Fprintf(&said, "\n%8d  %s", c.counts[what], what)
	}
	c.Logf("in %s:%s", time.Since(c.began).Round(time.Second), &said)
	if none := c.lacking(); none != "" {
		c.Errorf("none of %q: that is too few to have tested anything", none)
	}
}

// lacking is something that has to happen and has not yet, on a slow machine.
func (c *contest) lacking() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, what := range []string{
		noAnswer, "redeem: granted", "redeem: refused", "redeem with a wrong verifier: refused",
		"refresh: granted", "refresh: granted again", "refresh: refused", "revoke: granted", "use: granted", "use: refused",
		"right code: granted", "right code: refused", "wrong code: wrong", "wrong code: refused", "nodes killed",
	} {
		if c.counts[what] == 0 {
			return what
		}
	}
	return ""
}

func (c *contest) node() *instance { return c.nodes[rand.IntN(len(c.nodes))] }

func (c *contest) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what]++
}

// together lets some clients loose at the same moment.
func (*contest) together(crowd int, do func(client int)) {
	var all sync.WaitGroup
	begin := make(chan struct{})
	for client := range crowd {
		all.Go(func() {
			<-begin
			do(client)
		})
	}
	close(begin)
	all.Wait()
}

func (c *contest) history(of string, m porcupine.Model) *history {
	return &history{T: c.T, name: of, model: m}
}

// judge checks a history that is over.
func (c *contest) judge(h *history) {
	if h.check() {
		c.count("histories: " + h.name)
	}
}
