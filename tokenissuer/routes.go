package tokenissuer

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// route is one row of the issuer's HTTP surface.
type route struct {
	path    string
	name    string // in events and metrics
	methods string // as in Allow
	serve   func(*Issuer, *request) error
}

// routes is the whole surface.
var routes = []route{
	{"/oauth2/token", "token", "POST", (*Issuer).token},
	{"/oauth2/authorize", "authorize", "GET, POST", (*Issuer).authorize},
	{"/oauth2/revoke", "revoke", "POST", (*Issuer).revoke},
	{"/oauth2/introspect", "introspect", "POST", (*Issuer).introspect},
	{"/oauth2/jwks", "jwks", "GET, HEAD", (*Issuer).jwks},
	{"/otp/send", "otp_send", "POST", (*Issuer).sendOTP},
	{"/userinfo", "userinfo", "GET, HEAD, POST", (*Issuer).userinfo},
	{"/.well-known/openid-configuration", "discovery", "GET, HEAD", (*Issuer).discovery},
	{"/.well-known/oauth-authorization-server", "discovery", "GET, HEAD", (*Issuer).discovery},
	{idaasPath + "/token", "token", "POST", (*Issuer).token},
	{idaasPath + "/authorize", "authorize", "GET", (*Issuer).authorize},
	{idaasPath + "/jwks", "jwks", "GET, HEAD", (*Issuer).jwks},
	{idaasPath + "/userinfo", "userinfo", "GET, HEAD", (*Issuer).userinfo},
	{idaasPath + "/.well-known/openid-configuration", "discovery", "GET, HEAD", (*Issuer).discovery},
	{"/logout", "logout", "GET, POST", (*Issuer).logout},
	{"/api/v1/logout", "logout", "GET", (*Issuer).idaasLogout},
	{"/health", "health", "GET, HEAD", (*Issuer).health},
}

// portalPath is the root of the pages for people.
const portalPath = "/portal/"

var pages = route{portalPath, "portal", "GET, HEAD, POST", (*Issuer).pages}

// endpoint finds the route of a path; nil for none.
func (i *Issuer) endpoint(path string) *route {
	e := endpoints[path]
	switch {
	case strings.HasPrefix(path, portalPath) && i.portal != nil:
		return &pages
	case e != nil && (e.name == "authorize" || e.name == "logout") && i.portal == nil,
		e != nil && e.name == "otp_send" && len(i.codes.order) == 0:
		return nil
	}
	return e
}

// endpoints finds a route by its path.
var endpoints = func() map[string]*route {
	m := make(map[string]*route, len(routes))
	for i := range routes {
		m[routes[i].path] = &routes[i]
	}
	return m
}()

// prefixes are the paths that are the issuer's, served or not: what is not
// there is answered 404 here and never reaches a backend.
var prefixes = []string{"/oauth2/", idaasPath + "/"}

// Handles reports whether a request is for the issuer.
func (i *Issuer) Handles(r *http.Request) bool {
	if !i.speaks(familyAt(r.URL.Path)) {
		return false
	}
	if i.endpoint(r.URL.Path) != nil {
		return true
	}
	for _, p := range prefixes {
		if strings.HasPrefix(r.URL.Path, p) {
			return true
		}
	}
	return false
}

// ServeHTTP answers a request that Handles said yes to. The peer's address is
// r.RemoteAddr: whoever stands in front has already decided whom to believe.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	r := &request{Request: hr, w: w, now: time.Now(), family: familyAt(hr.URL.Path)}
	r.dialect = i.unnamed(r.family)
	r.event = Event{Endpoint: "unknown", From: peer(hr)}
	r.w = &recorder{w, r}
	if err := i.route(r); err != nil {
		r.fail(err)
	}
	// A client that proved its secret stands for many people: who guesses through
	// it is counted by name (account), and must not stop the others.
	if s := r.event.Status; !r.proven && r.Method == http.MethodPost && (s == http.StatusBadRequest || s == http.StatusUnauthorized) {
		i.limit.failed(r.event.From, r.now)
	}
	if i.config.Observe != nil {
		r.event.Took = time.Since(r.now)
		i.config.Observe(r.event)
	}
}

func (i *Issuer) route(r *request) error {
	e := i.endpoint(r.URL.Path)
	if e == nil {
		return oauth.Fail(oauth.NotFound, oauth.UnknownEndpoint)
	}
	r.event.Endpoint = e.name
	if i.cors(r, e) {
		return nil
	}
	if !allowed(e.methods, r.Method) {
		r.allow = e.methods
		return oauth.Fail(oauth.InvalidRequest, oauth.MethodNotAllowed)
	}
	if r.wait = i.limit.wait(r.event.From, r.now); r.wait > 0 && r.Method == http.MethodPost {
		return oauth.Fail(oauth.TemporarilyUnavailable, oauth.TooManyRequests)
	}
	return e.serve(i, r)
}

func allowed(methods, method string) bool {
	for m := range strings.SplitSeq(methods, ", ") {
		if m == method {
			return true
		}
	}
	return false
}

// peer reads the address of the other side; the zero Addr where there is none,
// as on a unix socket.
func peer(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
