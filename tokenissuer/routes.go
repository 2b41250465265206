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
	guess   guess
	serve   func(*Issuer, *request) error
	used    func(*Issuer) bool // nil: always served
}

// routes is the whole surface.
var routes = []route{
	{"/oauth2/token", "token", "POST", proven, (*Issuer).token, nil},
	{"/oauth2/authorize", "authorize", "GET, POST", nothing, (*Issuer).authorize, (*Issuer).sendsPeople},
	{"/oauth2/revoke", "revoke", "POST", proven, (*Issuer).revoke, nil},
	{"/oauth2/introspect", "introspect", "POST", proven, (*Issuer).introspect, nil},
	{"/oauth2/jwks", "jwks", "GET, HEAD", nothing, (*Issuer).jwks, nil},
	{"/otp/send", "otp_send", "POST", proven, (*Issuer).sendOTP, (*Issuer).sendsCodes},
	{"/userinfo", "userinfo", "GET, HEAD, POST, PATCH", proven, (*Issuer).userinfo, nil},
	{"/signup", "signup", "POST", proven, (*Issuer).signup, (*Issuer).signsUp},
	{"/change_user_password", "change_user_password", "POST", proven, (*Issuer).changePassword, (*Issuer).hasPeople},
	{"/reset_user_password", "reset_user_password", "POST", proven, (*Issuer).resetPassword, (*Issuer).sendsCodes},
	{"/.well-known/openid-configuration", "discovery", "GET, HEAD", nothing, (*Issuer).discovery, nil},
	{"/.well-known/oauth-authorization-server", "discovery", "GET, HEAD", nothing, (*Issuer).discovery, nil},
	{idaasPath + "/token", "token", "POST", proven, (*Issuer).token, nil},
	{idaasPath + "/authorize", "authorize", "GET", nothing, (*Issuer).authorize, (*Issuer).sendsPeople},
	{idaasPath + "/jwks", "jwks", "GET, HEAD", nothing, (*Issuer).jwks, nil},
	{idaasPath + "/userinfo", "userinfo", "GET, HEAD", proven, (*Issuer).userinfo, nil},
	{idaasPath + "/.well-known/openid-configuration", "discovery", "GET, HEAD", nothing, (*Issuer).discovery, nil},
	{"/logout", "logout", "GET, POST", nothing, (*Issuer).logout, (*Issuer).sendsPeople},
	{"/api/v1/logout", "logout", "GET", nothing, (*Issuer).idaasLogout, (*Issuer).sendsPeople},
	{inboxPath, "inbox", "GET, HEAD", nothing, (*Issuer).inbox, (*Issuer).develops},
	{"/health", "health", "GET, HEAD", nothing, (*Issuer).health, nil},
	{"/health/gate", "health_gate", "GET, HEAD", nothing, (*Issuer).healthOfGates, nil},
}

// portalPath is the root of the pages for people.
const portalPath = "/portal/"

var pages = route{portalPath, "portal", "GET, HEAD, POST", typed, (*Issuer).pages, (*Issuer).sendsPeople}

// endpoint finds the route of a path; nil for none.
func (i *Issuer) endpoint(path string) *route {
	e := endpoints[path]
	switch {
	case e != nil && (e.used == nil || e.used(i)):
		return e
	case (strings.HasPrefix(path, portalPath) || path+"/" == portalPath) && i.portal != nil:
		return &pages
	case i.kept != nil && i.kept.HasAsset(path):
		return &inboxAssets
	}
	return nil
}

// A path that no client needs may be a backend's.

func (i *Issuer) sendsPeople() bool { return i.portal != nil }

func (i *Issuer) sendsCodes() bool { return len(i.codes.order) > 0 }

func (i *Issuer) develops() bool { return i.codes.inbox != nil }

func (i *Issuer) hasPeople() bool { return i.together.people }

func (i *Issuer) signsUp() bool { return i.together.signUp }

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
	r := &request{Request: hr, w: w, now: i.state.now(), began: time.Now(), family: familyAt(hr.URL.Path)}
	r.dialect = i.unnamed(r.family)
	r.event = Event{Endpoint: "unknown", From: peer(hr)}
	r.w = &recorder{w, r}
	if err := i.route(r); err != nil {
		r.fail(err)
	}
	i.count(r)
	if i.config.Observe != nil {
		r.event.Took = time.Since(r.began)
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
	if i.scripted(r, e) {
		return oauth.Fail(oauth.InvalidRequest, oauth.ForeignScript)
	}
	r.guesses = e.guessed(r.Method)
	if r.wait = i.limit.wait(party{from: r.event.From}, r.now); r.wait == 0 || !r.guesses {
		return e.serve(i, r)
	}
	if e.guess == typed {
		return oauth.Fail(oauth.TemporarilyUnavailable, oauth.TooManyRequests)
	}
	r.held = true
	err := e.serve(i, r)
	if err != nil && r.held {
		return oauth.Fail(oauth.TemporarilyUnavailable, oauth.TooManyRequests)
	}
	return err
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
