package caddymodule

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// /orders/* leaves /orders open, which is where most backends have the list.
func TestFolderWithoutItsOwnAddressIsSeen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ matcher, open string }{
		{`{"path":["/orders/*"]}`, "/orders"},
		{`{"path":["/a/*","/b","/b/*","/c/*"]}`, "/a /c"},
		{`{"path":["/orders","/orders/*"]}`, ""},
		{`{"path":["/Orders","/orders/*"]}`, ""},
		{`{"path":["/orders*"]}`, ""},
		{`{"path":["/orders/*","/ord*"]}`, ""},
		{`{"path":["/*"]}`, ""},
		{`{"path":["/{env.X}/*"]}`, ""},
		{`{"method":["GET"]}`, ""},
	} {
		var matcher caddy.ModuleMap
		if err := json.Unmarshal([]byte(c.matcher), &matcher); err != nil {
			t.Fatal(err)
		}
		g := &Gate{MatcherSetsRaw: []caddy.ModuleMap{matcher}}
		if got := strings.Join(g.folders(), " "); got != c.open {
			t.Errorf("%s: %q is open, want %q", c.matcher, got, c.open)
		}
	}
}

// /report leaves /report/ open, which is the same page for most backends.
func TestPageWithoutItsSlashIsSeen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ matcher, open string }{
		{`{"path":["/report"]}`, "/report"},
		{`{"path":["/a","/B","/b/"]}`, "/a"},
		{`{"path":["/a","/A/*","/b","/b*"]}`, ""},
		{`{"path":["/a/"]}`, ""},
		{`{"path":["/a.json","/{env.X}","/a/*"]}`, ""},
		{`{"method":["GET"]}`, ""},
	} {
		var matcher caddy.ModuleMap
		if err := json.Unmarshal([]byte(c.matcher), &matcher); err != nil {
			t.Fatal(err)
		}
		g := &Gate{MatcherSetsRaw: []caddy.ModuleMap{matcher}}
		if got := strings.Join(g.pages(), " "); got != c.open {
			t.Errorf("%s: %q is open, want %q", c.matcher, got, c.open)
		}
	}
}

// What is sent plain does not match an escape of it.
func TestPathWithAnEscapeOfWhatNeedsNoneIsSeen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ matcher, open string }{
		{`{"path":["/things%3Adelete","/a%2fb","/x%40","/%41/*","/%28*"]}`, "/things%3Adelete /x%40 /%41/* /%28*"},
		{`{"path":["/a%2Fb","/a%20b","/%E7%AE%A1","/100%25","/%3F%23","/%*"]}`, ""},
		{`{"method":["GET"]}`, ""},
	} {
		var matcher caddy.ModuleMap
		if err := json.Unmarshal([]byte(c.matcher), &matcher); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join((&Gate{MatcherSetsRaw: []caddy.ModuleMap{matcher}}).escapes(), " "); got != c.open {
			t.Errorf("%s: %q, want %q", c.matcher, got, c.open)
		}
	}
}

// Caddy takes a method in small letters for the same.
func TestGateForGetIsWithoutHeadInAnyLetters(t *testing.T) {
	t.Parallel()
	for matcher, without := range map[string]bool{
		`{"method":["GET"]}`: true, `{"method":["get"]}`: true, `{"method":["Get","POST"]}`: true,
		`{"method":["get","head"]}`: false, `{"method":["GET","HEAD"]}`: false, `{"method":["POST"]}`: false, `{"path":["/get"]}`: false,
	} {
		var set caddy.ModuleMap
		if err := json.Unmarshal([]byte(matcher), &set); err != nil {
			t.Fatal(err)
		}
		if got := (&Gate{MatcherSetsRaw: []caddy.ModuleMap{set}}).isWithoutHead(); got != without {
			t.Errorf("%s: %v", matcher, got)
		}
	}
}

// A matcher and an exception that nobody can be sure about are left alone.
func TestOnlyExceptionsThatCannotMatchAreOutOfReach(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		matcher, exception string
		beside             bool
	}{
		{`{"path":["/api/*"]}`, "/other", true},
		{`{"path":["/api/*"]}`, "/other/*", true},
		{`{"path":["/api/*"]}`, "/api", true},
		{`{"path":["/api"]}`, "/api/*", true},
		{`{"path":["/api/*"]}`, "/api/health", false},
		{`{"path":["/api/*"]}`, "/API/health", false},
		{`{"path":["/api/v1/*"]}`, "/api/*", false},
		{`{"path":["/api*"]}`, "/apis", false},
		{`{"path":["/a/*","/b/*"]}`, "/b/x", false},
		{`{"path":["/a/*","/b/*"]}`, "/c", true},
		{`{"path":["*.php"]}`, "/other", false},
		{`{"path":["/a/*/b"]}`, "/other", false},
		{`{"path":["/%2e/*"]}`, "/other", false},
		{`{"path":["/{env.X}/*"]}`, "/other", false},
		{`{"path":["/api/*"]}`, "/{env.X}", false},
		{`{"path":["/api/*"],"method":["GET"]}`, "/other", false},
		{`{"not":[{"path":["/other"]}]}`, "/other", false},
		{`{}`, "/other", false},
	} {
		var matcher caddy.ModuleMap
		if err := json.Unmarshal([]byte(c.matcher), &matcher); err != nil {
			t.Fatal(err)
		}
		g := &Gate{MatcherSetsRaw: []caddy.ModuleMap{matcher}}
		if got := g.beside(c.exception) != nil; got != c.beside {
			t.Errorf("%s, except %s: %v", c.matcher, c.exception, got)
		}
	}
	if (&Gate{}).beside("/other") != nil {
		t.Error("a gate for all requests has an exception out of reach")
	}
}
