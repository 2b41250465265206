package caddymodule

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
)

// warnOfSharedCookies tells of logins to two clients on one host: a browser keeps one
// cookie for the host, whatever its ports, so who signs in by the one is signed out of
// the other. Of issuers elsewhere, wherever introduce lets them know of each other.
func (a *App) warnOfSharedCookies() {
	n := a.hostLogins()
	first := map[string]*Gate{}
	for order, g := range n.gates {
		where, before := n.another(g, order)
		for _, host := range n.hosts[g] {
			if !n.leads(n.of(g), wider(host)) {
				continue
			}
			known := first[host]
			if known == nil {
				first[host] = g
			} else if before == nil && (known.signIn.client != g.signIn.client || known.signIn.foreign != g.signIn.foreign) {
				where, before = " of "+orElse(host, "every host"), known
			}
		}
		if before != nil {
			a.logger.Warn("token_gate: login: another gate"+where+" signs people in to client "+before.signIn.client+
				", and this one to "+g.signIn.client+": the cookie is the host's, so each takes the other's away"+before.signIn.mixUp(g.signIn)+"; use one client for both, or a host for each", zapAt(g.Login.line("client_id", "")))
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
	*reach
	gates []*Gate
	hosts map[*Gate][]string // as they are written
	names map[*Gate][]string // of those at issuers elsewhere
	all   []*hostLogin
	named map[string][]*hostLogin // by the name of the host, "" where any will do
	like  []*hostLogin            // by a name that means several
	odd   []*hostLogin            // those of like that wider does not find
}

// hostLogin are the gates of one issuer that are on hosts of one name, in one list and
// group of routes. If a request gets to one of them, then to the first.
type hostLogin struct {
	host  string
	route listedRoute
	first int // the order of the first
	gates []*Gate
}

// hostLogins are those of the configuration, once all routes are there.
func (a *App) hostLogins() *hostLogins {
	if a.onHosts == nil {
		a.onHosts = newHostLogins(slices.DeleteFunc(slices.Clone(a.gates), func(g *Gate) bool { return g.signIn.client == "" }))
	}
	return a.onHosts
}

func newHostLogins(gates []*Gate) *hostLogins {
	n := &hostLogins{gates: gates, hosts: map[*Gate][]string{}, names: map[*Gate][]string{}, named: map[string][]*hostLogin{}}
	if len(gates) > 0 {
		n.reach = newReach(gates[0].spot.app)
	}
	type key struct {
		host, issuer string
		route        listedRoute
	}
	known := map[key]*hostLogin{}
	for order, g := range gates {
		n.hosts[g] = g.spot.hosts(g)
		if g.signIn.foreign == "" {
			continue
		}
		n.names[g] = siteNames(n.hosts[g])
		at := n.of(g)
		for _, host := range n.names[g] {
			where := key{host, g.signIn.foreign, listedRoute{list: at.list, group: at.group}}
			one := known[where]
			if one == nil {
				one = &hostLogin{host: host, route: at, first: order}
				known[where] = one
				n.add(one)
			}
			one.gates = append(one.gates, g)
		}
	}
	return n
}

func (n *hostLogins) add(one *hostLogin) {
	n.all = append(n.all, one)
	n.named[one.host] = append(n.named[one.host], one)
	if one.host == "" || strings.Contains(one.host, "*") {
		n.like = append(n.like, one)
	}
	if isOdd(one.host) {
		n.odd = append(n.odd, one)
	}
}

// siteNames are the names of hosts in order, each once, "" where any will do.
func siteNames(hosts []string) []string {
	var names []string
	for _, host := range hosts {
		if hasPlaceholder(host) {
			host = ""
		}
		names = append(names, host)
	}
	if len(names) == 0 { // in a named route, or one for errors
		return []string{""}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// introduce lets the logins at issuers elsewhere know of those that share a host with them.
func (a *App) introduce() {
	n := a.hostLogins()
	for _, g := range n.gates {
		if g.signIn.foreign != "" {
			g.login.Beside = func(host string) []*login.Login { return n.beside(host, g.signIn.foreign) }
		}
	}
}

// beside are the logins of a host at other issuers than this one. Matchers know an IPv6
// address without its brackets.
func (n *hostLogins) beside(host, issuer string) (others []*login.Login) {
	host = strings.Trim(host, "[]")
	names := wider(host)
	met := slices.DeleteFunc(slices.Concat(n.named[host], n.like), func(one *hostLogin) bool {
		return one.host != "" && !isHostOf(host, one.host) || !n.leads(one.route, names)
	})
	if !slices.ContainsFunc(met, func(one *hostLogin) bool { return one.issuer() == issuer }) {
		met = n.all // this one is not there either: the host was another one when the routes saw it
	}
	for _, one := range met {
		for _, g := range one.gates {
			if one.issuer() != issuer && !slices.Contains(others, g.login) {
				others = append(others, g.login)
			}
		}
	}
	return others
}

// another is a gate with a login at another issuer elsewhere that has a host in common
// with this one, and where it is; nil: there is none. Of two on hosts of one name it is
// the first, and else the one whose name means more.
func (n *hostLogins) another(g *Gate, order int) (where string, other *Gate) {
	if g.signIn.foreign == "" {
		return "", nil
	}
	for _, host := range n.names[g] {
		for one, both := range n.wide(host) {
			if one.first > order && n.isNamed(one.gates[0], host) {
				continue // it tells of this one
			}
			if n.meet(g, one, both) {
				return one.where(), one.gates[0]
			}
		}
	}
	return "", nil
}

func (n *hostLogins) isNamed(g *Gate, host string) bool {
	_, is := slices.BinarySearch(n.names[g], host)
	return is
}

// wide are the logins by a name that means a host, or hosts, of another, each with the
// name of what is common. Of narrower ones it has those that wider does not find.
func (n *hostLogins) wide(host string) iter.Seq2[*hostLogin, string] {
	return func(yield func(*hostLogin, string) bool) {
		for _, name := range wider(host) {
			for _, one := range n.named[name] {
				if !yield(one, host) {
					return
				}
			}
		}
		for _, one := range n.odd {
			if both, ok := common(host, one.host); ok && host != "" && host != one.host && !yield(one, both) {
				return
			}
		}
	}
}

// meet reports whether people may come to both on a host that is of both.
func (n *hostLogins) meet(g *Gate, one *hostLogin, host string) bool {
	if one.issuer() == g.signIn.foreign {
		return false
	}
	names := wider(host)
	return n.leads(n.of(g), names) && n.leads(one.route, names)
}

func (one *hostLogin) issuer() string { return one.gates[0].signIn.foreign }

// where says which gate one is.
func (one *hostLogin) where() string {
	if one.host == "" && one.route.list == nil {
		return ", in a named route or one for errors,"
	}
	return " of " + orElse(one.host, "every host")
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
