package caddymodule

import (
	"net/url"
	"reflect"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// warnOfProxies tells of gates that need the word of a proxy and believe none. A site
// of two schemes is two servers with a gate each, of which one is enough.
func (a *App) warnOfProxies() {
	const mend = " in `trusted_proxies` of the global option `servers`"
	type complaint struct{ stand, text, at string }
	var complaints []complaint
	heard := map[string]bool{}
	for _, g := range a.gates {
		servers := g.spot.serving(g)
		if g.Answer == "" && g.from == fromHeader || len(servers) == 0 {
			continue // or it cannot be told where the gate stands
		}
		believes := func(s *caddyhttp.Server) bool { return trusts(s).any() }
		private := func(s *caddyhttp.Server) bool { return len(s.TLSConnPolicies) > 0 || trusts(s).private() }
		c := complaint{stand: g.stand()}
		switch {
		case g.Answer != "" && !slices.ContainsFunc(servers, believes):
			c.text, c.at = "answer: no proxy is believed here, so each that asks is answered 400 untrusted_proxy; name it"+mend, g.Lines.of("answer", "", g.At)
		case g.Answer == "" && !slices.ContainsFunc(servers, private):
			c.text, c.at = "token_from cookie: this site is plain HTTP, where no cookie counts", g.Lines.of("token_from", "cookie", g.At)
			if g.Login != nil {
				c.text, c.at = "login: this site is plain HTTP, where no cookie counts and nobody is sent to sign in", g.Login.At
			}
			c.text += "; give it an https address, or name the proxy in front that ends TLS" + mend
		default:
			heard[c.stand] = true
			continue
		}
		complaints = append(complaints, c)
	}
	for _, c := range complaints {
		if !heard[c.stand] {
			a.logger.Warn("token_gate: "+c.text, zapAt(c.at))
		}
		heard[c.stand] = true // once is enough
	}
}

// stand is the line of a gate with the sites that it is at.
func (g *Gate) stand() string {
	all := g.At
	for _, at := range g.spot.sites(g) {
		if u, err := url.Parse(at.address); err == nil { // a matcher may name what is no host
			all += " " + u.Hostname()
		}
	}
	return all
}

// trust is whom a server can believe about a request, by how it is reached.
type trust struct {
	sockets, network           bool // it listens there
	oneOfSockets, oneOfNetwork bool // and believes somebody who comes that way
}

// any reports whether somebody is believed.
func (t trust) any() bool { return t.sockets && t.oneOfSockets || t.network && t.oneOfNetwork }

// private reports whether a request can have come without crossing a network in plain
// text, see isOpen.
func (t trust) private() bool { return t.sockets || t.network && t.oneOfNetwork }

func trusts(s *caddyhttp.Server) trust {
	t := trust{oneOfSockets: s.TrustedProxiesUnix, oneOfNetwork: true}
	// Caddy keeps the ranges to itself. Should it call them differently one day, then
	// nobody is warned.
	if ranges := reflect.ValueOf(s).Elem().FieldByName("trustedProxies"); ranges.Kind() == reflect.Interface {
		t.oneOfNetwork = !ranges.IsNil()
	}
	for _, listen := range s.Listen {
		address, err := caddy.ParseNetworkAddress(listen)
		unix := err == nil && address.IsUnixNetwork()
		t.sockets, t.network = t.sockets || unix, t.network || !unix
	}
	return t
}
