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
		w := rewritten{server: server, meets: func(g *Gate, by string) {
			if !told[g] && g.readsPath() {
				told[g] = true
				g.logger.Warn("token_gate: this gate looks at the path as "+by+" before it has made it, and not as the caller sent it; "+
					"where that one is meant, put both into a `route`, the gate first", zapAt(g.At))
			}
		}}
		w.past(server.Routes, "", 0)
		if server.Errors != nil {
			w.past(server.Errors.Routes, "", 0)
		}
	}
}

// rewritten is what has changed the path that a gate sees.
type rewritten struct {
	server *caddyhttp.Server
	meets  func(g *Gate, by string)
}

// past goes through routes with what has changed the path so far, "" for nothing, tells of
// the gates behind it, and returns what has at their end.
func (w *rewritten) past(routes caddyhttp.RouteList, by string, depth int) string {
	return along(routes, by, func(handler caddyhttp.MiddlewareHandler, by string) string {
		switch h := handler.(type) {
		case *Gate:
			if by != "" {
				w.meets(h, by)
			}
		case *caddyhttp.Subroute:
			past := w.past(h.Routes, by, depth)
			if h.Errors != nil {
				past = orElse(past, w.past(h.Errors.Routes, past, depth))
			}
			return past
		case *caddyhttp.Invoke:
			if named := w.server.NamedRoutes[h.Name]; named != nil && depth < mostInvoked {
				return w.past(caddyhttp.RouteList{*named}, by, depth+1)
			}
		case *rewrite.Rewrite:
			return orElse(rewriting(h), by)
		}
		return by
	}, orElse)
}

// rewriting names what makes another path of a request's. A prefix that is taken off is
// none: who writes `handle_path` has it in mind.
func rewriting(h *rewrite.Rewrite) string {
	switch {
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
