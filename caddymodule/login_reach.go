package caddymodule

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// reach tells whether the requests for a host get to a route, or a site before it on the
// same server takes them all: Caddy puts the one that names them more closely first, and
// what it answers goes no further.
type reach struct {
	at    map[any]siteRoute  // by the gate, or the subroute that it is in
	taken map[serverHost]int // the first route of a server that takes every request of a name
}

// siteRoute is a route of a server, by its index. Without a server it may be met on every
// host: a named route, or one for errors.
type siteRoute struct {
	server *caddyhttp.Server
	index  int
}

type serverHost struct {
	server *caddyhttp.Server
	host   string
}

func newReach(app *caddyhttp.App) *reach {
	r := &reach{map[any]siteRoute{}, map[serverHost]int{}}
	if app == nil {
		return r
	}
	for _, server := range app.Servers {
		for n := range server.Routes {
			r.learn(siteRoute{server, n}, &server.Routes[n])
		}
	}
	return r
}

func (r *reach) learn(at siteRoute, route *caddyhttp.Route) {
	for _, h := range route.Handlers {
		switch h.(type) {
		case *Gate, *caddyhttp.Subroute:
			r.at[h] = at
		}
	}
	for _, host := range takes(route) {
		if _, before := r.taken[serverHost{at.server, host}]; !before {
			r.taken[serverHost{at.server, host}] = at.index
		}
	}
}

// of is where a gate is.
func (r *reach) of(g *Gate) siteRoute {
	if len(g.spot.inner) > 0 {
		return r.at[g.spot.inner[0].sub]
	}
	return r.at[g]
}

// leads reports whether a request for a host may get to a route. The names are those that
// wider gives of it; where it means several hosts, of one of them.
func (r *reach) leads(at siteRoute, names []string) bool {
	return at.server == nil || !slices.ContainsFunc(names, func(host string) bool {
		n, taken := r.taken[serverHost{at.server, host}]
		return taken && n < at.index
	})
}

// takes are the names of the hosts of which no request goes on behind a route: it asks
// for nothing else. "" is all of them.
func takes(route *caddyhttp.Route) (hosts []string) {
	if !route.Terminal || route.Group != "" {
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
		hosts = append(hosts, slices.DeleteFunc(named, func(host string) bool { return hasPlaceholder(host) || isOdd(host) })...)
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
