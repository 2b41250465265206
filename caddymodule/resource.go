package caddymodule

import (
	"encoding/json"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// wellKnown begins the address of a resource's metadata; the resource's path
// follows (RFC 9728 §3.1).
const wellKnown = "/.well-known/oauth-protected-resource"

// resource is what gates guard, and what it tells of itself (RFC 9728 §2).
type resource struct {
	Identifier string   `json:"resource"`
	Name       string   `json:"resource_name,omitempty"`
	Servers    []string `json:"authorization_servers"`
	Scopes     []string `json:"scopes_supported,omitempty"`
	Methods    []string `json:"bearer_methods_supported"`

	path     string
	document []byte
}

// publish makes the gate's resources known. A resource is what the configuration
// calls it, by the word `resource` or by the site's address: a Host header names none.
func (g *Gate) publish() error {
	if g.app.resources == nil {
		g.app.resources = map[wanted]*resource{}
	}
	g.metadata = map[wanted]string{}
	for _, site := range g.addresses() {
		if err := g.tell(site.address, site.server); err != nil {
			return err
		}
	}
	return nil
}

// addresses are the identifiers of what the gate guards; none where the site has no
// name and the gate does not say one.
func (g *Gate) addresses() (all []site) {
	switch {
	case g.resourceName != "":
		return []site{{address: g.resourceName}}
	case len(g.spot.inner) <= 1:
		all = g.spot.sites(g)
		for n := range all {
			all[n].address += g.folder()
		}
	}
	return all
}

// warnOfNames tells of each `resource_name` that nobody gets to see.
func (a *App) warnOfNames() {
	first := map[string]*Gate{}
	for _, g := range a.gates {
		if g.title == "" {
			continue
		}
		at := zapAt(g.Lines.of("resource_name", "", g.At))
		addresses := g.addresses()
		if len(addresses) == 0 {
			a.logger.Warn("token_gate: resource_name: without effect: the site has no address for its metadata; name what the gate guards, as in `resource https://api.example.com`", at)
		}
		for _, site := range addresses {
			switch before := first[site.address]; {
			case before == nil:
				first[site.address] = g
			case before.title != g.title:
				a.logger.Warn("token_gate: resource_name: without effect: the gate at "+before.At+" guards "+site.address+", too, and calls it "+before.title+"; keep one of both", at)
			}
		}
	}
}

// wanted is what a request asks for: another port is another resource (RFC 9728
// §3.3). With a server it is any port of that one, as it is called from outside.
type wanted struct {
	server           *caddyhttp.Server
	host, port, path string
}

// wantedOf is the address that a request names, with a path.
func wantedOf(r *http.Request, path string) (exact, loose wanted) {
	host, port := strings.Trim(gate.Host(r), "[]"), ""
	if colon := strings.LastIndexByte(r.Host, ':'); colon > strings.LastIndexByte(r.Host, ']') {
		port = r.Host[colon+1:]
	}
	if port == "80" || port == "443" {
		port = ""
	}
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return wanted{nil, host, port, path}, wanted{server, host, "", path}
}

// tell adds the gate to the resource that it guards with others. server is the one
// whose site has that address; nil where the word `resource` names it.
func (g *Gate) tell(name string, server *caddyhttp.Server) error {
	u, err := url.Parse(name)
	if err != nil {
		return err
	}
	host := strings.ToLower(u.Hostname())
	exact, loose := wanted{nil, host, u.Port(), u.Path}, wanted{server, host, "", u.Path}
	r := g.app.resources[exact]
	if r == nil {
		r = &resource{Identifier: name, Methods: []string{"header"}, path: u.Path}
		g.app.resources[exact] = r
	}
	if server != nil && g.app.resources[loose] == nil {
		g.app.resources[loose] = r
	}
	if r.Name == "" {
		r.Name = g.title
	}
	if g.embedded {
		r.Servers = append(r.Servers, g.app.resolved.Issuer)
	}
	for _, i := range g.compiled.Issuers {
		r.Servers = append(r.Servers, i.Identifier)
	}
	r.Servers = distinct(r.Servers)
	r.Scopes = distinct(append(r.Scopes, g.compiled.Scopes...))
	if r.document, err = json.Marshal(r); err != nil {
		return err
	}
	// A host has neither " nor \ in it, and neither has what url.URL prints.
	where := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: wellKnown + u.Path}
	challenge := `, resource_metadata="` + where.String() + `"`
	if g.resourceName != "" {
		g.metadata[wanted{}], g.own = challenge, r
		return nil
	}
	exact.path, loose.path = "", ""
	g.metadata[exact] = challenge
	if g.metadata[loose] == "" {
		g.metadata[loose] = challenge
	}
	return nil
}

// pointer is the part of a challenge that leads to the metadata (RFC 9728 §5.1),
// "" where the request is for a host that the configuration does not name.
func (g *Gate) pointer(r *http.Request) string {
	if text, ok := g.metadata[wanted{}]; ok {
		return text
	}
	exact, loose := wantedOf(r, "")
	if text, ok := g.metadata[exact]; ok {
		return text
	}
	return g.metadata[loose]
}

// describes is the resource whose metadata a request asks for; nil: none. own is
// the one that the gate names by itself.
func (a *App) describes(r *http.Request, own *resource) *resource {
	path, ok := strings.CutPrefix(r.URL.Path, wellKnown)
	if !ok || r.URL.RawPath != "" || !isSafe(r) && r.Method != http.MethodOptions {
		return nil
	}
	exact, loose := wantedOf(r, path)
	if found := a.resources[exact]; found != nil {
		return found
	}
	if found := a.resources[loose]; found != nil {
		return found
	}
	if own != nil && own.path == path {
		return own
	}
	return nil
}

// described answers a request for metadata, which needs no token, and reports
// whether it was one.
func (a *App) described(w http.ResponseWriter, r *http.Request, own *resource) bool {
	found := a.describes(r, own)
	if found == nil {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*") // it is for everybody's eyes, those of pages too
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "*")
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Content-Length", strconv.Itoa(len(found.document)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(found.document)
	}
	return true
}

// folder is the path of the resource that a gate guards: that of its matcher,
// where this is one folder and nothing else.
func (g *Gate) folder() string {
	if len(g.MatcherSetsRaw) != 1 || len(g.MatcherSetsRaw[0]) != 1 {
		return ""
	}
	var paths []string
	if json.Unmarshal(g.MatcherSetsRaw[0]["path"], &paths) != nil {
		return ""
	}
	folder := ""
	for _, path := range paths {
		below := strings.TrimSuffix(path, "/*")
		if !isPlain(below) || below == "/" || folder != "" && below != folder {
			return ""
		}
		folder = below
	}
	return folder
}

// sites are the addresses under which a gate can be reached, by the host matcher
// of its site. One without a host, or with a wildcard, has none.
func (s spot) sites(g *Gate) (all []site) {
	for route, server := range s.routes(g) {
		for _, host := range hostsOf(route) {
			for _, address := range siteAddresses(server, host) {
				all = append(all, site{address, server})
			}
		}
	}
	return all
}

// serving are the servers in which a gate stands.
func (s spot) serving(g *Gate) (all []*caddyhttp.Server) {
	for _, server := range s.routes(g) {
		all = append(all, server)
	}
	return all
}

// routes are those of servers that lead to a handler which stands here.
func (s spot) routes(within caddyhttp.MiddlewareHandler) iter.Seq2[caddyhttp.Route, *caddyhttp.Server] {
	if len(s.inner) > 0 {
		within = s.inner[0].sub
	}
	return func(yield func(caddyhttp.Route, *caddyhttp.Server) bool) {
		if s.app == nil {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(s.app.Servers)) {
			server := s.app.Servers[name]
			for n := range server.Routes { // a route is large, and of thousands one is wanted
				if slices.Contains(server.Routes[n].Handlers, within) && !yield(server.Routes[n], server) {
					return
				}
			}
		}
	}
}

// site is an address of a gate, at the server that listens there; nil where the
// configuration says the address.
type site struct {
	address string
	server  *caddyhttp.Server
}

func hostsOf(route caddyhttp.Route) (hosts []string) {
	for _, set := range route.MatcherSets {
		for _, matcher := range set {
			if m, ok := matcher.(*caddyhttp.MatchHost); ok {
				hosts = append(hosts, *m...)
			}
		}
	}
	return slices.DeleteFunc(hosts, func(host string) bool { return strings.ContainsAny(host, "*{}\"\\") })
}

// siteAddresses are https, whoever ends TLS: a token is not for plain text. On the
// machine itself a server without TLS is taken as it is. There is one for each port.
func siteAddresses(server *caddyhttp.Server, host string) (all []string) {
	host = strings.ToLower(host)
	scheme := "https://"
	if isLoopback(host) && len(server.TLSConnPolicies) == 0 {
		scheme = "http://"
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	for _, listen := range server.Listen {
		address, err := caddy.ParseNetworkAddress(listen)
		if err == nil && !address.IsUnixNetwork() && address.StartPort != 80 && address.StartPort != 443 {
			all = append(all, scheme+host+":"+strconv.Itoa(int(address.StartPort)))
		} else {
			all = append(all, scheme+host)
		}
	}
	return distinct(all)
}

// resourceMend says what is wrong with an identifier, or "" (RFC 9728 §1.2).
func resourceMend(name string) string {
	if name == "" || hasPlaceholder(name) {
		return ""
	}
	u, err := url.Parse(name)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil || strings.ContainsAny(name, "\"\\#"):
		return "not a resource such as https://api.example.com or https://example.com/api"
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return "must be https (http only on a loopback host)"
	case u.Path != "" && !isPlain(u.Path) || strings.HasSuffix(u.Path, "/"):
		return "a plain path without / at the end"
	}
	return ""
}
