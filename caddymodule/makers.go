package caddymodule

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// lookForMakers finds the names of which handlers make what the matchers of a gate read,
// such as a `map` of {query.kind}. Every handler is provisioned, and looked into once.
func (a *App) lookForMakers() {
	var makers, ofGates *namesRead
	for _, g := range a.gates {
		if g.spot.app == nil || readsQuestion(g.MatcherSetsRaw) == "" {
			continue
		}
		if makers == nil {
			makers, ofGates = makersOf(g.spot.app)
		}
		n := &namesRead{Names: new(gate.Names)}
		n.addSets(g.MatcherSetsRaw)
		n.join(makers)
		if n.regexp {
			n.join(ofGates)
		}
		g.names = n.done()
	}
}

// makersOf are the names of all that makes something, and those that gates read.
func makersOf(site *caddyhttp.App) (n, ofGates *namesRead) {
	n, ofGates = &namesRead{Names: new(gate.Names)}, &namesRead{Names: new(gate.Names)}
	for _, server := range site.Servers {
		n.walk(server.Routes)
		for _, named := range server.NamedRoutes {
			n.walk(caddyhttp.RouteList{*named})
		}
		if server.Errors != nil {
			n.walk(server.Errors.Routes)
		}
	}
	for _, g := range n.gates {
		ofGates.addSets(g.MatcherSetsRaw)
	}
	return n, ofGates
}

// join takes what another has gathered.
func (n *namesRead) join(other *namesRead) {
	n.AddAll(other.Names)
	n.each, n.once = append(n.each, other.each...), append(n.once, other.once...)
	n.regexp = n.regexp || other.regexp
}

func (n *namesRead) walk(routes caddyhttp.RouteList) {
	for _, route := range routes {
		for _, set := range route.MatcherSets {
			n.addMatchers(set) // `vars` counts where they match
		}
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *Gate:
				n.gates = append(n.gates, h)
			case *caddyhttp.Subroute:
				n.walk(h.Routes)
				if h.Errors != nil {
					n.walk(h.Errors.Routes)
				}
			case caddy.Module:
				n.addMaker(h)
			default:
				n.addAll()
			}
		}
	}
}

// addMaker looks into a handler. What a plug-in makes may be of anything.
func (n *namesRead) addMaker(h caddy.Module) {
	switch name := h.CaddyModule().ID.Name(); {
	case name == "map" || name == "vars":
		for text := range texts(n.member(h)) {
			n.addText(text)
		}
	case name != "invoke" && name != "file_server" && name != "reverse_proxy" && !leavesBe(h) && !answers(h):
		n.addAll()
	}
}

func (n *namesRead) addMatchers(set caddyhttp.MatcherSet) {
	for _, matcher := range set {
		switch m := matcher.(type) {
		case *caddyhttp.MatchNot:
			for _, inner := range m.MatcherSets {
				n.addMatchers(inner)
			}
		case caddy.Module:
			n.add(m.CaddyModule().ID.Name(), n.member(m), true)
		default:
			n.addAll()
		}
	}
}

// member is a module as JSON has it.
func (n *namesRead) member(m caddy.Module) (value any) {
	text, err := json.Marshal(m)
	if err != nil || json.Unmarshal(text, &value) != nil {
		n.addAll()
	}
	return value
}
