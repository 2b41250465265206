package main

import (
	"cmp"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// cluster is nodes that share a PostgreSQL database, each a process of its own.
type cluster struct {
	*testing.T
	db    *postgrestest.Server
	url   string
	nodes []*instance
}

// rules are what the nodes of a cluster are told.
type rules struct {
	store   []string // the lines of each node's `store` block; there are as many nodes
	issuer  string   // further lines of the issuer
	clients string   // default: threeClients
	sites   string   // further ones
	skews   []string // how wrong each node's clock is
	place   func(at int, i *instance)

	database func(t *testing.T, url string) // what is done to it first
}

// newCluster starts nodes together that are told the same.
func newCluster(t *testing.T, n int, more string, skews ...string) *cluster {
	t.Helper()
	t.Parallel() // they wait more than they work
	return clusterOf(t, rules{store: slices.Repeat([]string{more}, n), skews: skews})
}

// clusterOf starts nodes together on an empty database. The issuer's name is the
// first one's address, as a load balancer's would be.
func clusterOf(t *testing.T, told rules) *cluster {
	t.Helper()
	c := &cluster{T: t, db: postgrestest.Start(t)}
	c.url = c.db.Database(t)
	if told.database != nil {
		told.database(t, c.url)
	}
	path := swift(t)
	if len(told.skews) > 0 {
		path = skewed(t)
	}
	for at, more := range told.store {
		i := newInstance(t)
		i.path = path
		c.nodes = append(c.nodes, i)
		if len(told.skews) > 0 {
			i.env = append(i.env, "GATEHOUSE_SKEW="+told.skews[at])
		}
		i.env = append(i.env, "DATABASE_URL="+c.url, "ISSUER="+c.nodes[0].site)
		if told.place != nil {
			told.place(at, i)
		}
		i.configure("\t\tstore postgres {env.DATABASE_URL} {\n"+more+"\n\t\t}\n\t\tsigning_algorithm ES256\n"+told.issuer+cmp.Or(told.clients, threeClients),
			"{$SITE} {\n\ttoken_issuer\n\ttoken_gate\n\treverse_proxy /events {$BACKEND}\n\trespond ok\n}\n"+told.sites)
		text, err := os.ReadFile(i.file("Caddyfile"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(i.file("Caddyfile"), []byte(strings.Replace(string(text), "issuer {$SITE}", "issuer {$ISSUER}", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for _, i := range c.nodes {
		all.Go(i.start)
	}
	all.Wait()
	c.nodes[0].addAlice()
	return c
}

// skewed is the program with a clock that can be wrong.
func skewed(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse-skewed")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-tags=nobadger,nomysql,nopgx,skewed", "-ldflags=-s -w", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// open says whether a token opens a node's gate.
func (i *instance) open(token string) bool {
	a, err := i.ask(http.MethodGet, "/", "", bearer(token))
	return err == nil && a.status == http.StatusOK
}

// opens is open, of a node that may be too far behind the others to say: it says so, and
// is asked again.
func (i *instance) opens(token string) bool {
	for end := time.Now().Add(patience); ; <-time.After(50 * time.Millisecond) { // a client's own pause
		a, err := i.ask(http.MethodGet, "/", "", bearer(token))
		if err != nil || a.status != http.StatusServiceUnavailable || time.Now().After(end) {
			return err == nil && a.status == http.StatusOK
		}
	}
}

// Nodes that start together on an empty database agree on one key, and what one
// of them gives every other takes.
func TestNodesAreOneIssuer(t *testing.T) {
	c := newCluster(t, 3, "")
	jwks := map[string]bool{}
	for _, n := range c.nodes {
		jwks[n.must(http.MethodGet, "/oauth2/jwks", "").body] = true
	}
	if len(jwks) != 1 {
		t.Errorf("nodes publish different keys: %v", jwks)
	}
	first := c.nodes[0].earn(byPassword("phone"))
	for _, n := range c.nodes {
		if !n.open(first.Access) {
			t.Errorf("%s: a token of another node: refused", n.site)
		}
	}
	// A refresh token goes from node to node.
	refresh := first.Refresh
	for turn := range 6 {
		got := c.nodes[turn%3].earn(byRefresh("phone", refresh))
		if !c.nodes[(turn+1)%3].open(got.Access) {
			t.Error("a refreshed token is refused by the next node")
		}
		refresh = got.Refresh
	}
	// The first one, spent long ago, ends all of it, everywhere.
	if a := c.nodes[1].post("/oauth2/token", byRefresh("phone", first.Refresh)); a.status == http.StatusOK {
		t.Errorf("a spent refresh token: %d %s", a.status, a.body)
	}
	for _, n := range c.nodes {
		eventually(t, "the family's tokens are refused", func() bool { return !n.open(first.Access) })
	}
	// A key that one rotates all publish long before it signs.
	if out, err := c.nodes[2].command("", "issuer", "key", "rotate", "--address", c.nodes[2].admin); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := c.nodes[2].must(http.MethodGet, "/oauth2/jwks", "").body
	for _, n := range c.nodes {
		eventually(t, "the new key is published", func() bool { return n.must(http.MethodGet, "/oauth2/jwks", "").body == want })
	}
	if before := len(jwks); before == 1 && jwks[want] {
		t.Error("nothing was rotated")
	}
}

// Fifty requests with one refresh token, over three nodes: they get one successor,
// and one guess with a code is one guess.
func TestRacesOverThreeNodes(t *testing.T) {
	t.Parallel()
	c := clusterOf(t, rules{store: make([]string, 3), issuer: longMemory})
	for range 10 {
		first := c.nodes[0].signIn()
		form := byRefresh("phone", first.Refresh)
		var mu sync.Mutex
		successors := map[string]bool{}
		var all sync.WaitGroup
		for n := range 50 {
			all.Go(func() {
				a, err := c.nodes[n%3].insist("/oauth2/token", form)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := a.tokens()
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				successors[got.Refresh] = true
			})
		}
		all.Wait()
		// Inside the window every one of them is answered, and with the same.
		if len(successors) != 1 {
			t.Fatalf("one refresh token has %d successors", len(successors))
		}
	}
	// Wrong passwords count once for all nodes: the sixth finds the account locked.
	for n := range 12 {
		want := "Wrong username or password"
		if n >= 5 {
			want = "Abnormal user status"
		}
		if a := c.nodes[n%3].post("/oauth2/token", with(byPassword("phone"), "password", "wrong")); !strings.Contains(a.body, want) {
			t.Errorf("wrong password %d: %s, not %s", n+1, a.body, want)
		}
	}
}

// A node that is killed in the middle takes nothing with it that was answered, and
// a database that goes away and comes back loses nothing either.
func TestNodesAndDatabaseMayFail(t *testing.T) {
	t.Parallel()
	c := clusterOf(t, rules{store: slices.Repeat([]string{"max_staleness 3s"}, 3), issuer: longMemory})
	chains := make([]*chain, 6)
	for n := range chains {
		chains[n] = chainOf(c.nodes[n%3].earn(byPassword("phone")))
	}
	var refreshes, failed atomic.Int64
	// They work for a while, and on a slow machine until it was enough.
	work := func(least time.Duration, alive func(n int) *instance, enough func() bool) {
		end, late := time.Now().Add(least), time.Now().Add(patience)
		var all sync.WaitGroup
		for n, ch := range chains {
			all.Go(func() {
				for turn := n; time.Now().Before(end) || !enough() && time.Now().Before(late); turn++ {
					a, err := alive(turn).ask(http.MethodPost, "/oauth2/token", byRefresh("phone", ch.last(1)).Encode())
					if err != nil || a.status >= 500 {
						failed.Add(1)
						time.Sleep(20 * time.Millisecond) // a client's own pause
						continue
					}
					got, err := a.tokens()
					if err != nil {
						t.Errorf("a refresh: %v", err)
						return
					}
					ch.refresh, ch.access = append(ch.refresh, got.Refresh), append(ch.access, got.Access)
					refreshes.Add(1)
				}
			})
		}
		all.Wait()
	}
	every := func(n int) *instance { return c.nodes[n%3] }
	killed := c.nodes[2]
	var kill sync.WaitGroup
	kill.Go(func() {
		time.Sleep(300 * time.Millisecond)
		killed.running.kill()
	})
	work(time.Second, every, func() bool { return refreshes.Load() > 0 && failed.Load() > 0 })
	kill.Wait()
	killed.running = nil
	if refreshes.Load() == 0 || failed.Load() == 0 {
		t.Errorf("%d refreshes and %d failures around a kill: it tested nothing", refreshes.Load(), failed.Load())
	}
	two := func(n int) *instance { return c.nodes[n%2] }
	work(500*time.Millisecond, two, func() bool { return true })
	killed.start()

	// The database goes away for longer than nodes may be behind.
	last := chains[0].access[len(chains[0].access)-1]
	streaming := c.nodes[0].stream(last)
	c.db.Stop()
	failed.Store(0)
	work(time.Second, every, func() bool { return true })
	for _, n := range c.nodes {
		eventually(t, "a node that cannot follow refuses", func() bool {
			a, err := n.ask(http.MethodGet, "/", "", bearer(last))
			return err == nil && a.status == http.StatusServiceUnavailable
		})
		if a := n.must(http.MethodGet, "/health", ""); a.status != http.StatusServiceUnavailable {
			t.Errorf("health of a node without its database: %d %s", a.status, a.body)
		}
	}
	select {
	case <-streaming:
	case <-time.After(patience):
		t.Error("a stream goes on although nobody knows whether its token is revoked")
	}
	if err := c.db.Restart(); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.nodes {
		eventually(t, "the node serves again", func() bool { return n.open(last) })
	}
	before := refreshes.Load()
	work(500*time.Millisecond, every, func() bool { return refreshes.Load() > before })
	if refreshes.Load() == before {
		t.Error("nobody could refresh after the database was back")
	}
	for n, ch := range chains {
		for _, token := range ch.access {
			if !c.nodes[n%3].opens(token) {
				t.Errorf("a token that was answered does not open the gate")
				break
			}
		}
	}
	t.Logf("%d refreshes answered, %d requests failed beside a stopped database", refreshes.Load(), failed.Load())
}

// stream is closed when the answer to a request for events ends.
func (i *instance) stream(token string) <-chan struct{} {
	i.Helper()
	i.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: first\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	r, err := http.NewRequestWithContext(i.Context(), http.MethodGet, i.site+"/events", nil)
	if err != nil {
		i.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "text/event-stream")
	endless := *i.client
	endless.Timeout = 0
	return follow(i, &endless, r)
}

// follow reads a good answer to its end, which is what the channel tells.
func follow(t testing.TB, client *http.Client, r *http.Request) <-chan struct{} {
	t.Helper()
	response, err := client.Do(r)
	for end := time.Now().Add(patience); err == nil && response.StatusCode == http.StatusServiceUnavailable && time.Now().Before(end); {
		_ = response.Body.Close() // the node has yet to hear what the others did
		<-time.After(50 * time.Millisecond)
		response, err = client.Do(r)
	}
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", response, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
	}()
	return ended
}

// Three nodes whose clocks are five minutes apart, each from the next, count by one
// clock: the database's.
func TestClocksOfNodesMayBeWrong(t *testing.T) {
	c := newCluster(t, 3, "", "-5m", "0s", "5m")
	for turn := range 3 {
		got := c.nodes[turn].earn(byPassword("phone"))
		for _, n := range c.nodes {
			if !n.open(got.Access) {
				t.Errorf("node %d's token is refused by %s", turn, n.site)
			}
		}
		if a := c.nodes[(turn+1)%3].must(http.MethodGet, "/userinfo", "", bearer(got.Access)); a.status != http.StatusOK {
			t.Errorf("userinfo: %d %s", a.status, a.body)
		}
		c.nodes[(turn+2)%3].earn(byRefresh("phone", got.Refresh))
	}
	for n, want := range []string{"3", "0", "-3"} { // hundreds of seconds, or -3e+02
		line := metricLine(c.nodes[n].metrics(), "gatehouse_store_clock_ahead_seconds ")
		if want != "0" && !strings.HasPrefix(line, want) && !strings.HasPrefix(line, strings.Replace(want, "3", "299", 1)) {
			t.Errorf("node %d is said to be %q seconds behind the database", n, line)
		}
	}
}

// metricLine is what stands behind a name.
func metricLine(metrics, name string) string {
	_, after, _ := strings.Cut(metrics, "\n"+name)
	line, _, _ := strings.Cut(after, "\n")
	return line
}
