package caddymodule

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

func init() { caddy.RegisterModule(Issuer{}) }

// Issuer answers the endpoints of the token issuer and hands every other
// request on.
type Issuer struct {
	// Where this was written, for error messages: `Caddyfile:42`.
	At string `json:"at,omitempty"`

	outcry
	app  *App
	spot spot
}

// CaddyModule returns the Caddy module information.
func (Issuer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.token_issuer", New: func() caddy.Module { return new(Issuer) }}
}

// Provision finds the app.
func (h *Issuer) Provision(ctx caddy.Context) error {
	h.outcry = outcryOf(ctx)
	app, err := ctx.App("token_issuer")
	if err != nil {
		return err
	}
	if h.app = app.(*App); !h.app.issuing {
		return placed("directive token_issuer: there is no issuer; add the global option token_issuer", h.At)
	}
	h.app.served, h.spot = true, spotOf(ctx)
	h.app.directives = append(h.app.directives, h)
	return nil
}

var (
	errEarlyData = errors.New("early data can be replayed")
	errPlainHTTP = errors.New("the issuer is https and this request came in plain text; if a proxy ended TLS, name it in trusted_proxies and have it send X-Forwarded-Proto")
)

// ServeHTTP answers what the issuer handles. The issuer believes RemoteAddr:
// it gets the client's address as Caddy's trusted_proxies make it out.
func (h *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	run, err := h.app.lease(r.Context())
	if err != nil {
		bare(r, nil)
		return h.unavailable(w, r, err)
	}
	if strings.HasPrefix(r.URL.Path, wellKnown) && h.app.described(w, r, nil) {
		run.release()
		return nil
	}
	if !run.issuer.Handles(r) {
		run.release()
		return next.ServeHTTP(w, r)
	}
	defer run.release()
	if strings.HasPrefix(run.issuer.Identifier(), "https:") && isOpen(r) && hasCredentials(r) {
		h.app.observe(unread(r, http.StatusForbidden, "forbidden", "plain_http"))
		bare(r, run.strip)
		return h.fail(w, r, http.StatusForbidden, errPlainHTTP)
	}
	if !isSafe(r) && isEarly(r) {
		// RFC 8470 §5.2: the client sends it again once the handshake is complete.
		h.app.observe(unread(r, http.StatusTooEarly, "too_early", string(oauth.EarlyData)))
		bare(r, run.strip)
		return h.fail(w, r, http.StatusTooEarly, errEarlyData)
	}
	inner := *r
	if ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); ip != "" {
		inner.RemoteAddr = ip
	}
	run.issuer.ServeHTTP(w, &inner)
	return nil
}

func isSafe(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// hasCredentials reports whether a request can hold what nobody on the way may
// read (RFC 6749 §3.2, RFC 6750 §5.3). Keys and discovery are public.
func hasCredentials(r *http.Request) bool { return !isSafe(r) || r.Header["Authorization"] != nil }

// isOpen reports whether a request crossed a network without TLS, as far as
// anybody to be believed says: a trusted proxy, or the way itself where it is a
// socket of this machine's file system.
func isOpen(r *http.Request) bool {
	if r.TLS != nil || r.RemoteAddr == "@" {
		return false
	}
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return !trusted || !strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// unread is the event of a request that was refused before it was read.
func unread(r *http.Request, status int, code, reason string) tokenissuer.Event {
	from, _ := netip.ParseAddr(peerOf(r)) // the zero Addr where there is none
	return tokenissuer.Event{Endpoint: "unknown", From: from, Status: status, Error: code, Reason: reason}
}

// isEarly reports whether a request came before its handshake was complete,
// here or at a proxy in front (RFC 8470 §5.1).
func isEarly(r *http.Request) bool {
	return r.TLS != nil && !r.TLS.HandshakeComplete || r.Header.Get("Early-Data") == "1"
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Issuer)(nil)
	_ caddyhttp.MiddlewareHandler = (*Issuer)(nil)
)
