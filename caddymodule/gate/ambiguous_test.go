package gate_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// TestAmbiguousPaths is B18 for a gate with a matcher: what a backend may read
// as a path under it is never waved through as one that is not.
func TestAmbiguousPaths(t *testing.T) {
	for path, want := range map[string]bool{
		"/": false, "/admin": false, "/admin/": false, "/a/b.c/d": false, "/a/.hidden": false, "/a/...": false, "/a/..b": false,
		"/%E4%BA%A7%E5%93%81": false, "/a%20b": false, "/%61dmin": false, "/a%2Eb": false,
		"*": true, "http://a": true, "http://a?b": true, "x:http://a/admin/x": true, "x:/admin": false, "http:admin": true,
		"/admin/.": true, "/admin/%2e": true, "/admin/x/..": true, "/admin/x/%2e%2e": true, "/admin/./": true, "//admin": true,
		"/a//b": true, "/public/..;/admin/x": true, "/admin;/x": true, `/admin\x`: true, "/admin%5Cx": true, "/public/..%2fadmin": true,
		"/admin%2Fx": true, "/admin%252fx": true, "/a/%00": true, ".": true,
		"/a/%09": true, "/a/..%0d%0a/admin": true, "/a/%7f": true, "/a/..%c0%af/admin": true, "/%c0%ae%c0%ae/admin": true, "/a/%ff": true,
		"/a/%EF%BC%8E%EF%BC%8E/admin": true, "/a%EF%BC%8Fb": true, "/a%EF%BC%9Bb": true, "/%CD%BE": true, "/%EF%BC%88%EF%BC%89": false, "/a%C2%85": true,
		"/admin%3Fx.css": true, "/admin%23x.css": true, "/admin?x": false,
	} {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			u = &url.URL{Path: path}
		}
		if got := gate.Ambiguous(u); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// A rewrite gives a target in one piece a path, and the backend gets the target.
func TestTargetInOnePieceIsNoException(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Except: []string{"/index.html"}})
	u, err := url.ParseRequestURI("x:http://a/admin/x")
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/index.html"
	r := request("")
	if r.URL = u; !gate.Ambiguous(u) {
		t.Error("it has one reading")
	}
	if err := through(g, r, s.now); err == nil {
		t.Error("it passed")
	}
}

// A matcher sees one reading of a method and of a host, too.
func TestUnclearRequests(t *testing.T) {
	for _, c := range []struct {
		method, host string
		want         bool
	}{
		{"DELETE", "app.example", false},
		{"M-SEARCH", "app.example:8443", false},
		{"delete", "app.example", true},
		{"DELETe", "app.example", true},
		{"DELETE", "app.example.", true},
		{"DELETE", "app.example.:8443", true},
		{"DELETE", "[::1]:8443", false},
		{"GET", "[::1]", false},
		{"GET", "my_app-1.example", false},
		{"GET", "APP.example:", false},
		{"GET", "", false}, // HTTP/1.0
		{"GET", "app.example:1:2", true},
		{"GET", "app.example:80:", true},
		{"GET", "app.example:::", true},
		{"GET", "app.example:x", true},
		{"GET", "[::1]:1:2", true},
		{"GET", "[::1]x", true},
		{"GET", "[app.example/]", true},
		{"GET", "::1", true},
		{"GET", "x@app.example", true},
		{"GET", "app%2eexample", true},
		{"GET", "app.example/x", true},
		{"GET", "app.example,other.example", true},
		{"GET", "app\uff0eexample", true},
		{"CONNECT", "app.example", true},
	} {
		r := &http.Request{Method: c.method, Host: c.host, URL: &url.URL{Path: "/"}}
		if got := gate.Unclear(r); got != c.want {
			t.Errorf("%s %s: %v", c.method, c.host, got)
		}
	}
}
