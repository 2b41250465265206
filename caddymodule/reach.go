package caddymodule

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// beside returns the paths that a gate with this matcher judges when an
// exception can never match any of them, else nil: then the exception is one for
// another gate. What cannot be told for sure counts as reachable.
func (g *Gate) beside(exception string) []string {
	if len(g.MatcherSetsRaw) != 1 || len(g.MatcherSetsRaw[0]) != 1 || !isPlain(strings.TrimSuffix(exception, "*")) {
		return nil
	}
	var paths []string
	if json.Unmarshal(g.MatcherSetsRaw[0]["path"], &paths) != nil {
		return nil
	}
	for _, path := range paths {
		if !isPlain(strings.TrimSuffix(path, "*")) || meet(strings.ToLower(path), strings.ToLower(exception)) {
			return nil
		}
	}
	return paths
}

// folders are the folders under which this gate judges everything while it does
// not judge their own address: Caddy's /orders/* does not match /orders.
func (g *Gate) folders() (open []string) {
	for _, set := range g.MatcherSetsRaw {
		var paths []string
		if json.Unmarshal(set["path"], &paths) != nil {
			continue
		}
		for _, path := range paths {
			folder, below := strings.CutSuffix(path, "/*")
			covers := func(p string) bool { return meet(strings.ToLower(p), strings.ToLower(folder)) }
			if below && folder != "" && isPlain(folder) && !slices.ContainsFunc(paths, covers) {
				open = append(open, folder)
			}
		}
	}
	return open
}

// pages are what this gate judges while it does not judge the same with a slash at the
// end. A name with a dot in it is a file's, which has none, or a script's, whose rest of a
// path is a reading of its own.
func (g *Gate) pages() (open []string) {
	for _, set := range g.MatcherSetsRaw {
		var paths []string
		if json.Unmarshal(set["path"], &paths) != nil {
			continue
		}
		for _, path := range paths {
			covers := func(p string) bool { return meet(strings.ToLower(p), strings.ToLower(path)+"/") }
			if isPlain(path) && !strings.HasSuffix(path, "/") && !slices.ContainsFunc(paths, covers) {
				open = append(open, path)
			}
		}
	}
	return open
}

// escapes are the paths of this gate with an escape of what others send as it is: Caddy
// compares it as it is written there.
func (g *Gate) escapes() (open []string) {
	for _, set := range g.MatcherSetsRaw {
		var paths []string
		if json.Unmarshal(set["path"], &paths) != nil {
			continue
		}
		for _, path := range paths {
			if plainEscape.MatchString(path) {
				open = append(open, path)
			}
		}
	}
	return open
}

// plainEscape is one of what may stand in a path as it is (RFC 3986 §3.3).
var plainEscape = regexp.MustCompile(`(?i)%(2[146-9A-E]|3[0-9ABD]|4[0-9A-F]|5[0-9ABDF]|6[1-9A-F]|7[0-9AE])`)

// isWithoutHead reports whether this gate judges GET and lets HEAD by, which backends
// answer as GET, all but the body.
func (g *Gate) isWithoutHead() bool {
	return slices.ContainsFunc(g.MatcherSetsRaw, func(set caddy.ModuleMap) bool {
		var methods []string
		return json.Unmarshal(set["method"], &methods) == nil && hasMethod(methods, "GET") && !hasMethod(methods, "HEAD")
	})
}

// hasMethod is of methods as they are written: Caddy takes them in any letters.
func hasMethod(methods []string, method string) bool {
	return slices.ContainsFunc(methods, func(m string) bool { return strings.EqualFold(m, method) })
}

// isPlain reports whether a path means its letters and nothing else: no
// wildcard, no placeholder, no escape, nothing that cleaning would change.
func isPlain(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.ContainsAny(path, "*?[]{}%\\.") && !strings.Contains(path, "//")
}

// meet reports whether two paths, each with or without a star at the end, have a
// path in common.
func meet(a, b string) bool {
	a, manyA := strings.CutSuffix(a, "*")
	b, manyB := strings.CutSuffix(b, "*")
	switch {
	case manyA && manyB:
		return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
	case manyA:
		return strings.HasPrefix(b, a)
	case manyB:
		return strings.HasPrefix(a, b)
	}
	return a == b
}
