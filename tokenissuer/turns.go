package tokenissuer

import (
	"context"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

const (
	deliverAside = 8 // clients side by side

	// silentAside is how many of them may be such as did not take what they were told.
	// Each holds its place for as long as it hangs, and there may be any number.
	silentAside = deliverAside / 2
)

// courier brings logout notices to several clients side by side, and to each of
// them one after the other, in the order they fall due: a client that hangs
// delays its own alone.
type courier struct {
	busy   map[string]errand // who is being told
	silent int               // how many of them have failed before
	failed map[string]failure
	others time.Duration // for how long whoever has failed here is left to other nodes, beyond its rest
	back   chan errand
}

// errand is one client's turn.
type errand struct {
	client   string
	failures int // since it took something
	err      error
}

// failure is of a client that this process did not reach. Whatever the store says, it has
// no turn here until its rest is over: it may be this machine that reaches nobody.
type failure struct {
	times int // in a row
	until time.Time
}

func newCourier(others time.Duration) *courier {
	return &courier{busy: map[string]errand{}, failed: map[string]failure{}, others: others, back: make(chan errand)}
}

// next chooses whose turn it is: of those who took what they were told, then of the
// others, as they come.
func (c *courier) next(due []store.DueClient, now time.Time) []errand {
	c.forget(now)
	var turns []errand
	for _, d := range due {
		if _, busy := c.busy[d.Client]; busy || now.Before(c.failed[d.Client].until) {
			continue
		}
		if len(c.busy) == deliverAside || d.Failures > 0 && c.silent == silentAside {
			continue
		}
		e := errand{client: d.Client, failures: d.Failures}
		c.busy[e.client] = e
		if e.failures > 0 {
			c.silent++
		}
		turns = append(turns, e)
	}
	return turns
}

// full says whether nobody can have a turn.
func (c *courier) full() bool { return len(c.busy) == deliverAside }

// returned takes an errand off.
func (c *courier) returned(e errand, now time.Time) {
	if c.busy[e.client].failures > 0 {
		c.silent--
	}
	delete(c.busy, e.client)
	f := c.failed[e.client]
	switch {
	case e.err == nil:
		delete(c.failed, e.client)
		return
	case isSilent(e.err):
		f.until = now.Add(min(restMost, backOff(f.times)) + c.others)
		f.times++
	default: // it was not asked, or what it said could not be stored
		f.until = now.Add(deliverEvery)
	}
	c.failed[e.client] = f
}

// gather waits for a while and takes off who returns: whoever is wanted often, or has many
// clients to tell, is not to ask the store for each.
func (c *courier) gather(ctx context.Context, d time.Duration, now func() time.Time) {
	wait := time.NewTimer(d)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
			return
		case e := <-c.back:
			c.returned(e, now())
		}
	}
}

// forget drops the failures of who had no turn for long: nothing is due to them.
func (c *courier) forget(now time.Time) {
	for client, f := range c.failed {
		if now.Sub(f.until) > deliverFor {
			delete(c.failed, client)
		}
	}
}
