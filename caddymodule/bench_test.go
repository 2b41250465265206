package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// BenchmarkGateHandler is what token_gate adds to a proxied request with a token
// that was seen before: strip, cache hit, headers, placeholders.
func BenchmarkGateHandler(b *testing.B) {
	g, bearer := newHit(b, zap.NewNop())
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	plain, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	for name, handler := range map[string]caddyhttp.MiddlewareHandler{"with": g, "without": passing{}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ctx := context.WithValue(plain.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
				r := plain.WithContext(context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{}))
				r.Header = http.Header{"Authorization": {bearer}, "User-Agent": {"curl"}, "Accept": {"*/*"}}
				if err := handler.ServeHTTP(w, r, next); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A request that passes with a token seen before costs at most five allocations,
// with its headers and two placeholders, and no line in the log.
func TestAnAcceptedHitIsCheap(t *testing.T) {
	const most = 5
	core, lines := observer.New(zap.InfoLevel)
	g, bearer := newHit(t, zap.New(core))
	next := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		for _, name := range []string{"http.auth.user.id", "http.auth.user.client_id"} {
			_, _ = repl.Get(name)
		}
		return nil
	})
	var seen http.Header
	through := func(handler caddyhttp.MiddlewareHandler) float64 {
		w := httptest.NewRecorder()
		return testing.AllocsPerRun(1000, func() {
			plain := httptest.NewRequest(http.MethodGet, "/", nil)
			r := caddyhttp.PrepareRequest(plain, caddy.NewReplacer(), w, new(caddyhttp.Server))
			r.Header = http.Header{"Authorization": {bearer}, "User-Agent": {"curl"}, "Accept": {"*/*"}}
			if err := handler.ServeHTTP(w, r, next); err != nil {
				t.Fatal(err)
			}
			seen = r.Header
		})
	}
	without := through(passing{})
	if n := through(g) - without; n > most {
		t.Errorf("%v allocations, at most %d", n, most)
	} else {
		t.Logf("%v allocations", n)
	}
	if seen.Get("X-Auth-Subject") == "" || seen.Get("X-Auth-Issuer") == "" || seen.Get("Authorization") != "" {
		t.Errorf("headers %v", seen)
	}
	if lines.Len() > 0 {
		t.Errorf("%d lines in the log: %v", lines.Len(), lines.All()[0])
	}
}

// newHit is a gate beside a token that it has just let pass.
func newHit(t testing.TB, logger *zap.Logger) (*Gate, string) {
	p := newPartner(t)
	keys, err := token.ParseJWKS([]byte(p.jwks))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := gate.NewCache(gate.DefaultCacheSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	app := &App{}
	g := &Gate{app: app, outcry: outcry{logger: logger}, compiled: gate.Config{Issuers: []gate.Issuer{{
		Identifier: "https://login.partner.example", Keys: keys, Audiences: []string{"https://api.example.com"},
	}}}}
	app.gates = []*Gate{g}
	run := &running{shared: &shared{cache: cache}}
	run.users.Store(1)
	if err := app.buildGates(run); err != nil {
		t.Fatal(err)
	}
	app.running.Store(run)
	raw := p.token(t, "https://api.example.com", "ops", time.Hour)
	if _, err := g.gate.Check(&http.Request{Header: http.Header{"Authorization": {"Bearer " + raw}}, URL: new(url.URL)}, time.Now()); err != nil {
		t.Fatal(err)
	}
	cache.Wait()
	return g, "Bearer " + raw
}

// passing is no gate at all.
type passing struct{}

func (passing) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}
