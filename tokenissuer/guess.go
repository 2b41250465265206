package tokenissuer

import (
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// guess is what refused requests of a route may have tried out. Where there is
// nothing to find out, nobody is limited: an address is shared, and any page that
// its people look at can have their browsers ask.
type guess int

const (
	nothing guess = iota
	proven        // a secret or a token: who shows a good one passes, whoever else has failed
	typed         // what people type, without anything that vouches for them
)

// guessed reports whether refusals of a method count: those of the requests that
// guess at something. To read userinfo takes a token that nobody can guess.
func (e *route) guessed(method string) bool {
	return e.guess != nothing && (method == http.MethodPatch || method == http.MethodPost && e.name != "userinfo")
}

// scripted reports whether a script or a form of somebody else's page made a browser
// send a request. It is refused before anything is looked at and does not count:
// otherwise a page could use up the tries of everybody who shares its visitor's
// address. Whoever is no browser gains nothing by pretending. The pages have a
// check of their own.
func (i *Issuer) scripted(r *request, e *route) bool {
	return e.guess == proven && r.Method == http.MethodPost &&
		r.Header.Get("Sec-Fetch-Site") == "cross-site" && !i.origins[r.Header.Get("Origin")]
}

// count remembers a refusal. A client that proved its secret stands for many people:
// who guesses through it is counted by name (account), and must not stop the others.
// Guesses at one-time codes have bounds of their own, whose answers are documented.
func (i *Issuer) count(r *request) {
	if oauth.Reason(r.event.Reason) == oauth.WrongOTP || oauth.Reason(r.event.Reason) == oauth.UnknownOTPToken {
		return
	}
	if s := r.event.Status; r.guesses && !r.proven && (s == http.StatusBadRequest || s == http.StatusUnauthorized || r.notTaken) {
		i.limit.failed(party{from: r.event.From}, r.now)
	}
}
