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
					", and this one to "+g.signIn.client+": the cookie is the host's, so each takes the other's away"+before.mixUp(g.signIn)+"; use one client for both, or a host for each", zapAt(g.Login.line("client_id", "")))
				break
			}
		}
	}
}

// mixUp says what else is wrong with another sign-in on the same host.
func (s signIn) mixUp(other signIn) string {
	if s.foreign == "" || other.foreign == "" || s.foreign == other.foreign {
		return ""
	}
	return ", and nobody gets in by an issuer that does not say whose its answers are (RFC 9207) where the other one does not either"
}

// hostLogins are the logins at issuers elsewhere, by the hosts that their gates are on.
type hostLogins struct {
	at   map[string][]hostLogin // by the name of the host
	like []hostLogin            // by a name that means several
}

type hostLogin struct {
	host   string // "" where any will do
	issuer string
	login  *login.Login
}

// introduce lets the logins at issuers elsewhere know of those that share a host with them.
func (a *App) introduce() {
	n := hostLogins{at: map[string][]hostLogin{}}
	for _, g := range a.gates {
		if g.signIn.foreign == "" {
			continue
		}
		hosts := g.spot.hosts(g)
		if len(hosts) == 0 { // in a named route, or one for errors
			hosts = []string{""}
		}
		for _, host := range hosts {
			if strings.Contains(host, "{") { // a placeholder
				host = ""
			}
			one := hostLogin{host, g.signIn.foreign, g.login}
			if host == "" || strings.Contains(host, "*") {
				n.like = append(n.like, one)
			} else {
				n.at[host] = append(n.at[host], one)
			}
		}
		g.login.Beside = func(host string) []*login.Login { return n.beside(host, g.signIn.foreign) }
	}
}

// beside are the logins of a host at other issuers than this one.
func (n *hostLogins) beside(host, issuer string) (others []*login.Login) {
	add := func(all []hostLogin) {
		for _, one := range all {
			if one.issuer != issuer && (one.host == "" || isHostOf(host, one.host)) && !slices.Contains(others, one.login) {
				others = append(others, one.login)
			}
		}
	}
	add(n.at[host])
	add(n.like)
	return others
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
