package caddymodule

import "github.com/caddyserver/caddy/v2/modules/caddyhttp"

// along goes through routes with what is known of a request so far, and returns what is at
// their end. past is one handler; either is of a request that may have come in two ways. Who
// comes to a route with the same is not taken through it again: there may be routes in it.
func along[T any](routes caddyhttp.RouteList, known T, past func(caddyhttp.MiddlewareHandler, T) T, either func(a, b T) T, same func(a, b T) bool) T {
	before := map[string]T{} // of several that exclude each other none is behind another
	for _, route := range routes {
		in := known
		if was, seen := before[route.Group]; seen && route.Group != "" {
			in = was
		}
		if route.Group != "" {
			before[route.Group] = in
		}
		var walked []walk[T]
		through := func(from T) T {
			for _, w := range walked {
				if same(w.from, from) {
					return w.to
				}
			}
			to := from
			for _, h := range route.Handlers {
				to = past(h, to)
			}
			walked = append(walked, walk[T]{from, to})
			return to
		}
		in = through(in)
		forAll := len(route.MatcherSets) == 0 && route.Group == ""
		switch {
		case route.Terminal && forAll: // nobody gets to what stands behind it
			var nothing T
			return nothing
		case route.Terminal:
			continue
		case forAll: // nobody goes around it
			known = in
		default:
			known = either(known, in)
		}
		for group, was := range before {
			if group == route.Group {
				continue
			}
			aside := through(was)
			if !forAll {
				aside = either(was, aside)
			}
			before[group] = aside
		}
	}
	return known
}

// walk is what was known in front of a route, and is behind it.
type walk[T any] struct{ from, to T }
