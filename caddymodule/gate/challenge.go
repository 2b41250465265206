package gate

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Reasons of a refusal beside those of package oauth. They are a closed set,
// fit for a metric's label.
const (
	MalformedToken oauth.Reason = "malformed_token"
	TokenTooLarge  oauth.Reason = "token_too_large"
	WrongAlgorithm oauth.Reason = "wrong_algorithm"
	UnknownKey     oauth.Reason = "unknown_key"
	WrongSignature oauth.Reason = "wrong_signature"
	WrongIssuer    oauth.Reason = "wrong_issuer"
	WrongAudience  oauth.Reason = "wrong_audience"
	ExpiredToken   oauth.Reason = "expired_token"
	NotYetValid    oauth.Reason = "token_not_yet_valid"
	WrongTokenType oauth.Reason = "not_an_access_token"
	MissingClaim   oauth.Reason = "missing_claim"
	UnknownToken   oauth.Reason = "unknown_token"

	ExpressionRefused oauth.Reason = "expression_refused"
	StaleSignIn       oauth.Reason = "stale_sign_in"
	SilentIssuer      oauth.Reason = "issuer_unavailable"
)

// Refusal is a request that may not go on. Status and Challenge are for the
// client, the rest is for the log.
type Refusal struct {
	Status    int           // 400, 401, 403, or 503 where nobody can say now
	Challenge string        // WWW-Authenticate (RFC 6750 §3); "" with 503
	Reason    oauth.Reason  // from a closed set
	Claims    *token.Claims // of a verified token that may not do this; nil otherwise
	Cause     error
}

func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Cause.Error() }

func (r *Refusal) Unwrap() error { return r.Cause }

// Withhold takes out of a refused request what proves a caller, so that a page
// shown for the error cannot get at it.
func Withhold(h http.Header) {
	delete(h, "Authorization")
	delete(h, "Cookie")
}

// challenges are the texts of one gate's refusals.
type challenges struct {
	bare  string // Bearer realm="…"
	stale string // the rest, where a person has to sign in again
}

func newChallenges(maxAge time.Duration) challenges {
	return challenges{
		bare: `Bearer realm="gatehouse"`,
		// RFC 9470 §3
		stale: `, error="insufficient_user_authentication", error_description="the person has to sign in again", max_age="` +
			strconv.FormatInt(int64(maxAge/time.Second), 10) + `"`,
	}
}

// grounds say for each cause what is told to the log and to the client. What
// is told to the client is what it can act on, and nothing about keys.
var grounds = []struct {
	cause       error
	reason      oauth.Reason
	description string
}{
	{token.ErrExpired, ExpiredToken, "the access token expired"},
	{errRevoked, oauth.RevokedToken, "the access token was revoked"},
	{token.ErrAudience, WrongAudience, "the access token is for another audience"},
	{token.ErrType, WrongTokenType, "this is not an access token"},
	{token.ErrNotYet, NotYetValid, "the access token is not valid yet"},
	{token.ErrSignature, WrongSignature, invalid},
	{token.ErrUnknown, UnknownToken, invalid},
	{token.ErrMalformed, MalformedToken, invalid},
	{token.ErrUnknownKey, UnknownKey, invalid},
	{token.ErrAlgorithm, WrongAlgorithm, invalid},
	{token.ErrIssuer, WrongIssuer, invalid},
	{token.ErrTooLarge, TokenTooLarge, invalid},
	{oauth.ErrMalformedToken, oauth.BadBearerToken, invalid},
}

// errUnavailable is about us and not about the token: a client that is told its
// token is bad throws it away.
var errUnavailable = errors.New("tokens cannot be looked up now")

// errBehind is the same where only other nodes know.
var errBehind = fmt.Errorf("%w: what other nodes revoked is not known", errUnavailable)

// errSilent is the same about an issuer elsewhere.
var errSilent = errors.New("the issuer cannot be asked now")

const invalid = "the access token is not valid"

func (g *Gate) refusal(c *token.Claims, cause error) *Refusal {
	r := &Refusal{Status: http.StatusUnauthorized, Challenge: g.answers.bare, Reason: MalformedToken, Claims: c, Cause: cause}
	switch {
	case errors.Is(cause, oauth.ErrNoToken):
		// RFC 6750 §3.1: no error code for who sent no credentials.
		r.Reason = oauth.NoBearerToken
	case errors.Is(cause, ErrCrossSite):
		r.Reason = CrossSite
	case errors.Is(cause, oauth.ErrTwoTokens):
		r.Status, r.Reason = http.StatusBadRequest, oauth.BadBearerToken
		r.Challenge += `, error="invalid_request", error_description="more than one Authorization field"`
	case errors.Is(cause, errManyLookups):
		r.Status, r.Reason, r.Challenge = http.StatusServiceUnavailable, oauth.Overloaded, ""
	case errors.Is(cause, errUnavailable):
		r.Status, r.Reason, r.Challenge = http.StatusServiceUnavailable, oauth.StoreUnavailable, ""
	case errors.Is(cause, errSilent):
		r.Status, r.Reason, r.Challenge = http.StatusServiceUnavailable, SilentIssuer, ""
	case errors.Is(cause, errScope):
		r.Status, r.Reason = http.StatusForbidden, oauth.MissingScope
		r.Challenge += `, error="insufficient_scope"`
	case errors.Is(cause, errClaim):
		// RFC 6750 has one code for a good token that is not enough.
		r.Status, r.Reason = http.StatusForbidden, MissingClaim
		r.Challenge += `, error="insufficient_scope", error_description="the access token lacks a claim"`
	case errors.Is(cause, errStale):
		r.Reason = StaleSignIn
		r.Challenge += g.answers.stale
	case errors.Is(cause, errExpression):
		r.Status, r.Reason = http.StatusForbidden, ExpressionRefused
		r.Challenge += `, error="insufficient_scope", error_description="the access token is not enough for this request"`
	default:
		description := invalid
		for _, ground := range grounds {
			if errors.Is(cause, ground.cause) {
				r.Reason, description = ground.reason, ground.description
				break
			}
		}
		r.Challenge += `, error="invalid_token", error_description="` + description + `"`
	}
	return r
}
