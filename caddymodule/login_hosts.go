package caddymodule

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
)

// warnOfSharedCookies tells of logins to two clients on one host: a browser keeps one
// cookie for the host, whatever its ports, so who signs in by the one is signed out of
// the other.
func (a *App) warnOfSharedCookies() {
	first := map[string]signIn{}
	for _, g := range a.gates {
		if g.signIn.client == "" {
			continue
		}
		for _, host := range g.spot.hosts(g) {
			before, known := first[host]
			if !known {
				first[host] = g.signIn
				continue
			}
			if before.client != g.signIn.client || before.foreign != g.signIn.foreign {
				a.logger.Warn("token_gate: login: another gate of "+orElse(host, "every host")+" signs people in to client "+before.client+
					", and this one to "+g.signIn.client+": the cookie is the host's, so each takes the other's away; use one client for both, or a host for each", zapAt(g.Login.line("client_id", "")))
				break
			}
		}
	}
}

// introduce tells the logins at issuers elsewhere of those that share a host with them. A
// name with a wildcard may be any of them.
func (a *App) introduce() {
	at, anywhere := map[string][]*Gate{}, []*Gate{}
	for _, g := range a.gates {
		if g.signIn.foreign == "" {
			continue
		}
		for _, host := range g.spot.hosts(g) {
			if host == "" || strings.Contains(host, "*") {
				anywhere = append(anywhere, g)
			} else {
				at[host] = append(at[host], g)
			}
		}
	}
	for _, here := range at {
		for n, g := range here {
			g.acquaint(here[n+1:])
			g.acquaint(anywhere)
		}
	}
	for n, g := range anywhere {
		g.acquaint(anywhere[n+1:])
	}
}

// acquaint makes the login of a gate and those of others known to each other, where they
// are at different issuers.
func (g *Gate) acquaint(others []*Gate) {
	add := func(to, other *login.Login) {
		if !slices.Contains(to.Beside, other) {
			to.Beside = append(to.Beside, other)
		}
	}
	for _, other := range others {
		if other.signIn.foreign != g.signIn.foreign {
			add(g.login, other.login)
			add(other.login, g.login)
		}
	}
}

// hosts are the names by which a gate can be reached, as they are written: with
// wildcards, and "" where any name will do. The innermost matcher of hosts says them.
func (s spot) hosts(g *Gate) []string {
	if hosts, ok := hostNames(g.matchers); ok {
		return hosts
	}
	for _, step := range slices.Backward(s.inner) {
		if step.index >= len(step.sub.Routes) {
			continue // a route for errors
		}
		if hosts, ok := hostNames(step.sub.Routes[step.index].MatcherSets); ok {
			return hosts
		}
	}
	all := map[string]bool{}
	for route := range s.routes(g) {
		hosts, ok := hostNames(route.MatcherSets)
		if !ok {
			hosts = []string{""}
		}
		for _, host := range hosts {
			all[host] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// hostNames are those that matchers select; false: one of them selects any.
func hostNames(sets caddyhttp.MatcherSets) (hosts []string, ok bool) {
	for _, set := range sets {
		named := false
		for _, matcher := range set {
			if m, is := matcher.(*caddyhttp.MatchHost); is {
				named = true
				for _, host := range *m {
					hosts = append(hosts, strings.ToLower(host))
				}
			}
		}
		if !named {
			return nil, false
		}
	}
	return hosts, len(hosts) > 0
}

// isHostOf reports whether a host is one that a name of a site means. A star stands for
// one label.
func isHostOf(host, name string) bool {
	labels, stars := strings.Split(host, "."), strings.Split(name, ".")
	return len(labels) == len(stars) && !slices.ContainsFunc(stars, func(star string) bool {
		label := labels[0]
		labels = labels[1:]
		return star != "*" && star != label
	})
}
