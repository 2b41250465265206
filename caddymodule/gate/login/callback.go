package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// callback is where the issuer sends people back to (RFC 6749 §4.1.2).
//
// A browser without our cookie gets a page and no redirect, or one that keeps no
// cookies would go round for ever. One that has another's begins once more: the
// code was made for a state that is not this browser's, and a code that somebody
// else's browser was given would sign this person in as them.
func (l *Login) callback(w http.ResponseWriter, r *http.Request, b *Brought, others map[string]*Login, now time.Time) Outcome {
	form, err := oauth.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return l.page(w, r, http.StatusBadRequest, "foreign", "/", Outcome{ForeignState, err})
	}
	s, err := l.Keys.openState(r, form.Get("state"))
	if err != nil {
		return l.page(w, r, http.StatusBadRequest, "foreign", "/", Outcome{ForeignState, err})
	}
	f, ok := readFlow(b, s.browser)
	if !ok {
		return l.page(w, r, http.StatusBadRequest, "cookies", s.to, Outcome{Reason: NoCookies})
	}
	began := others[s.client]
	if began == nil { // by a configuration that is over: no other login may have its code
		return l.page(w, r, http.StatusBadRequest, "stale", s.to, Outcome{Reason: StaleState})
	}
	l = began
	session, opened := l.Keys.Session(r, b)
	opened = opened && !l.Memory.Ended(&session)
	if opened && session.flow == s.id {
		// The back button, or a page that was loaded again: this code is spent, and
		// showing it once more would end what it earned (RFC 6749 §4.1.2).
		goTo(w, http.StatusSeeOther, s.to)
		return Outcome{}
	}
	signedIn := opened && !session.over(now) && l.Judge(r, s.gate, s.to, session.Access)
	switch {
	case f.browser != s.browser && signedIn:
		goTo(w, http.StatusSeeOther, s.to)
		return Outcome{}
	case f.browser != s.browser:
		return l.begin(w, r, b, Wish{Gate: s.gate, To: s.to}, s.try+1, now)
	case now.Unix() >= s.expires:
		return l.page(w, r, http.StatusBadRequest, "stale", s.to, Outcome{Reason: StaleState})
	}
	return l.arrive(w, r, b, form, s, f, signedIn, now)
}

// arrive takes an answer that is about this browser's own sign-in.
func (l *Login) arrive(w http.ResponseWriter, r *http.Request, b *Brought, form oauth.Form, s state, f flow, signedIn bool, now time.Time) Outcome {
	doors, err := l.Issuer.Doors(r.Context(), home(r))
	if err != nil {
		return l.page(w, r, http.StatusServiceUnavailable, "unavailable", s.to, Outcome{Unavailable, err})
	}
	switch iss := form.Get("iss"); {
	case iss != doors.Issuer && (iss != "" || doors.SaysIssuer): // RFC 9207 §2.4
		return l.page(w, r, http.StatusBadRequest, "foreign", s.to, Outcome{Reason: OtherIssuer})
	case iss == "" && l.Beside != nil:
		if another, err := l.mayBeAnothers(r); err != nil {
			return l.page(w, r, http.StatusServiceUnavailable, "unavailable", s.to, Outcome{Unavailable, err})
		} else if another {
			return l.page(w, r, http.StatusBadRequest, "foreign", s.to, Outcome{OtherIssuer, errNameless})
		}
	}
	switch {
	case form.Get("error") != "" || form.Get("code") == "":
		return l.page(w, r, http.StatusForbidden, "denied", s.to, Outcome{IssuerSaidNo, errors.New(known(form.Get("error")))})
	}
	t, err := l.redeem(r, form.Get("code"), s)
	switch {
	case errors.Is(err, ErrRefused) && signedIn:
		goTo(w, http.StatusSeeOther, s.to)
		return Outcome{}
	case errors.Is(err, ErrRefused):
		return l.page(w, r, http.StatusBadRequest, "stale", s.to, Outcome{SpentCode, err})
	case err != nil:
		return l.page(w, r, http.StatusServiceUnavailable, "unavailable", s.to, Outcome{Unavailable, err})
	case t.ID && t.Nonce != s.id: // OpenID Connect Core §3.1.3.7, 11
		return l.page(w, r, http.StatusBadRequest, "foreign", s.to, Outcome{Reason: WrongNonce})
	case !l.Judge(r, s.gate, s.to, t.Access):
		return l.page(w, r, http.StatusForbidden, "unfit", s.to, Outcome{Reason: UnfitToken})
	}
	f.again(now)
	session := l.session(t, s.id, now)
	session.began = now.Unix()
	if !setSession(w, b, session.seal(l.Keys.session, Host(r))) {
		return l.page(w, r, http.StatusForbidden, "unfit", s.to, Outcome{Reason: TooLarge})
	}
	f.settle(w, b)
	// 303: nothing of this request is sent on (RFC 9700 §4.12).
	goTo(w, http.StatusSeeOther, s.to)
	return Outcome{}
}

// neighbourMost is how long the documents of all other issuers of a host may take to come:
// somebody waits, and they are here already but right after a start.
const neighbourMost = 3 * time.Second

var errNameless = errors.New("the answer does not say whose it is (RFC 9207), and another issuer of this host does not either")

// mayBeAnothers says whether an answer without `iss` may be one of another issuer that
// people of this host sign in at. An issuer that means harm sends them on to an honest
// one, and would be handed the code that they come back with (RFC 9700 §4.4). The
// embedded issuer names itself to gates.
func (l *Login) mayBeAnothers(r *http.Request) (bool, error) {
	ctx, cancel := context.WithTimeout(r.Context(), neighbourMost)
	defer cancel()
	for _, other := range l.Beside(askedHost(r)) {
		doors, err := other.Issuer.Doors(ctx, home(r))
		if err != nil {
			return false, fmt.Errorf("whether %s names itself in its answers: %w", other.Key, err)
		}
		if !doors.SaysIssuer {
			return true, nil
		}
	}
	return false, nil
}

func (l *Login) session(t Tokens, flow string, now time.Time) Session {
	return Session{Client: l.Key, Access: t.Access, refresh: t.Refresh, flow: flow, made: now.Unix(), expires: t.Expires.Unix()}
}

// redeem shows the code to the issuer, once, however often the browser sends it
// at a time.
func (l *Login) redeem(r *http.Request, code string, s state) (Tokens, error) {
	return l.Memory.once(s.id, "code "+s.id, func() (Tokens, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
		defer cancel()
		return l.Issuer.Earn(ctx, r.RemoteAddr, url.Values{
			"grant_type": {oauth.GrantAuthorizationCode}, "code": {code}, "redirect_uri": {callback(r)}, "code_verifier": {s.verifier},
		})
	})
}

// known is an error code of RFC 6749 §4.1.2.1 or OpenID Connect Core §3.1.2.6:
// what a stranger writes into an address does not go into a log.
func known(code string) string {
	switch code {
	case "access_denied", "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "server_error",
		"temporarily_unavailable", "interaction_required", "login_required", "account_selection_required", "consent_required",
		"unmet_authentication_requirements":
		return code
	case "":
		return "neither a code nor an error"
	}
	return "another error"
}
