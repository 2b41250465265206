package main

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

const (
	awayFor   = 20 * time.Second
	awayBound = 5 * time.Second // of two of the nodes; the third has the default, which is longer

	// Of that default, 30 s, less what a look takes that still found the database.
	awayLeast = 28 * time.Second

	// A refresh whose commit was under way may have happened, and its client learns of
	// it when the database is back.
	longMemory = "\t\trefresh_window 1m\n"
	memory     = time.Minute
)

// databaseAway takes PostgreSQL away for twenty seconds under three nodes that are told
// different things about what they do meanwhile.
func databaseAway(t *testing.T, end func(*postgrestest.Server)) {
	c := clusterOf(t, rules{
		store:  []string{"max_staleness 5s", "", "max_staleness 5s\n\t\t\twhen_stale serve"},
		issuer: longMemory,
	})
	lives := c.lives()
	spread := c.spread(6)
	gone := c.nodes[0].signIn()
	if a := c.nodes[0].post("/oauth2/revoke", revocation(gone.Access)); a.status != http.StatusOK {
		t.Fatal(a)
	}
	met, unmet := c.nodes[0].signIn(), c.nodes[0].signIn()
	for _, n := range c.nodes {
		eventually(t, "refused", func() bool { return !n.open(gone.Access) })
		if !n.opens(met.Access) {
			t.Fatal("refused before anything happened")
		}
	}
	work := spread.begin()
	eventually(t, "refreshes are under way", func() bool { return spread.answered.Load() > 30 })

	leaving := time.Now()
	end(c.db)
	away := time.Now()
	// The second token of each is one that the gates have not seen yet.
	var watches, revoked []func() []seen
	for _, n := range c.nodes {
		watches = append(watches, n.watch(met.Access), n.watch(unmet.Access))
		revoked = append(revoked, n.watch(gone.Access))
	}
	c.answersWithoutDatabase(met, unmet)
	<-time.After(time.Until(away.Add(awayFor))) // the outage itself
	coming := time.Now()
	if err := c.db.Restart(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	for _, n := range c.nodes {
		eventually(t, "sign-ins resume", func() bool { _, err := n.tryPassword(); return err == nil })
	}
	t.Logf("sign-ins on all nodes %s after the server answers again", time.Since(back).Round(time.Millisecond))
	before := spread.answered.Load()
	eventually(t, "refreshes resume", func() bool { return spread.answered.Load() > before+30 })
	work()

	for at := range c.nodes {
		gateWithoutDatabase(t, at, leaving, away, coming, append(watches[2*at](), watches[2*at+1]()...), revoked[at]())
	}
	c.sameLives(lives)
	spread.look()
	t.Logf("%d refreshes answered, %d requests answered 503 in %s without a database", spread.answered.Load(), spread.later.Load(), awayFor)
	if spread.later.Load() == 0 {
		t.Error("every refresh was answered: it tested nothing")
	}
	// What could not be revoked can be now, and counts everywhere.
	if a := c.nodes[1].post("/oauth2/revoke", revocation(met.Access)); a.status != http.StatusOK {
		t.Errorf("revoking after the outage: %d %s", a.status, a.body)
	}
	for _, n := range c.nodes {
		eventually(t, "refused", func() bool { return !n.open(met.Access) })
		eventually(t, "health after the outage", func() bool { return n.must(http.MethodGet, "/health", "").status == http.StatusOK })
	}
}

// gateWithoutDatabase judges what a node's gate answered to good tokens and to a
// revoked one. The first of them refuses beyond its bound.
func gateWithoutDatabase(t *testing.T, at int, leaving, away, coming time.Time, good, dead []seen) {
	t.Helper()
	without := within(good, away, coming)
	t.Logf("node %d without a database: good tokens %v, a revoked one %v", at, statuses(without), statuses(within(dead, away, coming)))
	slow := at == 0 && away.Sub(leaving) > awayBound/2 // the server answered nobody while it ended
	if statuses(without)[http.StatusOK] == 0 && !slow {
		t.Errorf("node %d let nothing through from the start", at)
	}
	if at == 0 {
		only(t, "a node that refuses beyond its bound", within(good, away.Add(awayBound), coming), http.StatusServiceUnavailable)
		only(t, "a node that refuses beyond its bound", good, http.StatusOK, http.StatusServiceUnavailable)
		only(t, "a node that knows of a revocation", dead, http.StatusUnauthorized, http.StatusServiceUnavailable)
		return
	}
	if at == 1 { // on a slow machine the database may be back only when this node's time is over, too
		good, dead = within(good, time.Time{}, leaving.Add(awayLeast)), within(dead, time.Time{}, leaving.Add(awayLeast))
	}
	only(t, "a node that goes on", good, http.StatusOK)
	only(t, "a node that knows of a revocation", dead, http.StatusUnauthorized)
}

// answersWithoutDatabase asks each node each thing at once and wants the one answer
// that says: later.
func (c *cluster) answersWithoutDatabase(met, unmet tokens) {
	c.Helper()
	var all sync.WaitGroup
	for _, n := range c.nodes {
		for what, form := range map[string]url.Values{
			"a sign-in": byPassword("phone"), "a refresh": byRefresh("phone", unmet.Refresh), "a sign-in at the shop": with(byPassword("shop"), "client_secret", shopSecret),
		} {
			all.Go(func() { n.later(what, http.MethodPost, "/oauth2/token", form.Encode()) })
		}
		all.Go(func() { n.later("a revocation", http.MethodPost, "/oauth2/revoke", revocation(met.Access).Encode()) })
		all.Go(func() {
			if a, err := n.ask(http.MethodGet, "/oauth2/jwks", ""); err != nil || a.status != http.StatusOK {
				n.Errorf("the keys: %d, %v", a.status, err)
			}
		})
	}
	all.Wait()
	c.nodes[0].unhealthy()
}

// unhealthy wants a node that refuses to tell a load balancer so.
func (i *instance) unhealthy() {
	i.Helper()
	var a answer
	eventually(i.T, "a node that refuses says so", func() bool {
		a = i.must(http.MethodGet, "/health", "")
		return a.status == http.StatusServiceUnavailable
	})
	if problem := notLater(a); problem != "" {
		i.Errorf("health: %s", problem)
	}
}

// later wants 503 in the words of the protocol, with when to come again.
func (i *instance) later(what, method, path, body string) {
	a, err := i.ask(method, path, body)
	if err != nil {
		i.Errorf("%s: %v", what, err)
		return
	}
	if problem := notLater(a); problem != "" {
		i.Errorf("%s: %s", what, problem)
	}
}

// notLater says in what an answer differs from the one that says: later.
func notLater(a answer) string {
	const body = `{"error":"temporarily_unavailable"}`
	if a.status == http.StatusServiceUnavailable && a.body == body && a.header.Get("Retry-After") == "5" && a.header.Get("Cache-Control") == "no-store" {
		return ""
	}
	return a.header.Get("Retry-After") + " " + http.StatusText(a.status) + " " + a.body
}

func revocation(token string) url.Values {
	return url.Values{"client_id": {"phone"}, "token": {token}}
}

// signIn is with a password, when there is time for one.
func (i *instance) signIn() tokens {
	i.Helper()
	a, err := i.insist("/oauth2/token", byPassword("phone"))
	if err != nil {
		i.Fatal(err)
	}
	got, err := a.tokens()
	if err != nil {
		i.Fatal(err)
	}
	return got
}

func (i *instance) tryPassword() (tokens, error) {
	a, err := i.ask(http.MethodPost, "/oauth2/token", byPassword("phone").Encode())
	if err != nil {
		return tokens{}, err
	}
	return a.tokens()
}

// lives are the processes of the nodes, and sameLives wants none to have ended since.
func (c *cluster) lives() []*process {
	var all []*process
	for _, n := range c.nodes {
		all = append(all, n.running)
	}
	return all
}

func (c *cluster) sameLives(before []*process) {
	c.Helper()
	for at, p := range before {
		select {
		case err := <-p.ended:
			c.Fatalf("node %d has ended: %v", at, err)
		default:
		}
	}
}
