package caddymodule

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
)

// What takes the requests for a host lets the answers there go without a name (RFC 9207):
// a route that takes only some of them, or that others may stand before, must not count.
func TestRouteTakesAHostFromAGate(t *testing.T) {
	const host = "app.example.com"
	names := func(hosts ...string) caddyhttp.MatcherSet {
		m := caddyhttp.MatchHost(hosts)
		return caddyhttp.MatcherSet{&m}
	}
	path := caddyhttp.MatchPath{"/a/*"}
	onPath := caddyhttp.MatcherSet{&path}
	both := append(names(host), &path)
	route := func(group string, terminal bool, sets ...caddyhttp.MatcherSet) caddyhttp.Route {
		return caddyhttp.Route{Group: group, Terminal: terminal, MatcherSets: sets}
	}
	for name, c := range map[string]struct {
		before caddyhttp.Route
		group  string // of the gate
		taken  bool
	}{
		"the host":                                    {route("", true, names(host)), "", true},
		"the host, among others":                      {route("", true, onPath, names("wiki.example.com", host)), "", true},
		"the host, to a group":                        {route("", true, names(host)), "g", true},
		"the host as it is written":                   {route("", true, names("App.Example.COM")), "", true},
		"all hosts of a name":                         {route("", true, names("*.example.com")), "", true},
		"all hosts":                                   {route("", true), "", true},
		"another host":                                {route("", true, names("wiki.example.com")), "", false},
		"hosts of a longer name":                      {route("", true, names("*.app.example.com")), "", false},
		"a star behind another label":                 {route("", true, names("app.*.com")), "", false},
		"a placeholder":                               {route("", true, names("{env.host}")), "", false},
		"a star and a placeholder":                    {route("", true, names("*.{env.host}")), "", false},
		"requests without a host":                     {route("", true, names("")), "", false},
		"requests without a host, of a group":         {route("g", false, names("", "a.example.com")), "g", false},
		"a path of the host":                          {route("", true, both), "", false},
		"a path":                                      {route("", true, onPath), "", false},
		"a matcher of nothing":                        {route("", true, caddyhttp.MatcherSet{}), "", false},
		"the host, and it goes on":                    {route("", false, names(host)), "", false},
		"all hosts, and it goes on":                   {route("", false), "", false},
		"the host of a group":                         {route("g", false, names(host)), "g", true},
		"the host of a group, and it ends":            {route("g", true, names(host)), "g", true},
		"all hosts of a group":                        {route("g", false), "g", true},
		"the host of another group":                   {route("h", false, names(host)), "g", false},
		"the host of another group, which ends":       {route("h", true, names(host)), "g", false}, // h may be over
		"the host of a group that the gate is not of": {route("g", false, names(host)), "", false},
		"the host of a group that the gate is not of, and it ends": {route("g", true, names(host)), "", false},
		"a path of the host, of a group":                           {route("g", false, both), "g", false},
		"a placeholder, of a group":                                {route("g", false, names("{env.host}")), "g", false},
	} {
		t.Run(name, func(t *testing.T) {
			g := &Gate{}
			gates := caddyhttp.Route{Group: c.group, Handlers: []caddyhttp.MiddlewareHandler{g}}
			within := func(routes ...caddyhttp.Route) caddyhttp.Route {
				return caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{&caddyhttp.Subroute{Routes: routes}}}
			}
			around := func(r caddyhttp.Route) caddyhttp.Route {
				outer := within(within(r))
				outer.Group = r.Group
				return outer
			}
			other := caddyhttp.Route{}
			for where, s := range map[string]struct {
				routes caddyhttp.RouteList
				taken  bool
			}{
				"first":                    {caddyhttp.RouteList{c.before, other, gates}, c.taken},
				"behind":                   {caddyhttp.RouteList{gates, c.before}, false},
				"on the same":              {caddyhttp.RouteList{{Group: c.before.Group, Terminal: c.before.Terminal, MatcherSets: c.before.MatcherSets, Handlers: gates.Handlers}}, false},
				"first in a subroute":      {caddyhttp.RouteList{within(other, c.before, gates)}, c.taken},
				"behind in a subroute":     {caddyhttp.RouteList{within(gates, c.before)}, false},
				"before a subroute":        {caddyhttp.RouteList{within(c.before, around(gates))}, c.taken},
				"before its server's own":  {caddyhttp.RouteList{c.before, around(gates)}, c.taken},
				"in a subroute before":     {caddyhttp.RouteList{within(c.before), gates}, false},
				"in a subroute beside":     {caddyhttp.RouteList{within(within(c.before), within(gates))}, false},
				"in a subroute of its own": {caddyhttp.RouteList{c.before, within(gates)}, c.taken && c.before.Group == ""},
			} {
				r := newReach(&caddyhttp.App{Servers: map[string]*caddyhttp.Server{"srv0": {Routes: s.routes}, "srv1": {Routes: caddyhttp.RouteList{c.before}}}})
				if r.of(g).list == nil {
					t.Fatal(where, ": no such gate")
				}
				if r.leads(r.of(g), wider(host)) == s.taken {
					t.Errorf("%s: taken: %v", where, !s.taken)
				}
				if literal := "{env.host}"; len(c.before.MatcherSets) > 0 && !r.leads(r.of(g), []string{literal}) {
					t.Errorf("%s: %s is a name", where, literal)
				}
			}
		})
	}
}

// A gate behind a backend, or for errors, has the place of the subroute around it, and
// else none.
func TestGateThatIsNotInAListIsMetEverywhere(t *testing.T) {
	all := caddyhttp.Route{Terminal: true}
	sub, forErrors := &caddyhttp.Subroute{}, &caddyhttp.Subroute{}
	r := newReach(&caddyhttp.App{Servers: map[string]*caddyhttp.Server{"srv0": {
		Routes:      caddyhttp.RouteList{all, {Handlers: []caddyhttp.MiddlewareHandler{sub}}},
		Errors:      &caddyhttp.HTTPErrorConfig{Routes: caddyhttp.RouteList{all, {Handlers: []caddyhttp.MiddlewareHandler{forErrors}}}},
		NamedRoutes: map[string]*caddyhttp.Route{"n": {Handlers: []caddyhttp.MiddlewareHandler{&Gate{}}}},
	}}})
	for name, c := range map[string]struct {
		inner []step
		leads bool
	}{
		"in no subroute":              {nil, true},
		"in one for errors":           {[]step{{forErrors, 0}}, true},
		"in one behind a backend":     {[]step{{&caddyhttp.Subroute{}, 0}}, true},
		"around a backend":            {[]step{{sub, 0}}, false},
		"around and behind a backend": {[]step{{sub, 0}, {&caddyhttp.Subroute{}, 0}}, false},
	} {
		if leads := r.leads(r.of(&Gate{spot: spot{inner: c.inner}}), wider("app.example.com")); leads != c.leads {
			t.Errorf("%s: leads: %v", name, leads)
		}
	}
}

// Two logins on a site of many hosts: a start compares each host once.
func TestLoginsOfManyHostsAreComparedAtOnce(t *testing.T) {
	const many = 20_000
	hosts := make(caddyhttp.MatchHost, many)
	for n := range hosts {
		hosts[n] = fmt.Sprintf("h%d.example.com", n)
	}
	one, two := &Gate{signIn: signIn{foreign: "https://a.example"}}, &Gate{signIn: signIn{foreign: "https://b.example"}}
	site := caddyhttp.Route{MatcherSets: caddyhttp.MatcherSets{{&hosts}}, Handlers: []caddyhttp.MiddlewareHandler{one, two}}
	app := &caddyhttp.App{Servers: map[string]*caddyhttp.Server{"srv0": {Routes: caddyhttp.RouteList{site}}}}
	one.spot.app, two.spot.app = app, app
	n, begun := newHostLogins([]*Gate{one, two}), time.Now()
	if _, other := n.another(one, 0); other != nil {
		t.Error("the earlier one tells of the later one")
	}
	if _, other := n.another(two, 1); other != one {
		t.Error("the later one does not tell of the earlier one")
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("%d hosts took %v", many, took)
	}
}

// A host that no route has seen was rewritten on its way: who is beside a login there, its
// name does not say.
func TestLoginsOfARewrittenHostAreBesideEachOther(t *testing.T) {
	names := func(hosts ...string) caddyhttp.MatcherSets {
		m := caddyhttp.MatchHost(hosts)
		return caddyhttp.MatcherSets{{&m}}
	}
	for name, c := range map[string]struct {
		site   caddyhttp.MatcherSets
		host   string
		beside int
	}{
		"its own":                      {names("gatehouse.internal"), "gatehouse.internal", 1},
		"another one":                  {names("gatehouse.internal"), "app.example.com", 2},
		"any":                          {nil, "shop.example.com", 1},
		"of a site that stands before": {nil, "wiki.example.com", 2},
	} {
		t.Run(name, func(t *testing.T) {
			app := &caddyhttp.App{}
			var gates []*Gate
			for _, issuer := range []string{"https://a.example", "https://b.example", "https://c.example"} {
				g := &Gate{signIn: signIn{foreign: issuer}, login: new(login.Login)}
				g.spot.app = app
				gates = append(gates, g)
			}
			app.Servers = map[string]*caddyhttp.Server{"srv0": {Routes: caddyhttp.RouteList{
				{Terminal: true, MatcherSets: names("wiki.example.com"), Handlers: []caddyhttp.MiddlewareHandler{gates[2]}},
				{Terminal: true, MatcherSets: c.site, Handlers: []caddyhttp.MiddlewareHandler{gates[0], gates[1]}},
			}}}
			others := newHostLogins(gates).beside(c.host, "https://a.example")
			if len(others) != c.beside || !slices.Contains(others, gates[1].login) {
				t.Errorf("%d others", len(others))
			}
		})
	}
}
