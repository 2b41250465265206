package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// counted is a matcher that counts how often it is looked into.
type counted struct{ times *int }

func (counted) CaddyModule() caddy.ModuleInfo { return caddy.ModuleInfo{ID: "http.matchers.query"} }

func (c counted) MarshalJSON() ([]byte, error) {
	*c.times++
	return []byte(`{"action":["delete"]}`), nil
}

// Requests wait while it is looked for what makes what gates read: that is once, however
// many gates there are. Each gets its own names, and those of the makers.
func TestMakersAreLookedForOnce(t *testing.T) {
	times := 0
	site := &caddyhttp.App{Servers: map[string]*caddyhttp.Server{"a": {Routes: caddyhttp.RouteList{{MatcherSets: caddyhttp.MatcherSets{{counted{&times}}}}}}}}
	gateOf := func(matchers string) *Gate {
		var set caddy.ModuleMap
		if err := json.Unmarshal([]byte(matchers), &set); err != nil {
			t.Fatal(err)
		}
		return &Gate{MatcherSetsRaw: caddyhttp.RawMatcherSets{set}, spot: spot{app: site}}
	}
	one, two := gateOf(`{"vars":{"kind":["a"]}}`), gateOf(`{"vars":{"kind":["a"]},"query":{"own":["x"]},"not":[{"header":{"X-A":["b"]}}]}`)
	three := gateOf(`{"vars":{"{http.regexp.1}":["x"]}}`)
	site.Servers["a"].Routes[0].Handlers = []caddyhttp.MiddlewareHandler{one, two, three}
	(&App{gates: []*Gate{one, two, three}}).lookForMakers()
	if times != 1 {
		t.Errorf("looked into the same matcher %d times", times)
	}
	for query, reads := range map[string][3]bool{
		"action=a&action=b": {true, true, true},
		"own=a&Own=b":       {false, true, true}, // what another gate has found is read
		"else=a&else=b":     {},
	} {
		for i, g := range []*Gate{one, two, three} {
			if got := g.names.Unclear(&http.Request{URL: &url.URL{Path: "/", RawQuery: query}}, nil); got != reads[i] {
				t.Errorf("gate %d, %s: %v", i+1, query, got)
			}
		}
	}
	if h := (http.Header{"X-A": {"a", "b"}}); !two.names.Unclear(&http.Request{URL: new(url.URL), Header: h}, nil) || one.names.Unclear(&http.Request{URL: new(url.URL), Header: h}, nil) {
		t.Error("a header of a gate's own")
	}
}
