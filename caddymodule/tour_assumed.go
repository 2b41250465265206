package caddymodule

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// assume notes what matchers on the way read of a request that the question does not
// say: with another protocol or header the answer may be another one.
func (t *tour) assume(sets caddyhttp.MatcherSets, r *http.Request) {
	var all []string
	for _, set := range sets {
		var unsaid []string
		var rest caddyhttp.MatcherSet
		for _, m := range set {
			if found := t.unsaid(m, r); found != nil {
				unsaid = append(unsaid, found...)
			} else {
				rest = append(rest, m)
			}
		}
		// What else stands in the set decides whether it is on the way at all.
		if ok, err := rest.MatchWithError(r); !ok || err != nil {
			continue
		}
		if unsaid == nil {
			return
		}
		all = append(all, unsaid...)
	}
	for _, what := range all {
		if !slices.Contains(t.assumed, what) {
			t.assumed = append(t.assumed, what)
		}
	}
}

// unsaid is what a matcher reads that the question leaves out; nil where that is nothing.
func (t *tour) unsaid(matcher any, r *http.Request) (all []string) {
	switch m := matcher.(type) {
	case *caddyhttp.MatchHeader:
		for name := range *m {
			all = append(all, t.headerOf(name, r)...)
		}
	case *caddyhttp.MatchHeaderRE:
		for name := range *m {
			all = append(all, t.headerOf(name, r)...)
		}
	case *caddyhttp.MatchProtocol:
		if name := string(*m); t.question.Protocol == "" && strings.HasPrefix(name, "http/") {
			all = append(all, "protocol http/1.1")
		}
	case *caddyhttp.MatchRemoteIP, *caddyhttp.MatchClientIP:
		if t.question.From == "" {
			all = append(all, "from 127.0.0.1")
		}
	case *caddyhttp.MatchNot:
		for _, set := range m.MatcherSets {
			for _, inner := range set {
				all = append(all, t.unsaid(inner, r)...)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (t *tour) headerOf(name string, r *http.Request) []string {
	if name = http.CanonicalHeaderKey(name); name == "Host" || r.Header[name] != nil {
		return nil
	}
	return []string{"no header " + name}
}
