package tokenissuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// logoutNotice is what a client is told when a person signs out (OpenID Connect
// Back-Channel Logout 1.0 §2.4): kept without the times, which a retry has anew,
// and signed when it is sent, so that no signed token lies in the store.
type logoutNotice struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Session  string `json:"sid"`
}

const (
	deliverFor   = 24 * time.Hour // after that the client's own session has ended, too
	deliverEvery = 5 * time.Second
	deliverMost  = 20 // at a time
	deliverIn    = 5 * time.Second
	noticeFor    = 2 * time.Minute // §2.4: "exp … recommended … at most two minutes in the future"
)

// ended is told when a person signs out of a browser: the sign-ins of clients
// that want to be told of it end, and they are told.
func (i *Issuer) ended(ctx context.Context, now time.Time, s store.Session) error {
	families, err := i.state.store.FamiliesOfSession(ctx, now, s.ID)
	if err != nil {
		return err
	}
	var writes []store.Write
	var told []string
	for _, f := range families {
		c, known := i.client(f.Client)
		if !known || c.BackchannelLogoutURI == "" || slices.Contains(told, c.ID) {
			continue
		}
		told = append(told, c.ID)
		body, err := json.Marshal(logoutNotice{Issuer: i.base(familyOfClient(c)), Subject: s.Account, Audience: c.ID, Session: s.ID})
		if err != nil {
			return err
		}
		writes = append(writes, store.PutDelivery{Delivery: store.Delivery{
			ID: uuid.NewString(), Client: c.ID, URI: c.BackchannelLogoutURI, Body: string(body), Next: now, Expires: now.Add(deliverFor),
		}})
	}
	if len(told) == 0 {
		return nil
	}
	writes = append(writes, store.RevokeSession{ID: s.ID, Clients: told})
	if err := i.state.store.Apply(ctx, now, writes...); err != nil {
		return err
	}
	i.state.wake()
	return nil
}

// wake makes the deliveries be looked at now.
func (s *State) wake() {
	select {
	case s.notices <- struct{}{}:
	default: // somebody has woken them already
	}
}

// deliver sends what is due, again and again.
func (s *State) deliver(ctx context.Context) {
	sender := &http.Client{
		Timeout: deliverIn,
		// A registered address that sends elsewhere is not the registered one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	tick := time.NewTicker(deliverEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.notices:
		}
		if err := s.deliverDue(ctx, sender, time.Now()); err != nil && ctx.Err() == nil {
			s.report(fmt.Errorf("delivering logout notices: %w", err))
		}
	}
}

func (s *State) deliverDue(ctx context.Context, sender *http.Client, now time.Time) error {
	due, err := s.store.DueDeliveries(ctx, now, deliverMost)
	if err != nil {
		return err
	}
	for _, d := range due {
		// Whoever puts the next try off has this one: another node does not send it too.
		err := s.store.Apply(ctx, now, store.RetryDelivery{ID: d.ID, Tries: d.Tries, Next: now.Add(backOff(d.Tries))})
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.send(ctx, sender, d, now); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the server stops: it is sent again after the next start
			}
			s.report(fmt.Errorf("telling client %s of a sign-out, try %d: %w", d.Client, d.Tries+1, err))
			continue
		}
		if err := s.store.Apply(ctx, now, store.RemoveDelivery{ID: d.ID}); err != nil {
			return err
		}
	}
	return nil
}

// backOff is 5 s, 20 s, 80 s … up to an hour.
func backOff(tries int) time.Duration {
	return min(time.Hour, deliverEvery<<min(2*tries, 20))
}

// send posts a signed logout token (§2.5).
func (s *State) send(ctx context.Context, sender *http.Client, d store.Delivery, now time.Time) error {
	raw, err := s.notice(d, now)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URI, strings.NewReader(url.Values{"logout_token": {raw}}.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := sender.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 4096)) // read to keep the connection
	// §2.8: 200, and 204 of frameworks that think themselves; 400 says that the
	// client cannot do it, and a later try will not change that.
	if res.StatusCode/100 == 2 || res.StatusCode == http.StatusBadRequest {
		return nil
	}
	return fmt.Errorf("answered %d", res.StatusCode)
}

// notice signs a logout token (§2.4). It has no nonce, or it could pass for an
// ID token.
func (s *State) notice(d store.Delivery, now time.Time) (string, error) {
	var n logoutNotice
	if err := json.Unmarshal([]byte(d.Body), &n); err != nil {
		return "", err
	}
	s.keyLock.Lock()
	algorithm := token.Algorithm(s.keyRules.Algorithm)
	s.keyLock.Unlock()
	key := s.ring().Signing(algorithm, now)
	if key == nil {
		return "", errNoKey
	}
	payload, err := json.Marshal(struct {
		logoutNotice
		IssuedAt int64                      `json:"iat"`
		Expires  int64                      `json:"exp"`
		ID       string                     `json:"jti"`
		Events   map[string]json.RawMessage `json:"events"`
	}{n, now.Unix(), now.Add(noticeFor).Unix(), uuid.NewString(), map[string]json.RawMessage{
		"http://schemas.openid.net/event/backchannel-logout": json.RawMessage(`{}`),
	}})
	if err != nil {
		return "", err
	}
	return key.Sign("logout+jwt", payload)
}
