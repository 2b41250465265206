package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// chain is the gates that answer on one route of a server, in their order.
type chain struct {
	server  *caddyhttp.Server
	gates   []*Gate
	invoked bool // some of them by `invoke`, of which their places say nothing
	backend bool // something stands there that must not get a question
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
			case *caddyhttp.Invoke:
				if named := c.server.NamedRoutes[h.Name]; named != nil && depth < mostInvoked {
					c.invoked = true
					c.walk(caddyhttp.RouteList{*named}, depth+1)
				}
			case caddy.Module:
				name := h.CaddyModule().ID.Name()
				c.backend = c.backend || answers(h) && name != "static_response" && name != "error"
			}
		}
	}
}

// joinAnswers has each gate that answers hand on where another one may stand behind it,
// as far as nothing else gets the question then, and tells of the others. Every handler is
// provisioned.
func (a *App) joinAnswers() {
	if len(a.gates) == 0 || a.gates[0].spot.app == nil {
		return
	}
	for _, server := range a.gates[0].spot.app.Servers {
		for from := 0; from < len(server.Routes); {
			to := from + 1 // a site that is alone, without a host, is not wrapped: its routes are the server's
			for to < len(server.Routes) && !server.Routes[to-1].Terminal {
				to++
			}
			c := chain{server: server}
			c.walk(server.Routes[from:to], 0)
			for i, g := range c.gates {
				c.join(g, c.gates[i+1:])
			}
			from = to
		}
	}
}

func (c *chain) join(g *Gate, behind []*Gate) {
	for _, later := range behind {
		switch {
		case later == g || g.more || !c.invoked && !g.spot.leadsTo(later.spot):
		case c.backend:
			g.logger.Warn("token_gate: answer: where a question gets to this gate and to the one at "+orElse(later.At, "its line")+
				", this one answers it alone, for what stands on the same site must not get it; put each into a `handle` of its own, or both beside each other", zapAt(g.At))
			return
		default:
			g.more = true
		}
	}
}
