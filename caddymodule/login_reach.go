package caddymodule

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// reach tells whether the requests for a host get to a gate, or a route before it in the
// same list takes them all: Caddy puts the site that names them more closely first, and
// what it answers goes no further; of several `handle` the first has them.
type reach struct {
	at    map[any]listedRoute // of a gate or a subroute
	taken map[claim]int       // the first route of a list that takes every request of a name
}

// listedRoute is a route in the list of a server or a subroute. Without a list it may be
// met on every host: a named route, or one for errors.
type listedRoute struct {
	list  any
	group string
	index int
}

// claim is a name of hosts of which no request goes on to the routes of a group, or to
// any where it is "".
type claim struct {
	list        any
	group, host string
}

func newReach(app *caddyhttp.App) *reach {
	r := &reach{map[any]listedRoute{}, map[claim]int{}}
	if app == nil {
		return r
	}
	for _, server := range app.Servers {
		r.learn(server, server.Routes)
	}
	return r
}

func (r *reach) learn(list any, routes caddyhttp.RouteList) {
	for n := range routes {
		route := &routes[n]
		for _, host := range takes(route) {
			one := claim{list, route.Group, host}
			if _, before := r.taken[one]; !before {
				r.taken[one] = n
			}
		}
		for _, h := range route.Handlers {
			switch h := h.(type) {
			case *Gate:
				r.at[h] = listedRoute{list, route.Group, n}
			case *caddyhttp.Subroute:
				r.at[h] = listedRoute{list, route.Group, n}
				r.learn(h, h.Routes)
			}
		}
	}
}

// of is where a gate is; of one behind a backend or for errors, the subroute around it.
func (r *reach) of(g *Gate) listedRoute {
	at, known := r.at[g]
	for n := len(g.spot.inner) - 1; !known && n >= 0; n-- {
		at, known = r.at[g.spot.inner[n].sub]
	}
	return at
}

// leads reports whether a request for a host may get to a route. The names are those that
// wider gives of it; where it means several hosts, of one of them.
func (r *reach) leads(at listedRoute, names []string) bool {
	for at.list != nil {
		if slices.ContainsFunc(names, func(host string) bool { return r.before(at, "", host) || r.before(at, at.group, host) }) {
			return false
		}
		at = r.at[at.list]
	}
	return true
}

func (r *reach) before(at listedRoute, group, host string) bool {
	n, taken := r.taken[claim{at.list, group, host}]
	return taken && n < at.index
}

// takes are the names of the hosts of which no request goes on behind a route, or to
// another one of its group: it asks for nothing else. "" is all of them, and in a matcher
// it is none. One that ends the way and has a group may be passed over for a route of that
// group elsewhere.
func takes(route *caddyhttp.Route) (hosts []string) {
	if !route.Terminal && route.Group == "" {
		return nil
	}
	if len(route.MatcherSets) == 0 {
		return []string{""}
	}
	for _, set := range route.MatcherSets {
		if len(set) != 1 {
			continue
		}
		named, _ := hostNames(caddyhttp.MatcherSets{set})
		hosts = append(hosts, slices.DeleteFunc(named, func(host string) bool { return host == "" || hasPlaceholder(host) })...)
	}
	return hosts
}

// longestHost is that of a name in DNS: longer ones are in nobody's configuration.
const longestHost = 253

// wider are the names that mean a host or all hosts of a name, itself first: with stars
// for its first labels, and "".
func wider(host string) []string {
	all := []string{host}
	if host == "" {
		return all
	}
	if len(host) <= longestHost {
		labels := strings.Split(host, ".")
		for n, label := range labels {
			if labels[n] = "*"; label != "*" {
				all = append(all, strings.Join(labels, "."))
			}
		}
	}
	return append(all, "")
}

// isOdd reports whether a star stands behind another label, so that wider does not find
// the name.
func isOdd(host string) bool {
	labels := strings.Split(host, ".")
	first := slices.IndexFunc(labels, func(label string) bool { return label != "*" })
	return first >= 0 && slices.Contains(labels[first:], "*")
}

// common is the name of the hosts that two names mean; false: there are none.
func common(a, b string) (string, bool) {
	labels, others := strings.Split(a, "."), strings.Split(b, ".")
	if len(labels) != len(others) {
		return "", false
	}
	for n, label := range labels {
		switch {
		case label == "*":
			labels[n] = others[n]
		case others[n] != "*" && others[n] != label:
			return "", false
		}
	}
	return strings.Join(labels, "."), true
}
