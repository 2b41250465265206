package caddymodule

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// chain is the gates that answer on one route of a server, in their order.
type chain struct {
	server  *caddyhttp.Server
	gates   []*Gate
	invoked bool   // some of them by `invoke`, of which their places say nothing
	backend string // what stands there and must not get a question; "" for nothing
}

// mostInvoked is how deep routes invoke each other; Caddy has no bound.
const mostInvoked = 8

func (c *chain) walk(routes caddyhttp.RouteList, depth int) {
	for _, route := range routes {
		for _, h := range route.Handlers {
			switch h := h.(type) {
			case *Gate:
				if h.Answer != "" {
					c.gates = append(c.gates, h)
				}
			case *caddyhttp.Subroute:
				c.walk(h.Routes, depth)
				if h.Errors != nil {
					c.walk(h.Errors.Routes, depth)
					c.backend = orElse(c.backend, answersForErrors(h.Errors.Routes))
				}
			case *caddyhttp.Invoke:
				if named := c.server.NamedRoutes[h.Name]; named != nil && depth < mostInvoked {
					c.invoked = true
					c.walk(caddyhttp.RouteList{*named}, depth+1)
				}
			case *reverseproxy.Handler:
				for _, answer := range h.HandleResponse {
					c.walk(answer.Routes, depth)
				}
				c.meets(h)
			case caddy.Module:
				c.meets(h)
			}
		}
	}
}

// meets notes what must not get a question.
func (c *chain) meets(h caddy.Module) {
	if c.backend == "" && !leavesBe(h) {
		c.backend = h.CaddyModule().ID.Name()
	}
}

// leavesBe reports whether a handler hands a question on, or does nothing with it but
// answer: whoever else gets one takes it for a request of the caller's, and does what it
// asks. Of a plug-in nobody knows.
func leavesBe(h caddy.Module) bool {
	switch h := h.(type) {
	case *reverseproxy.Handler: // what forward_auth makes asks with GET, and hands on
		return len(h.HandleResponse) > 0 && h.Rewrite != nil && h.Rewrite.Method == http.MethodGet && !answersForNo(h.HandleResponse)
	case *fileserver.FileServer:
		return h.PassThru
	case *intercept.Intercept: // it answers for who has said no behind it
		return len(h.HandleResponse) == 0
	}
	return slices.Contains(bystanders, h.CaddyModule().ID.Name())
}

var bystanders = []string{
	"authentication", "copy_response", "copy_response_headers", "encode", "error", "headers", "log_append", "map", "metrics",
	"push", "request_body", "rewrite", "static_response", "templates", "timeouts", "token_issuer", "tracing", "vars",
}

// joinAnswers has each gate that answers hand on where another one may stand behind it,
// as far as nothing else gets the question then, and tells of the others. Every handler is
// provisioned.
func (a *App) joinAnswers() error {
	if len(a.gates) == 0 || a.gates[0].spot.app == nil {
		return nil
	}
	for _, server := range a.gates[0].spot.app.Servers {
		if err := answeredFor(server); err != nil {
			return err
		}
		e := exposure{server: server, behind: map[*Gate]string{}}
		e.past(server.Routes, nil, 0)
		for _, g := range a.gates {
			if name := e.behind[g]; name != "" {
				return placed("token_gate: answer: this gate hands a question on to the next one, and "+name+
					", which stands behind it, too, would get it and do what it asks, or answer for who says no; give the gates a site of their own, or put what checks requests before the first of them", g.At)
			}
		}
	}
	chains := a.chains()
	backends := map[*Gate]string{} // a gate in a named route stands in several chains
	for _, c := range chains {
		for _, g := range c.gates {
			backends[g] = orElse(backends[g], c.backend)
		}
	}
	for _, c := range chains {
		for i, g := range c.gates {
			c.join(g, c.gates[i+1:], backends[g])
		}
	}
	return nil
}

// chains are those of every site.
func (a *App) chains() (all []chain) {
	for _, server := range a.gates[0].spot.app.Servers {
		for from := 0; from < len(server.Routes); {
			to := from + 1 // a site that is alone, without a host, is not wrapped: its routes are the server's
			for to < len(server.Routes) && !server.Routes[to-1].Terminal {
				to++
			}
			c := chain{server: server}
			c.walk(server.Routes[from:to], 0)
			all = append(all, c)
			from = to
		}
	}
	return all
}

func (c *chain) join(g *Gate, behind []*Gate, backend string) {
	for _, later := range behind {
		switch {
		case later == g || g.more || !c.invoked && !g.spot.leadsTo(later.spot):
		case backend != "":
			g.logger.Warn("token_gate: answer: where a question gets to this gate and to the one at "+orElse(later.At, "its line")+
				", this one answers it alone, for "+backend+" on the same site must not get it; put each into a `handle` of its own, or both beside each other", zapAt(g.At))
			return
		default:
			g.more = true
		}
	}
}
