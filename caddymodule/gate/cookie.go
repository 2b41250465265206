package gate

import (
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// ErrCrossSite is about a token that a browser added to a request of somebody
// else's making.
var ErrCrossSite = errors.New("a page of another site made the browser send this")

// ErrNotNow is about a token that cannot be had now, through no fault of the
// caller's.
var ErrNotNow = errUnavailable

// ErrSilent is the same where an issuer elsewhere is at fault.
var ErrSilent = errSilent

// CrossSite is the reason of a refusal for ErrCrossSite.
const CrossSite oauth.Reason = "request_of_another_site"

// CheckCookie is Check for a token that a cookie has brought. cause, where there
// is one, is why there is none; an oauth.ErrNoToken says that nothing came.
func (g *Gate) CheckCookie(r *http.Request, raw string, cause error, now time.Time) (*Pass, error) {
	switch {
	case g.Excepts(r):
		return excepted, nil
	case cause == nil:
		pass, err := g.admit(r, raw, now, nil)
		if refusal, ok := errors.AsType[*Refusal](err); ok && g.optional && isNone(refusal) {
			return &Pass{Lapsed: refusal}, nil // a browser sends its cookies without meaning anything by it
		}
		return pass, err
	case g.optional && errors.Is(cause, oauth.ErrNoToken):
		return anonymous, nil
	}
	pass, err := g.refuse(nil, cause, nil)
	if refusal, ok := errors.AsType[*Refusal](err); ok && g.optional && errors.Is(cause, ErrCrossSite) {
		return &Pass{Lapsed: refusal}, nil // without the cookie anybody may send it, and in nobody's name it is no more
	}
	return pass, err
}

// isNone reports whether a token of a cookie counts as none where none is needed: it has
// ended, or was never one for here. One whose person has to sign in again is good.
func isNone(refusal *Refusal) bool {
	return refusal.Status == http.StatusUnauthorized && refusal.Reason != StaleSignIn
}

// IsRevoked reports whether a judgement is about a token that was taken back before
// its end: a younger one of the same sign-in may be good.
func IsRevoked(p *Pass, err error) bool {
	refusal, _ := errors.AsType[*Refusal](err)
	if p != nil {
		refusal = p.Lapsed
		if p.Shadowed != nil {
			refusal = p.Shadowed
		}
	}
	return refusal != nil && refusal.Reason == oauth.RevokedToken
}
