package caddymodule

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// newTour finds the server that listens for a request. Where several could, the
// listener says which: its name, or the address that the URL has for a host.
func newTour(app *caddyhttp.App, q question, r *http.Request, now time.Time) (*tour, error) {
	port := "80"
	if r.TLS != nil {
		port = "443"
	}
	if _, p, err := net.SplitHostPort(r.Host); err == nil {
		port = p
	}
	var best []listener
	var all []string
	for _, name := range slices.Sorted(maps.Keys(app.Servers)) {
		for _, l := range listenersOf(app.Servers[name]) {
			all = append(all, l.address.String())
			if q.Listener != "" && l.address.String() != q.Listener {
				continue
			}
			if q.Listener == "" && !l.isOn(port) && !(l.address.IsUnixNetwork() && len(app.Servers) == 1) {
				continue
			}
			if l.likely = l.likelihood(r); len(best) == 0 || l.likely > best[0].likely {
				best = best[:0]
			}
			if len(best) == 0 || l.likely == best[0].likely && l.server != best[0].server {
				best = append(best, l)
			}
		}
	}
	switch {
	case len(best) == 0 && q.Listener != "":
		return nil, fmt.Errorf("listener: no server listens on %s: there are %s", q.Listener, list(distinct(all)))
	case len(best) == 0:
		return nil, fmt.Errorf("url: no server listens on port %s: there are %s", port, list(distinct(all)))
	case len(best) > 1:
		var several []string
		for _, l := range best {
			several = append(several, l.address.String())
		}
		return nil, fmt.Errorf("listener: several servers listen on port %s; name the one that the request comes to: expected %s", port, list(several))
	}
	t := &tour{question: q, repl: caddy.NewReplacer(), server: best[0].server, now: now, groups: map[string]bool{}, end: "nothing"}
	t.r = caddyhttp.PrepareRequest(r, t.repl, nowhere{}, t.server)
	return t, nil
}

// listener is one address that a server listens on.
type listener struct {
	server  *caddyhttp.Server
	address caddy.NetworkAddress
	likely  int
}

func listenersOf(server *caddyhttp.Server) (all []listener) {
	for _, text := range server.Listen {
		if address, err := caddy.ParseNetworkAddress(text); err == nil {
			all = append(all, listener{server: server, address: address})
		}
	}
	return all
}

func (l listener) isOn(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && !l.address.IsUnixNetwork() && uint64(l.address.StartPort) <= n && n <= uint64(l.address.EndPort)
}

// likelihood is how much speaks for a listener: that its address is in the URL, that
// it has no address and so all of them, that a site of its server has the host.
func (l listener) likelihood(r *http.Request) int {
	points := 0
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	asked, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if host == "localhost" {
		asked, err = netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	if err == nil {
		at, _ := netip.ParseAddr(l.address.Host)
		switch {
		case at == asked, host == "localhost" && (l.address.Host == host || at.IsLoopback()):
			points += 4
		case l.address.Host == "", at.IsUnspecified():
			points += 2
		}
	}
	prepared := caddyhttp.PrepareRequest(r.Clone(r.Context()), caddy.NewReplacer(), nowhere{}, l.server)
	for _, route := range l.server.Routes {
		if isOfHost(route, prepared) {
			return points + 1
		}
	}
	return points
}

// isOfHost reports whether a route has a host matcher that selects a request.
func isOfHost(route caddyhttp.Route, r *http.Request) bool {
	for _, set := range route.MatcherSets {
		for _, m := range set {
			if hosts, ok := m.(*caddyhttp.MatchHost); ok {
				if matched, err := hosts.MatchWithError(r); err == nil && matched {
					return true
				}
			}
		}
	}
	return false
}
