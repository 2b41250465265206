package login

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// unrevoked is how long a session is over that the issuer could not be told of: longer
// none is renewed.
const unrevoked = elsewhere

// logout ends the session here, and sends the browser on to end the one at the
// issuer: otherwise the next page would sign the person in again. A link from
// another site, a picture, a prefetch, or a browser that does not say where a request
// comes from, gets a page that asks.
func (l *Login) logout(w http.ResponseWriter, r *http.Request, b *Brought, others map[string]*Login, now time.Time) Outcome {
	post := r.Method == http.MethodPost
	if !post && !meant(r) {
		l.show(w, r, http.StatusOK, view{Name: "logout", Form: logoutPath})
		return Outcome{}
	}
	if post && !FromHere(r) {
		return l.page(w, r, http.StatusForbidden, "foreign", "/", Outcome{Reason: CrossSite})
	}
	var outcome Outcome
	if s, ok := l.Keys.Session(r, b); ok {
		if began := others[s.Client]; began != nil {
			l = began
		}
		until := time.Unix(s.expires, 0)
		if err := l.revoke(r, &s); err != nil {
			if !errors.Is(err, ErrUntold) {
				outcome = Outcome{Unavailable, err} // the cookie goes all the same
			}
			if longer := now.Add(unrevoked); longer.After(until) {
				until = longer
			}
		}
		if !l.Memory.end(s.flow, until, now) && l.Away && l.Memory.tell == nil {
			outcome = Outcome{Unremembered, errFull}
		}
		if err := l.spread(r, &s, until); err != nil {
			outcome = Outcome{Unavailable, err}
		}
	}
	clearSession(w, b)
	if f, ok := readFlow(b, ""); ok {
		f.done = 0 // who comes back now goes round nothing
		f.settle(w, b)
	}
	doors, err := l.Issuer.Doors(r.Context(), home(r))
	switch {
	case err != nil || doors.SignOut == "":
		l.show(w, r, http.StatusOK, view{Name: "bye", Link: "/"})
	case post:
		// Browsers apply a page's form-action to where the answer redirects.
		l.show(w, r, http.StatusOK, view{Name: "leaving", Next: doors.SignOut, Link: doors.SignOut})
	default:
		goTo(w, http.StatusSeeOther, doors.SignOut)
	}
	return outcome
}

// errFull says what a sign-out there was no room for comes to.
var errFull = errors.New("too many sign-ins are remembered as over: a copy of this one's cookie counts until its tokens end")

// revoke ends at the issuer what stands for a sign-in there: its refresh token, and of a
// client that gets none the access token, where the issuer is one that can end it.
func (l *Login) revoke(r *http.Request, s *Session) error {
	token := s.refresh
	if token == "" && !l.Away {
		token = s.Access
	}
	if token == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
	defer cancel()
	return l.Issuer.Revoke(ctx, r.RemoteAddr, token)
}

// spread lets other nodes know that a sign-in is over. The embedded issuer has done so
// by revoking what stands for it.
func (l *Login) spread(r *http.Request, s *Session, until time.Time) error {
	if !l.Away || l.Memory.tell == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
	defer cancel()
	return l.Memory.tell(ctx, s.flow, until.Add(mostLeeway))
}

// mostLeeway is the longest that an expired token of an issuer elsewhere can count.
const mostLeeway = 10 * time.Minute

// meant reports whether a person asked for it: by a link of this site, or by
// typing the address. What a page of this site embeds, and what a browser fetches
// before anybody asks, is of somebody else's choice.
func meant(r *http.Request) bool {
	site, ok := one(r.Header, "Sec-Fetch-Site")
	return ok && (site == "same-origin" || site == "none") && IsNavigation(r)
}
