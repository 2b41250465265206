package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// BenchmarkGateHandler is what token_gate adds to a proxied request with a token
// that was seen before: strip, cache hit, headers, placeholders.
func BenchmarkGateHandler(b *testing.B) {
	p := newPartner(b)
	keys, err := token.ParseJWKS([]byte(p.jwks))
	if err != nil {
		b.Fatal(err)
	}
	cache, err := gate.NewCache(gate.DefaultCacheSize)
	if err != nil {
		b.Fatal(err)
	}
	defer cache.Close()
	app := &App{}
	g := &Gate{app: app, logger: zap.NewNop(), compiled: gate.Config{Issuers: []gate.Issuer{{
		Identifier: "https://login.partner.example", Keys: keys, Audiences: []string{"https://api.example.com"},
	}}}}
	app.gates = []*Gate{g}
	run := &running{shared: &shared{cache: cache}}
	run.users.Store(1)
	if err := app.buildGates(run); err != nil {
		b.Fatal(err)
	}
	app.running.Store(run)

	bearer := "Bearer " + p.token(b, "https://api.example.com", "ops", time.Hour)
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	plain := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, handler := range map[string]caddyhttp.MiddlewareHandler{"with": g, "without": passing{}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ctx := context.WithValue(plain.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
				r := plain.WithContext(context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{}))
				r.Header = http.Header{"Authorization": {bearer}, "User-Agent": {"curl"}, "Accept": {"*/*"}}
				if err := handler.ServeHTTP(nil, r, next); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// passing is no gate at all.
type passing struct{}

func (passing) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}
