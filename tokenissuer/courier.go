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
	deliverMost  = 20                     // of one client in a row
	deliverLook  = 100 * time.Millisecond // how soon it may be looked again for who is due
	deliverIn    = 5 * time.Second

	// restMost is how long a client that takes nothing is left alone: so much later it
	// hears, when it is back.
	restMost = time.Minute
)

// wake makes the deliveries be looked at now.
func (s *State) wake() {
	select {
	case s.notices <- struct{}{}:
	default: // somebody has woken them already
	}
}

// deliver sends what is due, again and again.
func (s *State) deliver(ctx context.Context) {
	sender := newSender(nil)
	defer sender.CloseIdleConnections()
	c := newCourier(s.others())
	tick := time.NewTicker(deliverEvery)
	defer tick.Stop()
	var looked time.Time
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
		c.gather(ctx, deliverLook-time.Since(looked), s.now)
		if c.full() {
			continue
		}
		looked = time.Now()
		now := s.now()
		due, err := s.dueClients(ctx, now, s.KeysBehind())
		if ctx.Err() == nil {
			failing = s.lookedForNotices(failing, err)
		}
		for _, e := range c.next(due, now) {
			go func() {
				e.err = s.tell(ctx, s.senderTo(e.client, sender), e, now)
				c.back <- e
			}()
		}
	}
}

// others is for how long a node leaves to the others whom it did not reach: so long that
// each has looked.
func (s *State) others() time.Duration {
	if s.changes == nil {
		return 0
	}
	return deliverEvery
}

// dueClients lists who is to be told. A node whose keys are too old signs no notices,
// which is no fault of the clients: another node has them.
func (s *State) dueClients(ctx context.Context, now time.Time, behind time.Duration) ([]store.DueClient, error) {
	due, err := s.store.DueClients(ctx, now)
	if behind > signMost {
		due = nil
	}
	return due, err
}

var errDelivering = fmt.Errorf("logout notices are delivered %w", feed.ErrOver)

// lookedForNotices tells of the first look that fails, and of the first that does not
// any more. It returns whether an end is to be told of.
func (s *State) lookedForNotices(failing bool, err error) bool {
	switch {
	case err == nil && failing:
		s.report(errDelivering)
		return false
	case err == nil || failing:
		return failing
	}
	if err = fmt.Errorf("delivering logout notices: %w", err); s.changes.Explains(err) {
		return false
	}
	s.report(err)
	return true
}

// tell brings one client its notices, up to the first that does not arrive. It has a
// time for all of them then, or a client with very many would be tried with each.
func (s *State) tell(ctx context.Context, sender *http.Client, e errand, now time.Time) error {
	began := time.Now()
	err := s.turn(ctx, sender, e, now)
	if err == nil || ctx.Err() != nil { // or the server stops: it is sent again after the next start
		return err
	}
	if isSilent(err) && e.failures == 0 {
		// It may have hung for as long as it is to be left alone.
		rest := s.rest(ctx, e, now.Add(time.Since(began).Truncate(time.Second)))
		if rest != nil && !errors.Is(rest, store.ErrConflict) && !s.changes.Explains(rest) { // another node has failed, too
			s.report(rest)
		}
	}
	if !s.changes.Explains(err) {
		s.report(err)
	}
	return err
}

// rest has all nodes leave a client alone for a while.
func (s *State) rest(ctx context.Context, e errand, now time.Time) error {
	until := now.Add(min(restMost, backOff(e.failures)))
	if err := s.store.Apply(ctx, now, store.RestClient{Client: e.client, Failures: e.failures, Until: until}); err != nil {
		return fmt.Errorf("delivering logout notices: %w", err)
	}
	return nil
}

// turn is one client's. Of one that has failed before, one node tries whether it takes
// something again.
func (s *State) turn(ctx context.Context, sender *http.Client, e errand, now time.Time) error {
	var heard []store.Write
	if e.failures > 0 {
		switch err := s.rest(ctx, e, now); {
		case errors.Is(err, store.ErrConflict):
			return nil
		case err != nil:
			return err
		}
		heard = []store.Write{store.HearClient{Client: e.client}}
	}
	notices, err := s.store.DueDeliveries(ctx, now, e.client, deliverMost)
	if err != nil {
		return fmt.Errorf("delivering logout notices: %w", err)
	}
	began := time.Now()
	for _, d := range notices {
		if err := s.hand(ctx, sender, d, now.Add(time.Since(began)), heard...); err != nil {
			return err
		}
	}
	return nil
}

// hand tries one notice, and stores with its arrival what else that says.
func (s *State) hand(ctx context.Context, sender *http.Client, d store.Delivery, now time.Time, heard ...store.Write) error {
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
	if err := s.store.Apply(context.WithoutCancel(ctx), now, append([]store.Write{store.RemoveDelivery{ID: d.ID}}, heard...)...); err != nil {
		return fmt.Errorf("delivering logout notices: %w", err)
	}
	return nil
}

// backOff is 5 s, 20 s, 80 s … up to an hour.
func backOff(tries int) time.Duration {
	return min(time.Hour, deliverEvery<<min(2*tries, 20))
}

// silence is of a client that did not take a notice. All else that fails is not its fault.
type silence struct{ error }

func (s silence) Unwrap() error { return s.error }

func isSilent(err error) bool {
	_, silent := errors.AsType[silence](err)
	return silent
}

// send posts a signed logout token (§2.5). Errors of the client's are a silence; they name
// the host and nothing else of the address, whose query may hold a key.
func (s *State) send(ctx context.Context, sender *http.Client, d store.Delivery, now time.Time) error {
	raw, err := s.notice(d, now)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URI, strings.NewReader(url.Values{"logout_token": {raw}}.Encode()))
	if err != nil {
		return silence{errors.New("its address cannot be read")}
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := sender.Do(r)
	if err != nil {
		if whole, ok := errors.AsType[*url.Error](err); ok {
			err = whole.Err
		}
		return silence{fmt.Errorf("%s: %w", r.URL.Host, err)}
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 4096)) // read to keep the connection
	// §2.8: 200, and 204 of frameworks that think themselves; 400 says that the
	// client cannot do it, and a later try will not change that.
	if res.StatusCode/100 == 2 || res.StatusCode == http.StatusBadRequest {
		return nil
	}
	return silence{fmt.Errorf("%s answered %d", r.URL.Host, res.StatusCode)}
}
