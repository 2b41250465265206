package caddymodule

import (
	"errors"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// mends say for each reason of a refusal what would change it.
var mends = map[oauth.Reason]string{
	oauth.NoBearerToken:    "send the header Authorization: Bearer TOKEN; to let this path through without one, write `except`, or `optional` for all paths",
	oauth.BadBearerToken:   "send one header Authorization: Bearer TOKEN, with the token as it was issued",
	gate.MalformedToken:    "send the access token as it was issued: three parts with dots between them, or the 36 characters of an opaque one",
	gate.TokenTooLarge:     "a token over 8 KiB is never looked at: have its issuer put less into it",
	gate.WrongAlgorithm:    "the key is for another algorithm than the token names: the issuer has to sign with the algorithm that its key set says",
	gate.UnknownKey:        "no issuer that this gate trusts has this key: add an `issuer` block for the one that signed, or get a token from a trusted one; a key that was retired signs no more",
	gate.WrongSignature:    "the token was changed on the way, or signed by another key with the same id: get a new one",
	gate.WrongIssuer:       "the key is trusted, but not for the `iss` that the token names: add an `issuer` block for it",
	gate.WrongAudience:     "get a token for this audience, or add the token's to the word `audience`",
	gate.ExpiredToken:      "get a new token, by its refresh token or a sign-in; `access_token_lifetime` says how long one is good",
	gate.NotYetValid:       "a clock is wrong: the token is from the future for this machine",
	gate.WrongTokenType:    "send the access token: this is an ID token, or made for something else",
	gate.UnknownToken:      "the issuer does not know this opaque token: it was never issued, has ended, or its client is gone",
	oauth.RevokedToken:     "the token, its sign-in, its account or its client was ended: sign in again, or unlock the account or enable the client first",
	oauth.MissingScope:     "get a token with this scope: the client must have it in `scopes` and ask for it; or take it out of the gate's `scope`",
	gate.MissingClaim:      "give the account this attribute (`gatehouse issuer user set`) and get a new token; or change the gate's `claim`",
	gate.ExpressionRefused: "the expression says no to this token and request: its line is the one to look at",
	gate.StaleSignIn:       "have the person sign in again (`max_age` or `prompt=login` at the authorization endpoint), and use the new token",
	gate.SilentIssuer:      "the token's issuer cannot be asked now: the log says why (`issuer cannot be asked`, or of opaque tokens that it does not answer), and `gatehouse_gate_keys_state`, `gatehouse_gate_key_fetches_total` and `gatehouse_gate_introspections_total` whether it lasts; it is asked again within a minute",
	opaqueTarget:           "ask for the path alone, or for a whole address that begins with https://",
	untrustedProxy:         "name the proxy that asks in `trusted_proxies` of the global option `servers`",
	badOriginal:            "the log says as `cause` what is wrong with the headers that the proxy sends; to explain what it asks about, ask for that address, with --via and the address where the proxy asks",
	oauth.StoreUnavailable: "nobody can say now: look at /health and at the log",
}

// mend says what would change a refusal of this request.
func (m met) mend(refusal *gate.Refusal) string {
	c := m.says.Claims
	failure, _ := errors.AsType[*remote.Failure](refusal.Cause)
	switch {
	case failure != nil && failure.Result == remote.Refused:
		return "the issuer was not asked, for too much is or its answers failed: ask again in a moment; where clients come by way of another proxy, name it in `trusted_proxies`, or they share the allowance of one address"
	case m.anyway && m.gate.asBefore:
		return oneReading + "; nor one of these at this gate, nor a Destination, or capitals in the host or the Content-Type: its matcher reads what handlers before it have made of the request, or what it was, which nobody knows of another reading; or match what the request has itself"
	case m.anyway, m.unclear && refusal.Reason == oauth.NoBearerToken && len(m.gate.Except) > 0:
		return oneReading + "; no matcher and no `except` counts for one that has two"
	case refusal.Reason == gate.WrongAudience && c != nil && c.Foreign():
		return "get a token for this audience, or add the token's to the word `audience` in its issuer's block"
	case refusal.Reason == gate.MissingClaim && c != nil && c.Foreign():
		return "the token's issuer has to put this into its tokens; or change the gate's `claim`"
	case refusal.Reason == gate.StaleSignIn && c != nil && c.Value("auth_time") == nil:
		return "the token does not say when the person signed in: give the client `access_token at+jwt` and have the person sign in again; a client that acts for itself never passes"
	}
	return mends[refusal.Reason]
}

// oneReading is what a request has that is judged by no more than what it says.
const oneReading = "send a request that has one reading: a path without . .. or empty segments, backslashes, ; and escaped slashes, or what ASP.NET takes out (`/(S(x))/`), a method in capitals that is not CONNECT, a host of letters and digits without a dot at its end, " +
	"a Destination on this host whose path is excepted where the request's own is, and what the matcher reads by name (of the query, a header, a cookie) once and spelled as there; " +
	"and not two of these at once: a dot or a blank at the end of a part of the path, an escaped ? or # in it, another method beside the request's own"
