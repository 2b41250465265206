package caddymodule

import (
	"maps"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// selects reports whether a request is to be judged.
func (g *Gate) selects(r *http.Request) (bool, error) {
	matched, anyway, err := g.matches(r)
	if g.asBody {
		keepBody(r)
	}
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
	if g.asBefore && (!complete || g.wasTwofold(r)) {
		return false, true, nil
	}
	others = gate.WithMediaType(r, others)
	vague := g.isVague(r, others)
	if known := len(others); complete {
		others, complete = gate.WithScripts(r, others, g.texts)
		vague = vague || g.asScript && len(others) != known
	}
	if g.asHost {
		others = gate.WithHost(r, others)
	}
	if !vague {
		if matched, err = matchesOne(g.matchers, others, r); matched {
			return true, false, nil
		}
		vague = err != nil // a matcher that cannot say it of a reading does not say no
	}
	if !complete {
		return false, true, nil
	}
	if !vague && (g.names == nil || !g.names.Unclear(r, others) && !(g.asBefore && wasUnclear(r, g.names))) {
		return false, false, nil
	}
	if anyway, err = g.sure.AnyMatchWithError(r); anyway || err != nil {
		return false, anyway, err
	}
	anyway, err = matchesOne(g.sure, others, r)
	return false, anyway || err != nil, nil
}

// isVague reports whether matchers read what is known of the request itself alone, and
// there is another reading of it.
func (g *Gate) isVague(r *http.Request, others []*http.Request) bool {
	return g.asBefore && (len(others) > 0 || gate.HasOddHost(r))
}

// matchesOne asks about other readings of a request. Matchers read placeholders, too,
// which are of the request that they were made for: so each has its own.
func matchesOne(matchers caddyhttp.MatcherSets, others []*http.Request, r *http.Request) (bool, error) {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	for _, u := range others {
		as, repl := *u, caddy.NewReplacer()
		if was, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
			repl.Map(func(key string) (any, bool) { // what is of no request, or who has signed in; and the one body
				if strings.HasPrefix(key, "http.request.") && !strings.HasPrefix(key, "http.request.body") {
					return nil, false
				}
				return was.Get(key)
			})
		}
		one := caddyhttp.PrepareRequest(&as, repl, nowhere{}, server)
		if vars, ok := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any); ok {
			maps.Copy(one.Context().Value(caddyhttp.VarsCtxKey).(map[string]any), vars)
		}
		if matched, err := matchers.AnyMatchWithError(one); matched || err != nil {
			return matched, err
		}
	}
	return false, nil
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

// wasTwofold reports whether what a rewrite has taken off a path had another reading, or
// all of the path where it has made another one. The rest, the method and the host are
// there still, and have those that they had.
func (g *Gate) wasTwofold(r *http.Request) bool {
	original := asItCame(r)
	if original == nil {
		return false
	}
	path := *original.URL
	path.RawQuery = ""
	if front, isRest := strings.CutSuffix(path.Path, r.URL.Path); isRest {
		path.Path, path.RawPath = front+"/", strings.TrimSuffix(path.EscapedPath(), r.URL.EscapedPath())
	}
	was := &http.Request{Method: http.MethodGet, URL: &path}
	others, complete := gate.Readings(was)
	if complete && g.asScript {
		others, complete = gate.WithScripts(was, others, g.texts)
	}
	return len(others) > 0 || !complete
}

// wasUnclear is the same of names.
func wasUnclear(r *http.Request, names *gate.Names) bool {
	original := asItCame(r)
	return original != nil && names.Unclear(original, nil)
}

// asItCame is a request before it was rewritten, nil where it was not, or nobody knows.
func asItCame(r *http.Request) *http.Request {
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || original.URL == nil || original.Method == r.Method && *original.URL == *r.URL {
		return nil
	}
	return &original
}
