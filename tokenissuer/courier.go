package tokenissuer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/feed"
)

const (
	deliverFor   = 24 * time.Hour // after that the client's own session has ended, too
	deliverEvery = 5 * time.Second
	deliverMost  = 20 // of one client in a row
	deliverAside = 8  // clients side by side
	deliverIn    = 5 * time.Second
)

// wake makes the deliveries be looked at now.
func (s *State) wake() {
	select {
	case s.notices <- struct{}{}:
	default: // somebody has woken them already
	}
}

// courier brings logout notices to several clients side by side, and to each of
// them one after the other, in the order they fall due: a client that hangs
// delays its own alone.
type courier struct {
	busy    map[string]bool      // who is being told
	resting map[string]time.Time // who has just failed, and until when others go first
	back    chan errand
}

// errand is one client's turn.
type errand struct {
	client  string
	notices []store.Delivery
	failed  bool
}

func newCourier() *courier {
	return &courier{busy: map[string]bool{}, resting: map[string]time.Time{}, back: make(chan errand)}
}

// next chooses whose turn it is.
func (c *courier) next(due []store.Delivery, now time.Time) []errand {
	for client, until := range c.resting {
		if !now.Before(until) {
			delete(c.resting, client)
		}
	}
	place := map[string]int{}
	var turns []errand
	for _, d := range due {
		if n, chosen := place[d.Client]; chosen {
			turns[n].notices = append(turns[n].notices, d)
			continue
		}
		if _, rests := c.resting[d.Client]; rests || c.busy[d.Client] || len(c.busy) == deliverAside {
			continue
		}
		c.busy[d.Client] = true
		place[d.Client] = len(turns)
		turns = append(turns, errand{client: d.Client, notices: []store.Delivery{d}})
	}
	return turns
}

// returned takes an errand off. Whoever has many notices and does not answer
// must not have a turn again before those that wait.
func (c *courier) returned(e errand, now time.Time) {
	delete(c.busy, e.client)
	if e.failed {
		c.resting[e.client] = now.Add(deliverEvery)
	}
}

// deliver sends what is due, again and again.
func (s *State) deliver(ctx context.Context) {
	sender := newSender(nil)
	defer sender.CloseIdleConnections()
	c := newCourier()
	tick := time.NewTicker(deliverEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			for len(c.busy) > 0 {
				c.returned(<-c.back, s.now())
			}
			return
		case <-tick.C:
		case <-s.notices:
		case e := <-c.back:
			c.returned(e, s.now())
		}
		now := s.now()
		due, err := s.store.DueDeliveries(ctx, now, deliverMost)
		if ctx.Err() == nil {
			failing = s.lookedForNotices(failing, err)
		}
		for _, e := range c.next(due, now) {
			go func() {
				e.failed = s.tell(ctx, s.senderTo(e.client, sender), e.notices, now) != nil
				c.back <- e
			}()
		}
	}
}

var errDelivering = fmt.Errorf("logout notices are delivered %w", feed.ErrOver)

// lookedForNotices tells of the first look that fails, and of the first that does not
// any more. It returns whether an end is to be told of.
func (s *State) lookedForNotices(failing bool, err error) bool {
	switch {
	case err == nil && failing:
		s.report(errDelivering)
		return false
	case err != nil && !failing && !s.known(err):
		s.report(fmt.Errorf("delivering logout notices: %w", err))
		return true
	}
	return failing
}

// tell brings one client its notices, up to the first that does not arrive.
func (s *State) tell(ctx context.Context, sender *http.Client, notices []store.Delivery, now time.Time) error {
	began := time.Now()
	for _, d := range notices {
		err := s.hand(ctx, sender, d, now.Add(time.Since(began)))
		if err == nil {
			continue
		}
		if ctx.Err() == nil && !s.known(err) { // or the server stops: it is sent again after the next start
			s.report(err)
		}
		return err
	}
	return nil
}

// hand tries one notice.
func (s *State) hand(ctx context.Context, sender *http.Client, d store.Delivery, now time.Time) error {
	// Whoever puts the next try off has this one: another node does not send it too.
	err := s.store.Apply(ctx, now, store.RetryDelivery{ID: d.ID, Tries: d.Tries, Next: now.Add(backOff(d.Tries))})
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil
	case err != nil:
		return fmt.Errorf("delivering logout notices: %w", err)
	}
	if err := s.send(ctx, sender, d, now); err != nil {
		return fmt.Errorf("telling client %s of a sign-out, try %d: %w", d.Client, d.Tries+1, err)
	}
	// It has arrived, also where the server stops at this moment.
	if err := s.store.Apply(context.WithoutCancel(ctx), now, store.RemoveDelivery{ID: d.ID}); err != nil {
		return fmt.Errorf("delivering logout notices: %w", err)
	}
	return nil
}

// backOff is 5 s, 20 s, 80 s … up to an hour.
func backOff(tries int) time.Duration {
	return min(time.Hour, deliverEvery<<min(2*tries, 20))
}

// send posts a signed logout token (§2.5). Errors name the host and nothing else
// of the address, whose query may hold a key.
func (s *State) send(ctx context.Context, sender *http.Client, d store.Delivery, now time.Time) error {
	raw, err := s.notice(d, now)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URI, strings.NewReader(url.Values{"logout_token": {raw}}.Encode()))
	if err != nil {
		return errors.New("its address cannot be read")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := sender.Do(r)
	if err != nil {
		if whole, ok := errors.AsType[*url.Error](err); ok {
			err = whole.Err
		}
		return fmt.Errorf("%s: %w", r.URL.Host, err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 4096)) // read to keep the connection
	// §2.8: 200, and 204 of frameworks that think themselves; 400 says that the
	// client cannot do it, and a later try will not change that.
	if res.StatusCode/100 == 2 || res.StatusCode == http.StatusBadRequest {
		return nil
	}
	return fmt.Errorf("%s answered %d", r.URL.Host, res.StatusCode)
}
