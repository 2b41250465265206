package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	kills  = 200
	chains = 4 // that refresh at once, beside one client that signs in

	// In the second half a spent token's window is over soon enough to look at it
	// from the other side.
	longWindow, shortWindow = 10 * time.Second, time.Second
)

// chain is one sign-in and the refresh tokens that followed, as its client knows
// them: those whose answer arrived.
type chain struct {
	refresh []string
	access  []string // answered since the last look
	asked   time.Time
	cut     bool // the last request has had no answer
}

// outage is the state of TestKilledProgramKeepsItsWord.
type outage struct {
	*instance
	window  time.Duration
	chains  []*chain
	signed  []tokens // sign-ins answered since the last look
	spare   []*chain // sign-ins looked at, to take the place of chains that end
	dead    []*chain // ended by the reuse of a spent token
	aside   []*chain // left alone until the window of their last spent token is over
	killing atomic.Bool
	counts  struct{ refreshes, signIns, cut, reused, late atomic.Int64 }
}

// A power failure may come between any two instructions. What has been answered
// holds after it, and what has been spent stays spent.
func TestKilledProgramKeepsItsWord(t *testing.T) {
	c := &outage{instance: newInstance(t)}
	c.path = swift(t)
	begun := time.Now()
	for n := range kills {
		c.rule(n)
		c.start()
		if n == 0 {
			c.addAlice()
			for range chains {
				c.chains = append(c.chains, c.newChain())
			}
		}
		c.look()
		if t.Failed() {
			t.Fatalf("after kill %d", n)
		}
		c.reuse(n)
		c.workUntilKilled(n)
	}
	c.start()
	c.look()
	c.stop() // which looks for panics and races in the log of all lives
	n := &c.counts
	t.Logf("%d kills in %s: %d refreshes and %d sign-ins answered, %d requests cut off, %d chains ended by reuse, %d of them past the window",
		kills, time.Since(begun).Round(time.Second), n.refreshes.Load(), n.signIns.Load(), n.cut.Load(), n.reused.Load(), n.late.Load())
	if n.refreshes.Load() < kills || n.signIns.Load() < kills/4 || n.cut.Load() < kills/4 || n.reused.Load() < kills/4 || n.late.Load() == 0 {
		t.Error("that is too few to have tested anything")
	}
}

// rule configures the first half and the second.
func (c *outage) rule(n int) {
	if n != 0 && n != kills/2 {
		return
	}
	c.window = longWindow
	if n > 0 {
		c.window = shortWindow
	}
	// The cheapest signature: the store is what is tested.
	c.configure(fmt.Sprintf("\t\tsigning_algorithm ES256\n\t\trefresh_window %s\n", c.window)+threeClients, oneSite)
}

func (c *outage) newChain() *chain {
	c.Helper()
	for len(c.spare) > 0 {
		ch := c.spare[0]
		if c.spare = c.spare[1:]; ch.refresh != nil {
			return ch
		}
	}
	return chainOf(c.earn(byPassword("phone")))
}

func chainOf(t tokens) *chain {
	return &chain{refresh: []string{t.Refresh}, access: []string{t.Access}}
}

// workUntilKilled lets everybody work until some answers have arrived, and
// kills the program at some moment after that: by turns soon after a refresh,
// and up to a sign-in's time after a sign-in.
func (c *outage) workUntilKilled(n int) {
	var work sync.WaitGroup
	counter, most, moment := &c.counts.refreshes, 1+rand.Int64N(30), 2*time.Millisecond
	if n%2 == 1 {
		counter, most, moment = &c.counts.signIns, 1, 40*time.Millisecond
	}
	most += counter.Load()
	enough := make(chan struct{})
	answered := func(of *atomic.Int64) {
		if of.Add(1) == most && of == counter {
			close(enough)
		}
	}
	c.killing.Store(false)
	for _, ch := range c.chains {
		work.Go(func() {
			for c.next(ch) {
				answered(&c.counts.refreshes)
			}
		})
	}
	work.Go(func() {
		for {
			t, err := c.token(byPassword("phone").Encode())
			if err != nil {
				return
			}
			c.signed = append(c.signed, t)
			answered(&c.counts.signIns)
		}
	})
	stuck := time.After(patience)
	select {
	case <-enough:
	case <-stuck:
		c.Errorf("too few answers in %s", patience)
	}
	<-time.After(rand.N(moment)) // the fault's own moment
	c.killing.Store(true)
	c.running.kill()
	c.running = nil
	work.Wait()
	c.client.CloseIdleConnections()
}

// token asks for tokens. Having no answer is a failure unless the kill is why.
func (c *outage) token(form string) (tokens, error) {
	a, err := c.ask(http.MethodPost, "/oauth2/token", form)
	if err != nil {
		if !c.killing.Load() {
			c.Errorf("no answer: %v", err)
		}
		return tokens{}, err
	}
	t, err := a.tokens()
	if err != nil {
		c.Error(err)
	}
	return t, err
}

// next refreshes a chain once.
func (c *outage) next(ch *chain) bool {
	ch.asked, ch.cut = time.Now(), true
	t, err := c.token(byRefresh("phone", ch.last(1)).Encode())
	if err != nil {
		c.counts.cut.Add(1)
		return false
	}
	ch.cut = false
	ch.refresh, ch.access = append(ch.refresh, t.Refresh), append(ch.access, t.Access)
	return true
}

// last is the nth refresh token from the end.
func (ch *chain) last(n int) string { return ch.refresh[len(ch.refresh)-n] }

// look checks after a restart everything that was answered before it.
func (c *outage) look() {
	c.Helper()
	var looks sync.WaitGroup
	for _, ch := range c.chains {
		looks.Go(func() {
			c.userinfo(http.StatusOK, ch.access...)
			ch.access = nil
			c.goOn(ch)
		})
	}
	c.spare = nil
	for _, t := range c.signed {
		ch := chainOf(t)
		c.spare = append(c.spare, ch)
		looks.Go(func() {
			c.userinfo(http.StatusOK, t.Access)
			c.goOn(ch)
		})
	}
	for _, ch := range c.dead {
		looks.Go(func() {
			c.refused(ch.last(1))
			c.userinfo(http.StatusUnauthorized, ch.access...)
		})
	}
	looks.Wait()
	c.signed, c.dead = nil, nil
}

// goOn takes a chain up again with the last token its client knows. If the
// request that the kill cut off had been served, its token is spent, and within
// the window the answer is had again: the same, however often.
func (c *outage) goOn(ch *chain) {
	var first string
	for n := range 2 {
		a, err := c.ask(http.MethodPost, "/oauth2/token", byRefresh("phone", ch.last(1)).Encode())
		if err != nil {
			c.Error(err)
			return
		}
		t, err := a.tokens()
		switch {
		case err != nil && time.Since(ch.asked) > c.window && (ch.cut || n > 0):
			ch.refresh = nil // too late: the machine was slow
			return
		case err != nil:
			c.Errorf("a chain (cut off: %t) broke at use %d of its last token: %v", ch.cut, n+1, err)
			return
		case n > 0 && t.Refresh != first:
			c.Errorf("two successors of one token")
		}
		if n == 0 && !ch.cut {
			ch.asked = time.Now()
		}
		first = t.Refresh
		ch.access = append(ch.access, t.Access)
	}
	ch.refresh = append(ch.refresh, first)
	ch.asked = time.Now()
}

// reuse ends chains with tokens that were spent before the kill, and begins new
// ones in their place.
func (c *outage) reuse(n int) {
	c.Helper()
	for i, ch := range c.chains {
		switch {
		case ch.refresh == nil: // broken off
		case i != n%chains:
			continue
		case c.window == shortWindow && len(ch.refresh) >= 2:
			c.aside = append(c.aside, ch)
		case len(ch.refresh) >= 3:
			c.end(ch, ch.last(3)) // its successor is spent, so no window protects it
		default:
			continue
		}
		c.chains[i] = c.newChain()
	}
	for len(c.aside) > 0 && time.Since(c.aside[0].asked) > c.window {
		ch := c.aside[0]
		c.aside = c.aside[1:]
		c.end(ch, ch.last(2)) // its successor is not spent, but its time is over
		c.counts.late.Add(1)
	}
}

// end shows a spent token: it must be refused, and everything of its sign-in
// with it, now and after the next kill.
func (c *outage) end(ch *chain, spent string) {
	c.Helper()
	c.refused(spent, ch.last(1))
	c.userinfo(http.StatusUnauthorized, ch.access...)
	c.dead = append(c.dead, ch)
	c.counts.reused.Add(1)
}

// refused refreshes with each token and wants the refusal.
func (c *outage) refused(refresh ...string) {
	c.Helper()
	for _, token := range refresh {
		a, err := c.ask(http.MethodPost, "/oauth2/token", byRefresh("phone", token).Encode())
		if err != nil || a.status != http.StatusBadRequest || a.body != `{"error":"invalid_grant"}` {
			c.Errorf("a refresh with a dead token: %d %s, %v", a.status, a.body, err)
		}
	}
}

// userinfo shows each access token to the issuer and wants the status.
func (c *outage) userinfo(want int, access ...string) {
	c.Helper()
	for _, token := range access {
		a, err := c.ask(http.MethodGet, "/userinfo", "", bearer(token))
		if err != nil || a.status != want {
			c.Errorf("userinfo: %d %s, %v; want %d", a.status, a.header.Get("WWW-Authenticate"), err, want)
		}
	}
}
