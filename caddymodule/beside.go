package caddymodule

import (
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// warnOfIssuersBeside tells of gates that a proxy asks about every address of a site,
// some of which the issuer answers: what it publishes there is a yes.
func (a *App) warnOfIssuersBeside() {
	for _, g := range a.gates {
		if g.Answer != answerRequest {
			continue
		}
		for _, i := range a.directives {
			if i.besides(g) {
				a.logger.Warn("token_gate: answer request: the proxy asks about every address, and the directive token_issuer at "+orElse(i.At, "its line")+" answers those of the issuer on the same site, which is a yes; give the gate a site of its own", zapAt(g.At))
				break
			}
		}
	}
}

// besides reports whether both are on one site.
func (h *Issuer) besides(g *Gate) bool {
	for ours, server := range h.spot.routes(h) {
		for theirs, other := range g.spot.routes(g) {
			if server == other && shareHost(ours, theirs) {
				return true
			}
		}
	}
	return false
}

func shareHost(a, b caddyhttp.Route) bool {
	ours, named := hostNames(a.MatcherSets)
	theirs, alsoNamed := hostNames(b.MatcherSets)
	return !named || !alsoNamed || slices.ContainsFunc(ours, func(host string) bool {
		return slices.ContainsFunc(theirs, func(other string) bool { return isHostOf(host, other) || isHostOf(other, host) })
	})
}
