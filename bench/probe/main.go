// Command probe is Caddy with the least a gate and an issuer can cost.
//
// It measures a limit and is no product: one client, one key, no policy, no
// revocation, no rotation.
package main

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func main() {
	register("least_gate", func() handler { return new(gate) })
	register("least_issuer", func() handler { return new(issuer) })
	caddycmd.Main()
}

// handler is a directive that takes a fixed number of words.
type handler interface {
	caddy.Module
	caddyhttp.MiddlewareHandler
	words() []*string
}

func register(directive string, fresh func() handler) {
	caddy.RegisterModule(fresh())
	httpcaddyfile.RegisterHandlerDirective(directive, func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		made := fresh()
		h.Next()
		if !h.Args(made.words()...) {
			return nil, h.ArgErr()
		}
		return made, nil
	})
	httpcaddyfile.RegisterDirectiveOrder(directive, httpcaddyfile.Before, "basic_auth")
}
