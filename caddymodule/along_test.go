package caddymodule

import (
	"strconv"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Routes of many groups within each other are gone through once: a start would never end.
func TestManyGroupsWithinEachOtherAreWalkedOnce(t *testing.T) {
	var routes caddyhttp.RouteList
	for range 3 {
		inner := caddyhttp.RouteList{{Handlers: []caddyhttp.MiddlewareHandler{&caddyhttp.Subroute{Routes: routes}}}}
		for i := range 50 {
			inner = append(inner, caddyhttp.Route{Group: strconv.Itoa(i), Handlers: []caddyhttp.MiddlewareHandler{&caddyhttp.StaticResponse{}}})
		}
		routes = append(inner, inner[0])
	}
	met := 0
	f := inFront{server: &caddyhttp.Server{Routes: routes}, of: func(caddyhttp.MiddlewareHandler) string {
		met++
		return ""
	}, meets: func(*Gate, string) {}}
	if f.walk(); met > 50*(1<<3) {
		t.Errorf("met %d handlers", met)
	}
}
