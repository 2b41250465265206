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
	return along(routes, by, func(h caddyhttp.MiddlewareHandler, by []*Gate) []*Gate { return e.pastOne(h, by, depth) }, union, slices.Equal[[]*Gate])
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
		past := e.past(h.Routes, by, depth)
		if h.Errors != nil {
			past = union(past, e.past(h.Errors.Routes, by, depth))
			e.notes(answersForErrors(h.Errors.Routes), by)
		}
		return past
	case *caddyhttp.Invoke:
		if named := e.server.NamedRoutes[h.Name]; named != nil && depth < mostInvoked {
			return e.past(caddyhttp.RouteList{*named}, by, depth+1)
		}
	case *reverseproxy.Handler:
		e.meets(h, by)
		past := by
		for _, answer := range h.HandleResponse {
			past = union(past, e.past(answer.Routes, by, depth))
		}
		return past
	case caddy.Module:
		e.meets(h, by)
	}
	return by
}

// meets notes a handler that those gates hand questions on to.
func (e *exposure) meets(h caddy.Module, by []*Gate) {
	if !leavesBe(h) {
		e.notes(h.CaddyModule().ID.Name(), by)
	}
}

func (e *exposure) notes(name string, by []*Gate) {
	for _, g := range by {
		e.behind[g] = orElse(name, e.behind[g])
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
