package caddymodule

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// exposure is what gets a question that gates hand on to each other.
type exposure struct {
	server *caddyhttp.Server
	behind map[*Gate]string // what would act upon one that a gate has handed on
}

// past goes through routes with the gates that have handed a question on so far, and
// returns those that have at their end.
func (e *exposure) past(routes caddyhttp.RouteList, by []*Gate, depth int) []*Gate {
	before := map[string][]*Gate{} // of several that exclude each other none is behind another
	for _, route := range routes {
		in := by
		if was, seen := before[route.Group]; seen && route.Group != "" {
			in = was
		}
		before[route.Group] = in
		for _, h := range route.Handlers {
			in = e.pastOne(h, in, depth)
		}
		switch forAll := len(route.MatcherSets) == 0 && route.Group == ""; {
		case route.Terminal && forAll:
			return nil
		case route.Terminal:
			continue
		case forAll: // nobody goes around it
			by = in
		default:
			by = union(by, in)
		}
		for group, was := range before {
			if group != route.Group {
				before[group] = union(was, in)
			}
		}
	}
	return by
}

func (e *exposure) pastOne(h caddyhttp.MiddlewareHandler, by []*Gate, depth int) []*Gate {
	switch h := h.(type) {
	case *Gate:
		switch {
		case h.Answer == "":
			return by
		case !h.more: // it answers
			return nil
		}
		return union(by, []*Gate{h})
	case *caddyhttp.Subroute:
		if h.Errors != nil {
			e.past(h.Errors.Routes, by, depth)
		}
		return e.past(h.Routes, by, depth)
	case *caddyhttp.Invoke:
		if named := e.server.NamedRoutes[h.Name]; named != nil && depth < mostInvoked {
			return e.past(caddyhttp.RouteList{*named}, by, depth+1)
		}
	case *reverseproxy.Handler:
		for _, answer := range h.HandleResponse {
			e.past(answer.Routes, by, depth)
		}
		e.meets(h, by)
	case caddy.Module:
		e.meets(h, by)
	}
	return by
}

// meets notes a handler that those gates hand questions on to.
func (e *exposure) meets(h caddy.Module, by []*Gate) {
	if leavesBe(h) {
		return
	}
	for _, g := range by {
		e.behind[g] = h.CaddyModule().ID.Name()
	}
}

func union(a, b []*Gate) []*Gate {
	all := slices.Clone(a)
	for _, g := range b {
		if !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	return all
}
