package caddymodule

import (
	"encoding/json"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// A route without handlers is one of the list, too.
func TestRoutesThatAreDone(t *testing.T) {
	done := caddyhttp.Route{Handlers: []caddyhttp.MiddlewareHandler{new(Gate)}}
	next := caddyhttp.Route{HandlersRaw: []json.RawMessage{json.RawMessage(`{"handler":"token_gate"}`)}}
	for name, c := range map[string]struct {
		routes caddyhttp.RouteList
		want   int
	}{
		"none":               {caddyhttp.RouteList{}, 0},
		"the first is next":  {caddyhttp.RouteList{next, next}, 0},
		"the second is next": {caddyhttp.RouteList{done, next, next}, 1},
		"behind an empty":    {caddyhttp.RouteList{{}, next, {}, next}, 1},
		"behind several":     {caddyhttp.RouteList{done, {}, done, next}, 3},
		"all":                {caddyhttp.RouteList{{}, done, {}}, 3},
	} {
		if got := provisioned(c.routes); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// Those for errors come after the server's own.
func TestRoutesForErrorsAreDoneLast(t *testing.T) {
	next := caddyhttp.Route{HandlersRaw: []json.RawMessage{json.RawMessage(`{"handler":"token_gate"}`)}}
	server := &caddyhttp.Server{Routes: caddyhttp.RouteList{{}, next}, Errors: &caddyhttp.HTTPErrorConfig{Routes: caddyhttp.RouteList{{}, next}}}
	if n := done(server); n != 1 {
		t.Errorf("%d, while the second route goes on", n)
	}
	server.Routes[1].HandlersRaw = nil
	if n := done(server); n != 3 {
		t.Errorf("%d, while the second route for errors goes on", n)
	}
}
