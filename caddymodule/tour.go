package caddymodule

import (
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	maphandler "github.com/caddyserver/caddy/v2/modules/caddyhttp/map"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// tour follows a request through Caddy's routes as far as they only look at it:
// matchers, rewrites and gates. Nothing is answered and nothing is sent on.
type tour struct {
	r        *http.Request
	original *http.Request // that a proxy asks about; nil: none does
	passage  *passage      // nil before the first gate
	repl     *caddy.Replacer
	server   *caddyhttp.Server
	now      time.Time

	groups   map[string]bool
	met      []met
	end      string   // what answers: the name of a handler, or "nothing"
	at       string   // where that was written, if it is ours
	past     []string // handlers on the way that may answer or change the request
	question question
	assumed  []string // what the question does not say, and matchers read
	told     bool     // the answer is a resource's metadata
	signs    bool     // the answer is of a sign-in
	err      error
}

// met is a gate on the way.
type met struct {
	gate    *Gate
	outside bool // its matcher does not select the request
	anyway  bool // nor does it here, but a backend may read the path, the host or a name in another way
	unclear bool // the same of the paths alone: no exception counts
	says    *gate.Explanation
	notes   []string
}

// routes goes through a list of routes; true says that the tour is over.
func (t *tour) routes(list caddyhttp.RouteList) bool {
	for _, route := range list {
		if route.Group != "" && t.groups[route.Group] {
			continue
		}
		t.assume(route.MatcherSets, t.r)
		matched, err := route.MatcherSets.AnyMatchWithError(t.r)
		if err != nil {
			t.err = err
			return true
		}
		if !matched {
			continue
		}
		if route.Group != "" {
			t.groups[route.Group] = true
		}
		if t.handlers(route.Handlers) || route.Terminal {
			return true
		}
	}
	return false
}

func (t *tour) handlers(list []caddyhttp.MiddlewareHandler) bool {
	return slices.ContainsFunc(list, t.handler)
}

// handler goes through one handler. What it does not know it walks past.
func (t *tour) handler(h caddyhttp.MiddlewareHandler) bool {
	switch h := h.(type) {
	case *Gate:
		return t.gate(h)
	case *Issuer:
		return t.issuer(h)
	case *caddyhttp.Subroute:
		return t.routes(h.Routes)
	case *caddyhttp.Invoke:
		named, ok := t.server.NamedRoutes[h.Name]
		return ok && t.routes(caddyhttp.RouteList{*named})
	case *rewrite.Rewrite:
		h.Rewrite(t.r, t.repl)
	case *caddyhttp.VarsMiddleware:
		t.err = h.ServeHTTP(nowhere{}, t.r, goOn)
	case maphandler.Handler:
		t.err = h.ServeHTTP(nowhere{}, t.r, goOn)
	case *maphandler.Handler:
		t.err = h.ServeHTTP(nowhere{}, t.r, goOn)
	case *headers.Handler:
		if h.Request != nil { // Authorization and Cookie are headers
			h.Request.ApplyToRequest(t.r)
		}
	case caddy.Module:
		name := h.CaddyModule().ID.Name()
		if answers(h) {
			if t.end == toProxy { // which hears of a yes from gates alone
				name = toProxy + ", unless " + name + " says no"
			}
			t.end = name
			return true
		}
		if !slices.Contains(harmless, name) {
			t.past = append(t.past, name)
		}
	}
	return t.err != nil
}

// goOn is what stands behind a handler that only looks at a request.
var goOn = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })

// harmless are handlers that neither answer nor change what is judged, as far as it
// is judged.
var harmless = []string{"encode", "intercept", "log_append", "push", "request_body", "templates", "timeouts", "tracing", "copy_response", "copy_response_headers"}

func (t *tour) issuer(h *Issuer) bool {
	run, err := h.app.lease(t.r.Context())
	if err != nil {
		t.err = err
		return true
	}
	defer run.release()
	if h.app.describes(t.r, nil) != nil {
		t.end, t.at, t.told = "token_issuer", h.At, true
		return true
	}
	if !run.issuer.Handles(t.r) {
		return false
	}
	t.end, t.at = "token_issuer", h.At
	return true
}

// gate asks a gate for its reasons.
func (t *tour) gate(g *Gate) bool {
	run, err := g.app.lease(t.r.Context())
	if err != nil {
		t.err = err
		return true
	}
	defer run.release()
	if asks := g.isAsked(t.r) || t.original != nil && g.Answer != ""; !asks && g.app.describes(t.r, g.own) != nil {
		t.end, t.at, t.told = "token_gate", g.At, true
		return true
	}
	t.begin(g, run)
	if g.login != nil && isOurs(t.r) {
		t.end, t.at, t.signs = "token_gate", g.At, true
		return true
	}
	r := t.judged(g)
	if r == nil {
		return t.unasked(g)
	}
	m := met{gate: g, unclear: gate.Ambiguous(r.URL) || len(r.Header["Destination"]) > 0}
	if len(g.matchers) > 0 {
		t.assume(g.matchers, r)
		matched, anyway, err := g.matches(r)
		if err != nil {
			t.err = err
			return true
		}
		if m.outside, m.anyway = !matched && !anyway, anyway; m.outside {
			t.met = append(t.met, m)
			return t.answered(g)
		}
	}
	says := t.explainBy(g, run, r, &m)
	m.says = says
	t.met = append(t.met, m)
	if says.Pass != nil && says.Pass.Claims != nil {
		t.passage.pass = says.Pass
	}
	if says.Pass == nil {
		t.end, t.at = "token_gate", g.At
		return true
	}
	return t.answered(g)
}

// judged is the request that a gate judges: of one that answers the proxy's, and nil
// where there is none.
func (t *tour) judged(g *Gate) *http.Request {
	switch {
	case g.Answer == "" || t.original == nil && g.Answer == answerRequest:
		return t.r
	case t.original == nil:
		return nil
	}
	address := *t.original.URL // with a host, as the proxy names it
	address.Scheme, address.Host = "http", t.original.Host
	if t.original.TLS != nil {
		address.Scheme = "https"
	}
	return t.passage.insteadOf(t.r, t.original.Method, &address)
}

// nowhere is the answer that nobody gets.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}
