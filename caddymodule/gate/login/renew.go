package login

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// patience is how long an issuer may take to answer.
const patience = 10 * time.Second

// Renew earns a new access token for a session whose own is at its end, and sets
// the cookie. The session stays as it is, without an error, where there is nothing
// to renew it with.
func (l *Login) Renew(w http.ResponseWriter, r *http.Request, b *Brought, s Session, now time.Time) (Session, error) {
	if s.refresh == "" {
		return s, nil
	}
	t, err := l.Memory.once(s.flow, "refresh "+s.refresh+s.Access, func() (Tokens, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
		defer cancel()
		return l.Issuer.Earn(ctx, r.RemoteAddr, url.Values{"grant_type": {oauth.GrantRefreshToken}, "refresh_token": {s.refresh}})
	})
	if err != nil {
		if !s.over(now) {
			return s, nil // the next request tries again
		}
		return s, err
	}
	if t.Refresh == "" {
		t.Refresh = s.refresh // RFC 6749 §6: the old one goes on
	}
	next := l.session(t, s.flow, now)
	if !setSession(w, b, next.seal(l.Keys.session, Host(r))) {
		return s, ErrRefused
	}
	return next, nil
}

// Forget takes a session out of the browser.
func Forget(w http.ResponseWriter, b *Brought) { clearSession(w, b) }
