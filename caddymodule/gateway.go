package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() { caddy.RegisterModule(Gate{}) }

// Gate lets a request with a good access token pass, with the caller's identity
// in headers and placeholders, and refuses every other.
//
// It deletes the identity headers a request brings along, whether it is matched
// or not; then it judges the requests that match. Several gates on one route add
// up. After it `{http.auth.user.id}` and `{http.auth.user.<claim>}` are set, the
// empty text where a claim is absent.
type Gate struct {
	// Where this was written, for error messages: `Caddyfile:42`.
	At string `json:"at,omitempty"`

	// The requests to judge; default: all. Requests that do not match pass
	// without a token, and without identity.
	MatcherSetsRaw caddyhttp.RawMatcherSets `json:"match,omitempty" caddy:"namespace=http.matchers"`

	// The token must be for any of these. For the embedded issuer an audience is a
	// client id. Default: any client of it.
	Audience []string `json:"audience,omitempty"`

	// The token must have all of these scopes.
	Scope []string `json:"scope,omitempty"`

	// Claims the token must hold; all lines must agree.
	Claim []ClaimRule `json:"claim,omitempty"`

	// Paths let through without a token: exact, or with `/*` at the end.
	Except []string `json:"except,omitempty"`

	// Other issuers to trust besides the embedded one.
	Issuer []ForeignIssuer `json:"issuer,omitempty"`

	// Whether tokens of the embedded issuer are trusted: `on` (default) or `off`.
	Embedded string `json:"embedded,omitempty"`

	// The identity headers the upstream gets, each deleted first, always. Default:
	// X-Auth-Subject, X-Auth-Client, X-Auth-Scope, X-Auth-Issuer.
	Header []Header `json:"header,omitempty"`
}

// ClaimRule is a claim that must hold one of several values.
type ClaimRule struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// The name of the claim.
	Name string `json:"name,omitempty"`

	// The values of which one is enough.
	Values []string `json:"values,omitempty"`
}

// ForeignIssuer is an issuer outside this server.
type ForeignIssuer struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// The issuer identifier, exactly as its tokens say it in `iss`.
	Issuer string `json:"issuer,omitempty"`

	// Its tokens must be for any of these. Required: an issuer also makes tokens
	// for others.
	Audience []string `json:"audience,omitempty"`

	// A file with its key set (RFC 7517), read when the configuration is loaded.
	JWKSFile string `json:"jwks_file,omitempty"`

	// How far its clock may be off, default `30s`.
	Leeway string `json:"leeway,omitempty"`
}

// Header is an identity header.
type Header struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// The name of the header.
	Name string `json:"name,omitempty"`

	// Its value: text with `{claim.<name>}` where a claim goes.
	Value string `json:"value,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Gate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.token_gate", New: func() caddy.Module { return new(Gate) }}
}

// ServeHTTP refuses until the gate is joined.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return caddyhttp.Error(http.StatusServiceUnavailable, nil)
}
