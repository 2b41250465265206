package caddymodule

import (
	"encoding/json"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
)

// warnOfRewrites tells of gates that choose requests by a path which somebody has changed
// before: backends often look at the one that the caller sent.
func (a *App) warnOfRewrites() {
	if len(a.gates) == 0 || a.gates[0].spot.app == nil {
		return
	}
	told := map[*Gate]bool{}
	for _, server := range a.gates[0].spot.app.Servers {
		f := inFront{server: server, of: rewriting, meets: func(g *Gate, by string) {
			if !told[g] && g.readsPath() {
				told[g] = true
				g.logger.Warn("token_gate: this gate looks at the path as "+by+" before it has made it, and not as the caller sent it; "+
					"where that one is meant, put both into a `route`, the gate first", zapAt(g.At))
			}
		}}
		f.walk()
	}
}

// rewriting names what makes another path of a request's. A prefix that is taken off is
// none: who writes `handle_path` has it in mind.
func rewriting(handler caddyhttp.MiddlewareHandler) string {
	h, ok := handler.(*rewrite.Rewrite)
	switch {
	case !ok:
	case h.URI != "" && !strings.HasPrefix(h.URI, "?"):
		return "the rewrite to " + h.URI
	case len(h.URISubstring)+len(h.PathRegexp) > 0:
		return "`uri` with replacements"
	}
	return ""
}

// readsPath reports whether it depends on the path what a gate does.
func (g *Gate) readsPath() bool {
	if len(g.Except) > 0 || strings.Contains(g.Expression, "path") {
		return true
	}
	text, err := json.Marshal(g.MatcherSetsRaw)
	return err != nil || strings.Contains(strings.ReplaceAll(string(text), "orig_uri.path", ""), "path")
}
