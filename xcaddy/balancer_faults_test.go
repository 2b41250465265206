package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// visit is one request of somebody behind the balancer.
type visit struct {
	seen
	by                  *instance
	what, node, problem string
}

// good says whether it was answered as ever.
func (v visit) good() bool { return v.status == http.StatusOK }

// visitors are apps and a browser that come again and again.
type visitors struct {
	*balanced
	ctx  context.Context // until it is over
	stop func()
	work sync.WaitGroup
	n    int // of them

	mu  sync.Mutex
	all []visit
}

// outlive has nodes end, die and fall behind while people come.
func (b *balanced) outlive() {
	v := b.visitors()
	v.replaced()
	v.killed()
	v.behind()
	v.stop()
	v.work.Wait()
}

func (b *balanced) visitors() *visitors {
	b.Helper()
	v := &visitors{balanced: b, n: 7}
	v.ctx, v.stop = context.WithCancel(b.Context())
	for n := range v.n - 1 {
		by := b.from("127.0.0.1", manner(n%3))
		got := by.signIn()
		v.work.Go(func() { v.app(by, got) })
	}
	world := &cluster{T: b.T, nodes: []*instance{b.front}}
	p := &traveller{cluster: world, jar: world.newJar(), by: []*http.Transport{b.front.client.Transport.(*http.Transport)}}
	p.signIn(atWiki + "/")
	browser := *b.front
	browser.client = &http.Client{Timeout: patience, Transport: p.by[0], Jar: p.jar}
	v.work.Go(func() {
		for v.goesOn() {
			v.visit(&browser, "a page", http.MethodGet, atWiki+"/", "", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin")
		}
	})
	v.come(v.n * 10)
	return v
}

// goesOn is false when it is over. In between is a client's own pause.
func (v *visitors) goesOn() bool {
	select {
	case <-v.ctx.Done():
		return false
	case <-time.After(20 * time.Millisecond):
		return true
	}
}

// app refreshes, and shows what it got.
func (v *visitors) app(by *instance, got tokens) {
	for v.goesOn() {
		a := v.visit(by, "a refresh", http.MethodPost, "/oauth2/token", byRefresh("phone", got.Refresh).Encode())
		if next, err := a.tokens(); err == nil {
			got = next
		}
		v.visit(by, "userinfo", http.MethodGet, "/userinfo", "", bearer(got.Access))
		v.visit(by, "the gate", http.MethodGet, atWiki+"/", "", bearer(got.Access))
	}
}

func (v *visitors) visit(by *instance, what, method, path, body string, lines ...string) answer {
	s := visit{by: by, what: what}
	s.began = time.Now()
	a, err := by.ask(method, path, body, lines...)
	s.ended = time.Now()
	if err != nil {
		a.status, s.problem = 0, err.Error()
	} else if a.status != http.StatusOK {
		s.problem = a.body
	}
	s.status, s.wait, s.node = a.status, a.header.Get("Retry-After"), a.header.Get("X-Node")
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all = append(v.all, s)
	return a
}

// since is what began after a moment.
func (v *visitors) since(moment time.Time) (later []visit) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.all {
		if s.began.After(moment) {
			later = append(later, s)
		}
	}
	return later
}

// come waits for so many more.
func (v *visitors) come(more int) {
	v.Helper()
	moment := time.Now()
	eventually(v.T, "people come", func() bool { return len(v.since(moment)) >= more })
}

// goRound waits until everybody has asked for each thing. Who keeps a connection to a
// node that has nothing to give learns so by an answer, and leaves it.
func (v *visitors) goRound() {
	v.Helper()
	moment := time.Now()
	eventually(v.T, "everybody comes", func() bool {
		visits := map[*instance]int{}
		for _, s := range v.since(moment) {
			visits[s.by]++
		}
		for _, n := range visits {
			if n < 3 {
				return false
			}
		}
		return len(visits) == v.n
	})
}

// servedBy waits until a node has answered somebody.
func (v *visitors) servedBy(at int) {
	v.Helper()
	moment := time.Now()
	eventually(v.T, fmt.Sprintf("node %d answers people", at), func() bool {
		for _, s := range v.since(moment) {
			if s.good() && s.node == strconv.Itoa(at) {
				return true
			}
		}
		return false
	})
}

// allGood wants every answer to be one, and counts those that are not.
func (v *visitors) allGood(when string, all []visit) (bad int) {
	v.Helper()
	for _, s := range all {
		if s.good() {
			continue
		}
		if bad++; bad <= 3 {
			v.Errorf("%s: %s of node %q, at %s for %s: %d %s", when, s.what, s.node, s.began.Format(time.StampMilli), s.ended.Sub(s.began), s.status, s.problem)
		}
	}
	if bad > 0 {
		v.Errorf("%s: %d of %d requests were not answered as ever", when, bad, len(all))
	}
	return bad
}

// again is what HAProxy counts of its servers: connections that failed, and how often it
// tried once more.
func (v *visitors) again() string {
	sums := map[string]int{}
	columns := []string{"econ", "wretr", "wredis"}
	for at := range v.nodes {
		row := v.server(at)
		for _, name := range columns {
			n, err := strconv.Atoi(row[name])
			if err != nil {
				v.Errorf("HAProxy says of node %d: %v", at, row)
			}
			sums[name] += n
		}
	}
	return fmt.Sprintf("HAProxy so far: %d connections given up, %d tried again, %d sent to another node", sums["econ"], sums["wretr"], sums["wredis"])
}

// replaced replaces one node after the other, as an update does, and nobody notices.
func (v *visitors) replaced() {
	v.Helper()
	began := time.Now()
	for at, n := range v.nodes {
		n.signal(syscall.SIGTERM)
		v.leaving(n)
		v.left(n)
		v.has(at, "DOWN")
		n.start()
		v.has(at, "UP")
		v.servedBy(at)
	}
	all := v.since(began)
	lost := v.allGood("nodes are replaced", all)
	v.Logf("three nodes replaced in %s: %d requests, %d lost; %s", time.Since(began).Round(100*time.Millisecond), len(all), lost, v.again())
}

// leaving wants a node that is to end to say so, and to answer.
func (v *visitors) leaving(n *instance) {
	v.Helper()
	asked := *n
	asked.site = "http://auth.example.com"
	if v.https {
		asked.site = atAuth
	}
	ask := func(path string) (answer, error) {
		return asked.ask(http.MethodGet, path, "", "X-Forwarded-Proto: https")
	}
	eventually(v.T, "a node that ends says so", func() bool {
		a, err := ask("/health/gate")
		if err == nil && a.status != http.StatusOK && notLater(a) != "" {
			v.Fatalf("health of a node that ends: %d %s", a.status, a.body)
		}
		return err == nil && a.status == http.StatusServiceUnavailable
	})
	if a, err := ask("/health"); err != nil || notLater(a) != "" {
		v.Errorf("health of a node that ends: %d %s, %v", a.status, a.body, err)
	}
	if a, err := ask("/oauth2/jwks"); err != nil || a.status != http.StatusOK {
		v.Errorf("the keys, of a node that ends: %d %s, %v", a.status, a.body, err)
	}
}

// left waits for the end of a node that was told to.
func (v *visitors) left(n *instance) {
	v.Helper()
	p := n.running
	n.running = nil
	select {
	case err := <-p.ended:
		if err := errors.Join(err, raced(p.log)); err != nil {
			v.Error(err)
		}
	case <-time.After(patience):
		p.kill()
		v.Errorf("still running %s after SIGTERM", patience)
	}
}

// killed kills a node. What it was answering is lost, and nothing else once the check
// has found out.
func (v *visitors) killed() {
	v.Helper()
	const at = 1
	n := v.nodes[at]
	began := time.Now()
	n.running.kill()
	n.running = nil
	v.has(at, "DOWN")
	known := time.Now()
	v.come(v.n * 10)
	n.start()
	v.has(at, "UP")
	v.servedBy(at)
	all := v.since(known)
	v.allGood("a node is dead, and back", all)
	lost := 0
	for _, s := range v.since(began.Add(-patience)) {
		if s.ended.After(began) && s.began.Before(known) && !s.good() {
			lost++
			if s.status != 0 && s.status != http.StatusBadGateway {
				v.Errorf("a node is killed: %s: %d %s", s.what, s.status, s.problem)
			}
		}
	}
	// Each of them asks for one thing at a time.
	if lost > v.n {
		v.Errorf("%d requests were lost with a node, of %d people", lost, v.n)
	}
	v.Logf("a node killed: %d requests lost with it, none of %d after its end was found out, %s later; %s", lost, len(all), known.Sub(began).Round(time.Millisecond), v.again())
}

// behind cuts a node off from the database: it does what its max_staleness says, is
// taken out, and comes back.
func (v *visitors) behind() {
	v.Helper()
	const at = 2
	began := time.Now()
	v.cable.pull()
	v.has(at, "DOWN")
	took := time.Since(began)
	v.goRound()
	known := time.Now()
	v.come(v.n * 10)
	without := v.since(known)
	v.allGood("a node is behind", without)
	for _, s := range without {
		if s.node == strconv.Itoa(at) {
			v.Errorf("a node that is behind was asked for %s", s.what)
			break
		}
	}
	later := map[string]int{}
	for _, s := range v.since(began) {
		if s.good() || s.began.After(known) {
			continue
		}
		later[s.what]++
		if s.status != http.StatusServiceUnavailable || s.wait != "5" {
			v.Errorf("a node falls behind: %s: %d %s", s.what, s.status, s.problem)
		}
	}
	v.cable.mend()
	v.has(at, "UP")
	v.servedBy(at)
	v.allGood("a node was behind", v.since(known))
	v.Logf("a node cut off from the database: taken out after %s, until then answered 503: %v; then all %d answered", took.Round(100*time.Millisecond), later, len(without))
	if len(later) == 0 {
		v.Error("the node was not asked before: it tested nothing")
	}
}
