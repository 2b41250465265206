package caddymodule

import (
	"context"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	maphandler "github.com/caddyserver/caddy/v2/modules/caddyhttp/map"
)

// made is all that `map` and `vars` make on a server, for every gate that reads some of it.
type made struct {
	routes []maker
	used   map[string]bool // what is read to make something else
}

// maker is a route, and what makes something in it.
type maker struct {
	sets   caddyhttp.MatcherSets
	values []value
	inner  []maker
}

// value is one that is made, by this name.
type value struct {
	name string
	of   func(*http.Request) string
}

// parted are a request, the script in its path, and the same path with a name that is no
// script's (gate.Script), ready to be parted about.
type parted struct{ of, as, unnamed *http.Request }

// countsFor reports whether the script is answered otherwise than the request, and that is
// not because of the script's own name.
func countsFor[T comparable](s parted, answer func(*http.Request) T) bool {
	as := answer(s.as)
	return as != answer(s.of) && as != answer(s.unnamed)
}

// reading is what a gate reads of what is made.
type reading struct {
	names func(name string) bool
	minds func(s parted, name, made string) bool // another value, of the script
}

// counts reports whether something that is read is made of a script otherwise than of the
// path that it is in, and the gate minds. Whether the request went by there at all, hosts say
// alone: the path may have been another one then.
func (m *made) counts(s parted, g reading) bool {
	if m == nil {
		return false
	}
	return anyCounts(m.routes, s, reading{
		names: func(name string) bool { return m.used[name] || g.names(name) },
		minds: func(s parted, name, made string) bool { return m.used[name] || g.minds(s, name, made) },
	})
}

func anyCounts(routes []maker, s parted, g reading) bool {
	return slices.ContainsFunc(routes, func(m maker) bool {
		if isOfOtherHosts(m.sets, s.of) {
			return false
		}
		return len(m.sets) > 0 && m.makes(g.names) && countsFor(s, func(r *http.Request) bool { return matchesAny(m.sets, r) }) ||
			slices.ContainsFunc(m.values, func(v value) bool {
				return g.names(v.name) && countsFor(s, v.of) && g.minds(s, v.name, v.of(s.as))
			}) ||
			anyCounts(m.inner, s, g)
	})
}

// makes reports whether something is made there that is read.
func (m *maker) makes(reads func(name string) bool) bool {
	return slices.ContainsFunc(m.values, func(v value) bool { return reads(v.name) }) ||
		slices.ContainsFunc(m.inner, func(inner maker) bool { return inner.makes(reads) })
}

// add takes what a handler makes.
func (m *maker) add(handler caddyhttp.MiddlewareHandler) {
	switch h := handler.(type) {
	case *maphandler.Handler:
		for i, name := range h.Destinations {
			m.values = append(m.values, value{name, func(r *http.Request) string { return mapped(h, i, r) }})
		}
	case *caddyhttp.VarsMiddleware:
		for name, is := range *h {
			if text, isText := is.(string); isText && hasPlaceholder(text) {
				m.values = append(m.values, value{name, func(r *http.Request) string { return replacerOf(r).ReplaceAll(text, "") }})
			} else {
				m.values = append(m.values, value{name, func(*http.Request) string { return "" }}) // the same for all
			}
		}
	}
}

// mapped is what a `map` makes of a request, whatever it has made of another one before.
func mapped(h *maphandler.Handler, i int, r *http.Request) string {
	const own = "gatehouse.made" // nobody else makes that
	alone, repl := *h, caddy.NewReplacer()
	alone.Destinations = slices.Clone(h.Destinations)
	alone.Destinations[i] = own
	repl.Map(replacerOf(r).Get)
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	if alone.ServeHTTP(nowhere{}, r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl)), next) != nil {
		return ""
	}
	return repl.ReplaceAll("{"+own+"}", "")
}

func replacerOf(r *http.Request) *caddy.Replacer {
	return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}

func matchesAny(sets caddyhttp.MatcherSets, r *http.Request) bool {
	yes, err := sets.AnyMatchWithError(r)
	return yes || err != nil
}

// isOfOtherHosts says that every set of a route has hosts, and not that of the request.
func isOfOtherHosts(sets caddyhttp.MatcherSets, r *http.Request) bool {
	return len(sets) > 0 && !slices.ContainsFunc(sets, func(set caddyhttp.MatcherSet) bool {
		return !slices.ContainsFunc(set, func(m any) bool {
			host, isHost := m.(*caddyhttp.MatchHost)
			if !isHost {
				return false
			}
			yes, err := host.MatchWithError(r)
			return !yes && err == nil
		})
	})
}
