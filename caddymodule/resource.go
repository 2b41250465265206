package caddymodule

import (
	"encoding/json"
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
		g.app.resources = map[string]*resource{}
	}
	g.metadata = map[string]string{}
	var names []string
	switch {
	case g.resourceName != "":
		names = []string{g.resourceName}
	case len(g.spot.inner) <= 1:
		for _, site := range g.spot.sites(g) {
			names = append(names, site+g.folder())
		}
	}
	for _, name := range names {
		if err := g.tell(name); err != nil {
			return err
		}
	}
	return nil
}

// tell adds the gate to the resource that it guards with others.
func (g *Gate) tell(name string) error {
	u, err := url.Parse(name)
	if err != nil {
		return err
	}
	host := strings.ToLower(u.Hostname())
	key := host + u.Path
	r := g.app.resources[key]
	if r == nil {
		r = &resource{Identifier: name, Methods: []string{"header"}, path: u.Path}
		g.app.resources[key] = r
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
		g.metadata[""], g.own = challenge, r
		return nil
	}
	g.metadata[host] = challenge
	return nil
}

// pointer is the part of a challenge that leads to the metadata (RFC 9728 §5.1),
// "" where the request is for a host that the configuration does not name.
func (g *Gate) pointer(r *http.Request) string {
	if text, ok := g.metadata[""]; ok {
		return text
	}
	return g.metadata[gate.Host(r)]
}

// described answers a request for metadata, which needs no token, and reports
// whether it was one.
func (a *App) described(w http.ResponseWriter, r *http.Request, own *resource) bool {
	path, ok := strings.CutPrefix(r.URL.Path, wellKnown)
	if !ok || r.URL.RawPath != "" || !isSafe(r) && r.Method != http.MethodOptions {
		return false
	}
	found := a.resources[gate.Host(r)+path]
	if found == nil {
		if own == nil || own.path != path {
			return false
		}
		found = own
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
func (s spot) sites(g *Gate) (all []string) {
	if s.app == nil {
		return nil
	}
	var within caddyhttp.MiddlewareHandler = g
	if len(s.inner) > 0 {
		within = s.inner[0].sub
	}
	for _, server := range s.app.Servers {
		for _, route := range server.Routes {
			if slices.Contains(route.Handlers, within) {
				for _, host := range hostsOf(route) {
					all = append(all, siteAddress(server, host))
				}
			}
		}
	}
	return distinct(all)
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

// siteAddress is https, whoever ends TLS: a token is not for plain text. On the
// machine itself a server without TLS is taken as it is.
func siteAddress(server *caddyhttp.Server, host string) string {
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
			return scheme + host + ":" + strconv.Itoa(int(address.StartPort))
		}
	}
	return scheme + host
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
