package caddymodule

import (
	"bytes"
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// spot is where a gate stands among the routes of its server. Caddy provisions
// routes in their order, so the first one that has no handlers yet is the one
// that a gate is being provisioned for.
type spot struct {
	app     *caddyhttp.App
	servers map[string]int // how many routes of each server were done
	inner   []step         // through subroutes, the outermost first
}

// step is a route in a subroute.
type step struct {
	sub   *caddyhttp.Subroute
	index int
}

// spotOf reads the place of the module that is being provisioned.
func spotOf(ctx caddy.Context) spot {
	var s spot
	for _, module := range ctx.Modules() {
		switch m := module.(type) {
		case *caddyhttp.App:
			s.app, s.servers = m, map[string]int{}
			for name, server := range m.Servers {
				s.servers[name] = done(server)
			}
		case *caddyhttp.Subroute:
			s.inner = append(s.inner, step{m, provisioned(m.Routes)})
		}
	}
	return s
}

// done counts the routes for errors and the invoked ones, too: they come after.
func done(server *caddyhttp.Server) int {
	n := provisioned(server.Routes)
	if server.Errors != nil && n == len(server.Routes) {
		n += provisioned(server.Errors.Routes)
	}
	for _, route := range server.NamedRoutes {
		if route.Handlers != nil {
			n++
		}
	}
	return n
}

// provisioned counts the routes that are done. Caddy takes their handlers' text away then;
// one that has none, in a configuration in JSON, never had any.
func provisioned(routes caddyhttp.RouteList) (n int) {
	for n < len(routes) && len(routes[n].HandlersRaw) == 0 {
		n++
	}
	return n
}

// encloses reports whether every request that comes to the inner spot has come
// by this one, which was provisioned before. It says no where it cannot tell.
func (s spot) encloses(inner spot) bool {
	if len(s.inner) > len(inner.inner) {
		return false
	}
	if len(s.inner) == 0 {
		return s.servesBefore(inner)
	}
	last := len(s.inner) - 1
	for n := range last {
		if s.inner[n] != inner.inner[n] {
			return false
		}
	}
	from, to := s.inner[last], inner.inner[last]
	return from.sub == to.sub && (from.index == to.index || from.index < to.index && isForAll(from.sub.Routes[from.index]))
}

// servesBefore is encloses for a gate in a server's own list of routes. Servers
// are provisioned one after the other, so both gates are in one server exactly
// if at most that one has gone on since.
func (s spot) servesBefore(inner spot) bool {
	if s.app == nil || s.app != inner.app {
		return false
	}
	gone := ""
	for name, index := range s.servers {
		if inner.servers[name] != index {
			if gone != "" {
				return false
			}
			gone = name
		}
	}
	if gone == "" {
		return true // one and the same route
	}
	routes := s.app.Servers[gone].Routes
	from, to := s.servers[gone], inner.servers[gone]
	return to < len(routes) && isForAll(routes[from])
}

// leadsTo reports whether a request that has come by this spot may come to the later one,
// which was provisioned after it.
func (s spot) leadsTo(later spot) bool {
	if s.app == nil || s.app != later.app {
		return false
	}
	for name, index := range s.servers {
		if to := later.servers[name]; to != index {
			routes := s.app.Servers[name].Routes
			return to < len(routes) && !exclusive(routes[index], routes[to])
		}
	}
	for n := range min(len(s.inner), len(later.inner)) {
		from, to := s.inner[n], later.inner[n]
		if from.sub != to.sub {
			return true // handlers of one route, one after the other
		}
		if routes := from.sub.Routes; from != to {
			return to.index < len(routes) && !exclusive(routes[from.index], routes[to.index])
		}
	}
	return true
}

// exclusive reports whether no request goes from one route to the other.
func exclusive(from, to caddyhttp.Route) bool {
	return from.Terminal || from.Group != "" && from.Group == to.Group
}

// isForAll tells a route that sees every request from one with a matcher, and
// from one of several that exclude each other.
func isForAll(route caddyhttp.Route) bool {
	return len(route.MatcherSetsRaw) == 0 && len(route.MatcherSets) == 0 && route.Group == ""
}

// checkOptional refuses `optional` behind a gate that has refused whoever has no
// token: it reads as if it opened something.
func (g *Gate) checkOptional() error {
	if !g.Optional {
		return nil
	}
	mine, err := json.Marshal(g.MatcherSetsRaw)
	if err != nil {
		return err
	}
	for _, before := range g.app.gates {
		if before.Optional || before.Shadow || len(before.Except) > 0 || !before.spot.encloses(g.spot) {
			continue
		}
		theirs, err := json.Marshal(before.MatcherSetsRaw)
		if err != nil {
			return err
		}
		if before.MatcherSetsRaw == nil || bytes.Equal(mine, theirs) {
			return placed("token_gate: optional: the gate at "+before.At+" demands a token before; use `except` there instead", g.Lines.of("optional", "", g.At))
		}
	}
	return nil
}
