package caddymodule

import (
	"maps"
	"net/http"
	"slices"
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
	vague := g.isVague(r, others) || g.asBefore && g.wasScript(r)
	if g.asHost {
		others = gate.WithHost(r, others)
	}
	scripts, named := gate.Scripts(r, others)
	if complete = complete && named; !vague {
		if matched, err = matchesOne(g.matchers, others, r); matched || g.matchesScript(scripts, r) {
			return true, false, nil
		}
		// a matcher that cannot say it of a reading does not say no
		vague = err != nil || g.asBefore && g.isMadeOfScript(scripts, r)
	}
	for _, s := range scripts {
		others = append(others, s.As)
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
// there is another reading of it: the target may have been sent with the host in it, too.
func (g *Gate) isVague(r *http.Request, others []*http.Request) bool {
	return g.asBefore && (len(others) > 0 || gate.HasOddHost(r) || cameWithHost(r))
}

func cameWithHost(r *http.Request) bool {
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	return ok && original.RequestURI != "" && original.RequestURI[0] != '/'
}

// matchesOne asks about other readings of a request.
func matchesOne(matchers caddyhttp.MatcherSets, others []*http.Request, r *http.Request) (bool, error) {
	for _, u := range others {
		if matched, err := matchers.AnyMatchWithError(readAs(u, r)); matched || err != nil {
			return matched, err
		}
	}
	return false, nil
}

// readAs is another reading of a request for matchers. They read placeholders, too, which
// are of the request that they were made for: so each has its own.
func readAs(u, r *http.Request) *http.Request {
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
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
	return one
}

func readAsScript(s gate.Script, r *http.Request) parted {
	return parted{of: readAs(s.Of, r), as: readAs(s.As, r), unnamed: readAs(s.Unnamed, r)}
}

// matchesScript reports whether a script is chosen by a set of matchers of which none tells
// it apart from what stands behind it.
func (g *Gate) matchesScript(scripts []gate.Script, r *http.Request) bool {
	return slices.ContainsFunc(scripts, func(s gate.Script) bool {
		return isChosen(g.matchers, readAsScript(s, r))
	})
}

func isChosen(sets caddyhttp.MatcherSets, s parted) bool {
	return slices.ContainsFunc(sets, func(set caddyhttp.MatcherSet) bool {
		return matchesAny(caddyhttp.MatcherSets{set}, s.as) && !slices.ContainsFunc(set, func(matcher any) bool {
			alone := caddyhttp.MatcherSets{{matcher}}
			unnamed, err := alone.AnyMatchWithError(s.unnamed)
			return unnamed && err == nil && !matchesAny(alone, s.of)
		})
	})
}

// isMadeOfScript reports whether what was made of a request may have been of a script in its
// path, and would be something else then.
func (g *Gate) isMadeOfScript(scripts []gate.Script, r *http.Request) bool {
	return slices.ContainsFunc(scripts, func(s gate.Script) bool {
		return g.asScript || g.made.counts(readAsScript(s, r), reading{
			names: func(name string) bool { return strings.Contains(g.texts, name) },
			minds: g.minds,
		})
	})
}

// minds reports whether a matcher that says no to a script says something else where this
// was made of the script. A rule may read more that would be something else.
func (g *Gate) minds(s parted, name, made string) bool {
	var denying caddyhttp.MatcherSet
	for _, matcher := range slices.Concat(g.matchers...) {
		if !matchesAny(caddyhttp.MatcherSets{{matcher}}, s.as) {
			denying = append(denying, matcher)
		}
	}
	repl, vars := replacerOf(s.as), s.as.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	was, had := vars[name]
	repl.Set(name, made)
	vars[name] = made
	defer func() {
		repl.Delete(name)
		if delete(vars, name); had {
			vars[name] = was
		}
	}()
	return slices.ContainsFunc(denying, func(matcher any) bool {
		_, isRule := matcher.(*caddyhttp.MatchExpression)
		return isRule || matchesAny(caddyhttp.MatcherSets{{matcher}}, s.as)
	})
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
	return len(others) > 0 || !complete
}

// wasScript is the same of a script in that path, where it makes a difference.
func (g *Gate) wasScript(r *http.Request) bool {
	original := asItCame(r)
	if original == nil {
		return false
	}
	was := *r
	was.URL, was.Method, was.RequestURI = original.URL, original.Method, original.RequestURI
	scripts, complete := gate.Scripts(&was, nil)
	return !complete || g.isMadeOfScript(scripts, r) || slices.ContainsFunc(scripts, func(s gate.Script) bool {
		before := readAsScript(s, r)
		for _, one := range []*http.Request{before.of, before.as, before.unnamed} {
			one.URL = r.URL // what was before it stays
		}
		return isChosen(g.matchers, before)
	})
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
