package caddymodule

import (
	"encoding/json"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// What may read a host as it was sent is asked about the plain one; what cannot costs nothing.
func TestMatchersThatMayReadTheHost(t *testing.T) {
	t.Parallel()
	for matcher, reads := range map[string]bool{
		`{"path":["/a/*"]}`: false, `{"host":["a.example"],"method":["GET"]}`: false, `{"header":{"X-A":["b"]}}`: false, `{"not":[{"path":["/a"]}]}`: false, `{"vars":{"a":["b"]}}`: false,
		`{"header":{"host":["a.example"]}}`: true, `{"header_regexp":{"Host":{"pattern":"a"}}}`: true, `{"not":[{"header":{"Host":["a"]}}]}`: true,
		`{"vars":{"{http.request.host}":["a"]}}`: true, `{"vars_regexp":{"{http.request.hostport}":{"pattern":"a"}}}`: true, `{"path":["/{http.request.host.labels.1}"]}`: true,
		`{"vars":{"{http.request.port}":["80"]}}`: true, `{"vars":{"{http.request.header.Host}":["a"]}}`: true,
		`{"expression":{"expr":"true"}}`: true, `{"of_a_plug_in":{}}`: true,
	} {
		var set caddy.ModuleMap
		if err := json.Unmarshal([]byte(matcher), &set); err != nil {
			t.Fatal(err)
		}
		if got := readsHost([]caddy.ModuleMap{set}); got != reads {
			t.Errorf("%s: %v", matcher, got)
		}
	}
}
