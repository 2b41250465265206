package login

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// patience is how long an issuer may take to answer.
const patience = 10 * time.Second

const (
	// moment is what a request waits for a new token that does without one.
	moment = 250 * time.Millisecond

	// pauseAfterFailure is how long nobody asks again whose token is good.
	pauseAfterFailure = 5 * time.Second
)

// Renew earns a new access token for a session whose own is at its end, and sets
// the cookie; an error is ErrRefused for good, ErrPerhapsRenewed beside it where the cookie
// is to stay, or of an issuer that cannot be asked now. The session stays as it is, without an error, where there is nothing
// to renew it with, and while its token is good and no other can be had: who needs
// no new one does not wait for an issuer that hangs.
func (l *Login) Renew(w http.ResponseWriter, r *http.Request, b *Brought, s Session, now time.Time) (Session, error) {
	if s.refresh == "" {
		return s, nil
	}
	good, pause := !s.over(now), time.Duration(0)
	if l.Away && s.old(now) {
		if good {
			return s, nil
		}
		return s, ErrRefused
	}
	if good {
		pause = pauseAfterFailure
	}
	e, mine := l.Memory.join(s.flow, s.renewal(), pause)
	if mine {
		l.refresh(r, e, s.refresh, good && l.Away)
	}
	if !e.within(good, mine) {
		return s, nil // the next request gets it
	}
	t, err := l.Memory.take(e)
	switch {
	case err != nil && good:
		return s, nil // one after the pause tries again
	case l.Away && errors.Is(err, ErrRefused):
		return s, errors.Join(ErrPerhapsRenewed, err)
	case err != nil:
		return s, err
	}
	if t.Refresh == "" {
		t.Refresh = s.refresh // RFC 6749 §6: the old one goes on
	}
	next := l.session(t, s.flow, now)
	next.began = s.began
	if !setSession(w, b, next.seal(l.Keys.session, Host(r))) {
		return s, ErrRefused
	}
	return next, nil
}

// renewal names what a session shows to be renewed.
func (s Session) renewal() string { return "refresh " + s.refresh + s.Access }

// refresh asks the issuer, beside the request or within it.
func (l *Login) refresh(r *http.Request, e *earning, token string, beside bool) {
	ctx, peer := context.WithoutCancel(r.Context()), r.RemoteAddr
	ask := func() {
		l.Memory.work(e, func() (Tokens, error) {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			return l.Issuer.Earn(ctx, peer, url.Values{"grant_type": {oauth.GrantRefreshToken}, "refresh_token": {token}})
		})
	}
	if beside {
		go ask()
		return
	}
	ask()
}

// within waits as long as a request should. One that can do without waits for a
// moment if it is the one that asks, for an issuer that turns refresh tokens over
// wants the new one to come to the browser, and not at all otherwise.
func (e *earning) within(good, mine bool) bool {
	if !good {
		<-e.done
		return true
	}
	wait := time.Duration(0)
	if mine {
		wait = moment
	}
	select {
	case <-e.done:
		return true
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-e.done:
		return true
	case <-timer.C:
		return false
	}
}

// Forget takes a session out of the browser.
func Forget(w http.ResponseWriter, b *Brought) { clearSession(w, b) }
