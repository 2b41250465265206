package portal

import (
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Errors of an authorization answer that no other endpoint has (RFC 6749
// §4.1.2.1, OpenID Connect Core §3.1.2.6).
const (
	AccessDenied    = "access_denied"
	LoginRequired   = "login_required"
	ConsentRequired = "consent_required"
)

// step is what an authorization request needs next.
type step int

const (
	signIn step = iota
	consent
	finish
	deny
)

// facts is all that the next step depends on.
type facts struct {
	request Request
	denied  bool // the person said no

	signedIn bool
	session  store.Session
	sources  []string // by which the client lets people sign in

	trusted bool          // the client needs no consent
	given   store.Consent // zero where there is none
}

// next says what comes next, and for deny with which error. It is the whole
// flow: pages and redirects only carry it out.
func next(f facts) (step, string) {
	silent := slices.Contains(f.request.Prompt, "none")
	switch {
	case f.denied:
		return deny, AccessDenied
	case f.signedIn && !f.rightPerson() && f.age() <= 0:
		return deny, LoginRequired // somebody else has signed in for this very request
	case f.mustSignIn() && silent:
		return deny, LoginRequired
	case f.mustSignIn():
		return signIn, ""
	case f.mustConsent() && silent:
		return deny, ConsentRequired
	case f.mustConsent():
		return consent, ""
	}
	return finish, ""
}

// mustSignIn says whether the session does not do for this request.
func (f facts) mustSignIn() bool {
	if !f.signedIn || !f.rightPerson() || !slices.Contains(f.sources, f.session.Source) {
		return true // a client that wants one-time codes must not get a password's session
	}
	if f.request.Source != "" && f.request.Source != f.session.Source {
		return true
	}
	age := f.age()
	if age <= 0 {
		return false // for this very request
	}
	// To choose among accounts is to sign in with one: a browser has one session.
	again := slices.Contains(f.request.Prompt, "login") || slices.Contains(f.request.Prompt, "select_account")
	return again || f.request.MaxAge >= 0 && age > seconds(f.request.MaxAge)
}

// rightPerson says whether the session is of whom the client asks for: an answer
// about anybody else must not be given (OpenID Connect Core §3.1.2.2).
func (f facts) rightPerson() bool {
	return f.request.Subject == "" || f.request.Subject == f.session.Account
}

// age is how old the sign-in was at the request; not above zero: it came after.
func (f facts) age() time.Duration { return f.request.Asked.Sub(f.session.AuthTime) }

// mustConsent says whether the person has to be asked.
func (f facts) mustConsent() bool {
	switch {
	case f.trusted:
		return false // the operator's word: no consent page
	case f.given.Updated.IsZero() || !oauth.Scopes(f.request.Scopes).Subset(f.given.Scopes):
		return true
	}
	return slices.Contains(f.request.Prompt, "consent") && f.given.Updated.Before(f.request.Asked)
}

// seconds bounds what a request can say, so that the product cannot overflow.
func seconds(n int64) time.Duration { return time.Duration(min(n, 1<<32)) * time.Second }
