package caddymodule

import "github.com/caddyserver/caddy/v2/modules/caddyhttp"

// along goes through routes with what is known of a request so far, and returns what is at
// their end. past is one handler; either is of a request that may have come in two ways.
func along[T any](routes caddyhttp.RouteList, known T, past func(caddyhttp.MiddlewareHandler, T) T, either func(a, b T) T) T {
	before := map[string]T{} // of several that exclude each other none is behind another
	for _, route := range routes {
		in := known
		if was, seen := before[route.Group]; seen && route.Group != "" {
			in = was
		}
		if route.Group != "" {
			before[route.Group] = in
		}
		for _, h := range route.Handlers {
			in = past(h, in)
		}
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
			aside := was
			for _, h := range route.Handlers {
				aside = past(h, aside)
			}
			if !forAll {
				aside = either(was, aside)
			}
			before[group] = aside
		}
	}
	return known
}
