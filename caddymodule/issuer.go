package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() { caddy.RegisterModule(Issuer{}) }

// Issuer answers the endpoints of the token issuer and hands every other
// request on.
type Issuer struct {
	// Where this was written.
	At string `json:"at,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Issuer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.token_issuer", New: func() caddy.Module { return new(Issuer) }}
}

// ServeHTTP hands on.
func (h *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}
