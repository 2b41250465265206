package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// selects reports whether a request is to be judged.
func (g *Gate) selects(r *http.Request) (bool, error) {
	matched, anyway, err := g.matches(r)
	return matched || anyway, err
}

// matches asks the gate's matchers; where they say no, anyway is whether that counts
// for nothing.
func (g *Gate) matches(r *http.Request) (matched, anyway bool, err error) {
	if len(g.matchers) == 0 {
		return true, false, nil
	}
	matched, err = g.matchers.AnyMatchWithError(r)
	if u := gate.Upgraded(r); u != nil && !matched && err == nil {
		matched, err = g.matchesAs(u, r)
	}
	return matched, !matched && err == nil && gate.Unclear(r), err
}

// matchesAs asks about another reading of a request, in its place for so long: matchers
// read placeholders too, which know the request by its address. Where they know it by
// another one, nobody can say no.
func (g *Gate) matchesAs(u, r *http.Request) (bool, error) {
	was := *r
	*r = *u
	defer func() { *r = was }()
	repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if method, _ := repl.GetString("http.request.method"); method != u.Method {
		return true, nil
	}
	return g.matchers.AnyMatchWithError(r)
}
