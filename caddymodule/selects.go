package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

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
	if matched, err = g.matchers.AnyMatchWithError(r); matched || err != nil {
		return matched, false, err
	}
	others, complete := gate.Readings(r)
	others, complete = gate.WithDestination(r, sentTo, others, complete)
	if g.asBefore && (len(others) > 0 || !complete || gate.HasOddHost(r) || wasTwofold(r)) {
		return false, true, nil
	}
	others = gate.WithHost(r, others)
	for _, u := range others {
		if matched, err = matchesAs(g.matchers, u, r); matched || err != nil {
			return matched, false, err
		}
	}
	if !complete {
		return false, true, nil
	}
	if g.names == nil || !g.names.Unclear(r, others) && !(g.asBefore && wasUnclear(r, g.names)) {
		return false, false, nil
	}
	anyway, err = g.nameless.AnyMatchWithError(r)
	for _, u := range others {
		if anyway || err != nil {
			break
		}
		anyway, err = matchesAs(g.nameless, u, r)
	}
	return false, anyway, err
}

// matchesAs asks about another reading of a request, in its place for so long: matchers
// read placeholders too, which know the request by its address. Where they know it by
// another one, nobody can say no.
func matchesAs(matchers caddyhttp.MatcherSets, u, r *http.Request) (bool, error) {
	was := *r
	*r = *u
	defer func() { *r = was }()
	repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	method, _ := repl.GetString("http.request.method")
	path, _ := repl.GetString("http.request.uri.path")
	host, _ := repl.GetString("http.request.hostport")
	if method != u.Method || path != u.URL.Path || host != u.Host && gate.HasOddHost(&was) {
		return true, nil
	}
	return matchers.AnyMatchWithError(r)
}

// readsBefore reports whether matchers read what a request was before it was rewritten,
// or what handlers have made of it. Of another reading neither is known.
func readsBefore(sets caddyhttp.RawMatcherSets) bool {
	return readsQuestion(sets) != "" || inMatchers(sets, func(_ string, value any) string {
		for text := range texts(value) {
			if strings.Contains(text, "{http.request.orig_") {
				return text
			}
		}
		return ""
	}) != ""
}

// wasTwofold reports whether a request had another reading as it came.
func wasTwofold(r *http.Request) bool {
	original := asItCame(r)
	if original == nil {
		return false
	}
	others, complete := gate.Readings(original)
	return len(others) > 0 || !complete || gate.HasOddHost(original)
}

// wasUnclear is the same of names.
func wasUnclear(r *http.Request, names *gate.Names) bool {
	original := asItCame(r)
	return original != nil && names.Unclear(original, nil)
}

// asItCame is a request before it was rewritten, nil where nobody knows.
func asItCame(r *http.Request) *http.Request {
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || original.URL == nil {
		return nil
	}
	return &original
}
