package caddymodule

import (
	"encoding/json"
	"slices"
	"strings"

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
			g.asScript = g.asBefore && gate.HasScript(g.texts)
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
		g.texts = strings.Join(append(n.makers, g.texts), "\n")
		g.asScript = n.Query.All && n.Fields.All && n.Cookies.All || gate.HasScript(g.texts)
	}
}

// makersOf are the names of all that makes something, and those that gates read.
func makersOf(site *caddyhttp.App) (n, ofGates *namesRead) {
	n, ofGates = &namesRead{Names: new(gate.Names)}, &namesRead{Names: new(gate.Names)}
	for _, server := range site.Servers {
		n.walk(server.Routes, nil)
		for _, named := range server.NamedRoutes {
			n.walk(caddyhttp.RouteList{*named}, nil)
		}
		if server.Errors != nil {
			n.walk(server.Errors.Routes, nil)
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
	n.makers = append(n.makers, other.makers...)
}

// walk goes through routes, within matchers that say this.
func (n *namesRead) walk(routes caddyhttp.RouteList, around []string) {
	for _, route := range routes {
		around := slices.Clip(around)
		for _, set := range route.MatcherSets {
			around = append(around, n.addMatchers(set)...) // `vars` counts where they match
		}
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *Gate:
				n.gates = append(n.gates, h)
			case *caddyhttp.Subroute:
				n.walk(h.Routes, around)
				if h.Errors != nil {
					n.walk(h.Errors.Routes, around)
				}
			case caddy.Module:
				n.addMaker(h, around)
			default:
				n.addAll()
			}
		}
	}
}

// addMaker looks into a handler. What a plug-in makes may be of anything.
func (n *namesRead) addMaker(h caddy.Module, around []string) {
	switch name := h.CaddyModule().ID.Name(); {
	case name == "map" || name == "vars":
		n.makers = append(n.makers, around...)
		value := n.member(h)
		n.addCompared(name, value)
		n.addFields(name, value, false)
		for text := range texts(value) {
			n.addText(text)
			n.makers = append(n.makers, text)
		}
	case name != "invoke" && name != "file_server" && name != "reverse_proxy" && name != "intercept" && !leavesBe(h) && !answers(h):
		n.addAll()
	}
}

// addMatchers looks into matchers, and returns what they say.
func (n *namesRead) addMatchers(set caddyhttp.MatcherSet) (say []string) {
	for _, matcher := range set {
		switch m := matcher.(type) {
		case *caddyhttp.MatchNot:
			for _, inner := range m.MatcherSets {
				say = append(say, n.addMatchers(inner)...)
			}
		case caddy.Module:
			value := n.member(m)
			n.add(m.CaddyModule().ID.Name(), value, true)
			say = slices.AppendSeq(say, texts(value))
		default:
			n.addAll()
		}
	}
	return say
}

// member is a module as JSON has it.
func (n *namesRead) member(m caddy.Module) (value any) {
	text, err := json.Marshal(m)
	if err != nil || json.Unmarshal(text, &value) != nil {
		n.addAll()
	}
	return value
}
