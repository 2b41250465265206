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
			a.logger.Warn("token_gate: login: "+address+login.CallbackPath+" does not get to this gate, so nobody can sign in; take the gate out of the `handle` of another path, put it before what answers that address, or write `handle "+login.Paths+"*` with a gate that has the same login", zapAt(s.first.Login.At))
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
		before := routes[:min(step.index, len(routes))]
		if slices.ContainsFunc(before, rewrites) {
			return true
		}
		if answered(before, r) {
			return false
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

// answered reports whether one of the routes answers a request for certain, by its path
// and host alone, and not by a gate that knows sign-ins.
func answered(routes caddyhttp.RouteList, r *http.Request) bool {
	return slices.ContainsFunc(routes, func(route caddyhttp.Route) bool {
		if !mustMatch(route, r) {
			return false
		}
		for _, h := range route.Handlers {
			switch h := h.(type) {
			case *Gate:
				if h.Login != nil {
					return false
				}
			case *caddyhttp.Subroute:
				if answered(h.Routes, r) {
					return true
				}
			case caddy.Module:
				if answers(h) {
					return true
				}
			}
		}
		return false
	})
}

// mustMatch reports whether a route is for a request whatever else the request says.
func mustMatch(route caddyhttp.Route, r *http.Request) bool {
	return len(route.MatcherSets) == 0 || slices.ContainsFunc(route.MatcherSets, func(set caddyhttp.MatcherSet) bool {
		for _, m := range set {
			switch m.(type) {
			case *caddyhttp.MatchPath, *caddyhttp.MatchPathRE, *caddyhttp.MatchHost:
			default:
				return false
			}
		}
		ok, err := set.MatchWithError(r)
		return ok && err == nil
	})
}

// warnOfGatesInFront tells of gates that refuse whoever comes back from signing in: they
// have no login, and stand before one that has.
func (a *App) warnOfGatesInFront() {
	for n, g := range a.gates {
		if g.Login == nil {
			continue
		}
		for _, before := range a.gates[:n] {
			lets := before.Login != nil || before.Optional || before.Shadow || before.Answer != "" || len(before.Except) > 0 || len(before.MatcherSetsRaw) > 0
			if !lets && before.spot.encloses(g.spot) {
				a.logger.Warn("token_gate: login: the gate at "+orElse(before.At, "its line")+" stands before this one and has no login, so it refuses whoever comes back from signing in; write `login` there, too, or put this one first", zapAt(g.Login.At))
				break
			}
		}
	}
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
