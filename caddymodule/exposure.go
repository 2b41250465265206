package caddymodule

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
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
		if !route.Terminal {
			by = union(by, in)
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
		return e.past(h.Routes, by, depth)
	case *caddyhttp.Invoke:
		if named := e.server.NamedRoutes[h.Name]; named != nil && depth < mostInvoked {
			return e.past(caddyhttp.RouteList{*named}, by, depth+1)
		}
	case caddy.Module:
		if !leavesBe(h) {
			for _, g := range by {
				e.behind[g] = h.CaddyModule().ID.Name()
			}
		}
	}
	return by
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
