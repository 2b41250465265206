package caddymodule

import (
	"slices"
	"strconv"
)

// warnOfNamesakes tells of gates that trust more than one issuer and do not say whose
// word they take: each names its callers as it likes, so a partner's can be called what
// one of ours is, and says of them what it likes.
func (a *App) warnOfNamesakes() {
	for _, g := range a.gates {
		issuers := len(g.compiled.Issuers) // those elsewhere
		if g.embedded {
			issuers++
		}
		if issuers < 2 || slices.ContainsFunc(g.Claim, func(c ClaimRule) bool { return c.Name == "iss" && len(c.Values) == 1 }) {
			continue
		}
		asked := g.claimsOfExpression()
		if slices.Contains(asked, "iss") {
			continue // it says of whom what holds
		}
		problem, at := g.namesake()
		if problem == "" {
			problem, at = g.hearsay(asked)
		}
		if problem != "" {
			a.logger.Warn("token_gate: this gate trusts "+strconv.Itoa(issuers)+" issuers, and "+problem+", or write a gate for each issuer", zapAt(at))
		}
	}
}

// namesake is about a header that names the caller and none that names the issuer.
func (g *Gate) namesake() (problem, at string) {
	names := func(h Header, claims ...string) bool {
		return slices.ContainsFunc(h.claims(), func(name string) bool { return slices.Contains(claims, name) })
	}
	if slices.ContainsFunc(g.Header, func(h Header) bool { return names(h, "iss") }) {
		return "", ""
	}
	for _, h := range g.Header {
		if names(h, "sub", "client_id") {
			return "header " + h.Name + " does not say of which a caller is: what one of them calls its users and clients may be the name of another's; add a header of {claim.iss} for the backend to look at", h.At
		}
	}
	return "", ""
}

// hearsay is about claims that count whoever says them; asked are those of the expression.
func (g *Gate) hearsay(asked []string) (problem, at string) {
	const mend = " whichever of them says so, of whomever it likes; ask for claims.iss in an `expression`"
	switch {
	case len(g.Claim) > 0:
		return "the claim " + g.Claim[0].Name + " holds" + mend, g.Claim[0].At
	case len(g.Scope) > 0:
		return "the scope " + g.Scope[0] + " holds" + mend, g.Lines.of("scope", g.Scope[0], g.At)
	case len(asked) > 0:
		return "`expression` holds" + mend, g.Lines.of("expression", "", g.At)
	}
	return "", ""
}
