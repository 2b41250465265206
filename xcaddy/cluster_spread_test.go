package main

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// spread is chains of refreshes whose every request goes to another node.
type spread struct {
	*cluster
	chains          []*chain
	answered, later atomic.Int64
}

func (c *cluster) spread(n int) *spread {
	c.Helper()
	s := &spread{cluster: c}
	for at := range n {
		s.chains = append(s.chains, chainOf(c.nodes[at%len(c.nodes)].signIn()))
	}
	return s
}

// begin lets all chains refresh until the function that it returns is called. An
// answer is tokens, or the one that says: later.
func (s *spread) begin() (end func()) {
	over := make(chan struct{})
	var all sync.WaitGroup
	for n, ch := range s.chains {
		all.Go(func() {
			for turn := n; ; turn++ {
				select {
				case <-over:
					return
				case <-time.After(20 * time.Millisecond): // a client's own pace
				}
				if s.turn(ch, s.nodes[turn%len(s.nodes)]); ch.refresh == nil {
					return
				}
			}
		})
	}
	return func() { close(over); all.Wait() }
}

// turn refreshes a chain once. A request that was answered 503 may have happened: on a machine
// so slow that its answer is not to be had again by then, the chain is over.
func (s *spread) turn(ch *chain, node *instance) {
	sent := time.Now()
	a, err := node.ask(http.MethodPost, "/oauth2/token", byRefresh("phone", ch.last(1)).Encode())
	if err != nil {
		s.Errorf("a refresh: %v", err)
		return
	}
	if a.status == http.StatusServiceUnavailable {
		s.later.Add(1)
		if !ch.cut {
			ch.cut, ch.asked = true, sent
		}
		if problem := notLater(a); problem != "" {
			s.Errorf("a refresh: %s", problem)
		}
		return
	}
	got, err := a.tokens()
	if err != nil && ch.cut && time.Since(ch.asked) > memory {
		s.Logf("a chain is over after %s without an answer", time.Since(ch.asked))
		ch.refresh = nil
		return
	}
	if err != nil {
		s.Errorf("a refresh: %v", err)
		return
	}
	ch.cut = false
	ch.refresh, ch.access = append(ch.refresh, got.Refresh), append(ch.access, got.Access)
	s.answered.Add(1)
}

// look wants everything that was answered to hold on each node, and a token that was
// spent long ago to end its sign-in on all of them.
func (s *spread) look() {
	s.Helper()
	if !slices.ContainsFunc(s.chains, func(ch *chain) bool { return ch.refresh != nil }) {
		s.Error("all chains are over: it tested nothing")
	}
	for at, ch := range s.chains {
		if ch.refresh == nil {
			continue
		}
		for n, token := range ch.access {
			if node := s.nodes[(at+n)%len(s.nodes)]; !node.opens(token) {
				s.Errorf("chain %d: access token %d of %d, answered, does not open the gate", at, n, len(ch.access))
				break
			}
		}
		if a, err := s.nodes[at%len(s.nodes)].insist("/oauth2/token", byRefresh("phone", ch.last(1))); err != nil || a.status != http.StatusOK {
			s.Errorf("chain %d ends with its last token: %d %s, %v", at, a.status, a.body, err)
		}
		spent, err := s.nodes[(at+1)%len(s.nodes)].insist("/oauth2/token", byRefresh("phone", ch.last(3)))
		if err != nil || spent.status != http.StatusBadRequest || spent.body != `{"error":"invalid_grant"}` {
			s.Errorf("chain %d: a spent refresh token: %d %s, %v", at, spent.status, spent.body, err)
		}
		for _, node := range s.nodes {
			token := ch.access[len(ch.access)-1]
			eventually(s.T, "its tokens are refused", func() bool { return !node.open(token) })
		}
	}
}
