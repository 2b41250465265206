package caddymodule

import (
	"context"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
)

// warnOfWays tells of sites where people who have signed in come back to an address
// that gets to no gate with a login: it stands in a `handle` of another path, and what
// answers instead sees their code.
func (a *App) warnOfWays() {
	type state struct {
		first *Gate
		way   bool
	}
	var order []string
	sites := map[string]*state{}
	for _, g := range a.gates {
		if g.Login == nil {
			continue
		}
		for _, at := range g.spot.sites(g) {
			if sites[at.address] == nil {
				sites[at.address] = &state{first: g}
				order = append(order, at.address)
			}
			sites[at.address].way = sites[at.address].way || g.spot.hasWay(g, at)
		}
	}
	for _, address := range order {
		if s := sites[address]; !s.way {
			a.logger.Warn("token_gate: login: "+address+login.CallbackPath+" does not get to this gate, so nobody can sign in; take the gate out of the `handle` of another path, or write `handle "+login.Paths+"*` with a gate that has the same login", zapAt(s.first.Login.At))
		}
	}
}

// hasWay reports whether what a sign-in comes back to can get to the gate. It says
// yes where it cannot tell.
func (s spot) hasWay(g *Gate, at site) bool {
	r, err := question{Method: "GET", URL: at.address + login.CallbackPath}.asked(context.Background())
	if err != nil {
		return true
	}
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nowhere{}, at.server)
	for route, server := range s.routes(g) {
		if server == at.server && !mayMatch(route, r) {
			return false
		}
	}
	for _, step := range s.inner {
		routes := step.sub.Routes
		if slices.ContainsFunc(routes[:min(step.index, len(routes))], rewrites) {
			return true
		}
		if step.index < len(routes) && !mayMatch(routes[step.index], r) {
			return false
		}
	}
	return true
}

// mayMatch reports whether a route can be for a request, by its path alone.
func mayMatch(route caddyhttp.Route, r *http.Request) bool {
	if len(route.MatcherSets) == 0 {
		return true
	}
	return slices.ContainsFunc(route.MatcherSets, func(set caddyhttp.MatcherSet) bool {
		return !slices.ContainsFunc(set, func(m any) bool {
			switch m := m.(type) {
			case *caddyhttp.MatchPath:
				ok, err := m.MatchWithError(r)
				return err == nil && !ok
			case *caddyhttp.MatchPathRE:
				ok, err := m.MatchWithError(r)
				return err == nil && !ok
			}
			return false
		})
	})
}

// rewrites reports whether a route may change the path that later ones are chosen by.
func rewrites(route caddyhttp.Route) bool {
	return slices.ContainsFunc(route.Handlers, func(h caddyhttp.MiddlewareHandler) bool {
		switch h := h.(type) {
		case *rewrite.Rewrite:
			return true
		case *caddyhttp.Subroute:
			return slices.ContainsFunc(h.Routes, rewrites)
		}
		return false
	})
}
