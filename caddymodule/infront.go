package caddymodule

import "github.com/caddyserver/caddy/v2/modules/caddyhttp"

// inFront tells of the gates of a server that something stands in front of, or may.
type inFront struct {
	server *caddyhttp.Server
	surely bool                                     // whatever matchers say
	of     func(caddyhttp.MiddlewareHandler) string // names what it is; "" for anything else
	meets  func(g *Gate, by string)
}

func (f *inFront) walk() {
	f.past(f.server.Routes, "", 0)
	if f.server.Errors != nil {
		f.past(f.server.Errors.Routes, "", 0)
	}
}

// past goes through routes with what stands there so far, "" for nothing, and returns what
// does at their end.
func (f *inFront) past(routes caddyhttp.RouteList, by string, depth int) string {
	return along(routes, by, func(handler caddyhttp.MiddlewareHandler, by string) string {
		switch h := handler.(type) {
		case *Gate:
			if by != "" {
				f.meets(h, by)
			}
		case *caddyhttp.Subroute:
			past := f.past(h.Routes, by, depth)
			if h.Errors != nil {
				past = f.either(past, f.past(h.Errors.Routes, past, depth))
			}
			return past
		case *caddyhttp.Invoke:
			if named := f.server.NamedRoutes[h.Name]; named != nil && depth < mostInvoked {
				return f.past(caddyhttp.RouteList{*named}, by, depth+1)
			}
		default:
			return orElse(f.of(h), by)
		}
		return by
	}, f.either, func(a, b string) bool { return a == b })
}

func (f *inFront) either(a, b string) string {
	if f.surely && (a == "" || b == "") {
		return ""
	}
	return orElse(a, b)
}
