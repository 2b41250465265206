package caddymodule

import (
	"encoding/json"
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
			g.asScript = readsQuestion(g.MatcherSetsRaw) != ""
			continue
		}
		if makers == nil {
			makers, ofGates = makersOf(g.spot.app)
		}
		n := &namesRead{Names: new(gate.Names)}
		n.addSets(g.MatcherSetsRaw)
		g.made, g.texts, g.asScript = &makers.made, textsOf(g.MatcherSetsRaw), n.regexp || makers.isAll()
		n.join(makers)
		if n.regexp {
			n.join(ofGates)
		}
		g.names = n.done()
	}
}

// makersOf are the names of all that makes something, and those that gates read.
func makersOf(site *caddyhttp.App) (n, ofGates *namesRead) {
	n, ofGates = &namesRead{Names: new(gate.Names), made: made{used: map[string]bool{}}}, &namesRead{Names: new(gate.Names)}
	for _, server := range site.Servers {
		n.made.routes = append(n.made.routes, n.walk(server.Routes)...)
		for _, named := range server.NamedRoutes {
			n.made.routes = append(n.made.routes, n.walk(caddyhttp.RouteList{*named})...)
		}
		if server.Errors != nil {
			n.made.routes = append(n.made.routes, n.walk(server.Errors.Routes)...)
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

// walk goes through routes, and returns those with makers.
func (n *namesRead) walk(routes caddyhttp.RouteList) (made []maker) {
	for _, route := range routes {
		m := maker{sets: route.MatcherSets}
		for _, set := range route.MatcherSets {
			n.addMatchers(set) // `vars` counts where they match
		}
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *Gate:
				n.gates = append(n.gates, h)
			case *caddyhttp.Subroute:
				m.inner = append(m.inner, n.walk(h.Routes)...)
				if h.Errors != nil {
					m.inner = append(m.inner, n.walk(h.Errors.Routes)...)
				}
			case caddy.Module:
				n.addMaker(h)
				m.add(handler)
			default:
				n.addAll()
			}
		}
		if len(m.values)+len(m.inner) > 0 {
			made = append(made, m)
		}
	}
	return made
}

// addMaker looks into a handler. What a plug-in makes may be of anything.
func (n *namesRead) addMaker(h caddy.Module) {
	switch name := h.CaddyModule().ID.Name(); {
	case name == "map" || name == "vars":
		value := n.member(h)
		n.addCompared(name, value)
		n.addFields(name, value, false)
		for text := range texts(value) {
			n.addText(text)
			for _, found := range placeholders.FindAllStringSubmatch(text, -1) {
				if name := strings.TrimPrefix(found[1], "http.vars."); !strings.HasPrefix(name, "http.request.") {
					n.made.used[name] = true
				}
			}
		}
	case name != "invoke" && name != "file_server" && name != "reverse_proxy" && name != "intercept" && !leavesBe(h) && !answers(h):
		n.addAll()
	}
}

// addMatchers looks into matchers.
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
