package gate_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// B17, B18: an exception is for the path that every reader behind reads.
func TestExceptionsMatchOnlyWhatHasOneReading(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Except: []string{"/healthz", "/assets/*", "/"}})
	for target, passes := range map[string]bool{
		"/healthz": true, "/healthz?full=1": true, "/assets/": true, "/assets/app.js": true, "/assets/a/b.css": true, "/": true,
		"/assets/a!b@2(x),y+z.js": true, "/assets/%61": true, "/assets/a%20b": true, "/assets/%c3%bc": true, "/assets/a%2Bb.pdf": true, "/assets/%E5%9B%BE%E3%80%80.png": true, "/assets/a./b": true,
		"/assets/%22%7Bx%7D%5B1%5D.txt": true, "/assets/+/x": true, "/assets/...": true, "/assets/a..b.js": true, "/assets/1.%E5%B9%B4.pdf": true, "/assets/%C2%A5100.pdf": true,

		"/healthz/": false, "/healthzz": false, "/HEALTHZ": false, "/assets": false, "/assetsx/a": false, "/admin": false,
		"/assets/../admin": false, "/assets/%2e%2e/admin": false, "/assets/..%2fadmin": false, "/assets/..%5cadmin": false,
		"/assets/%2e%2e%2fadmin": false, "/assets/%252e%252e/admin": false, "/assets/..": false, "/assets/./a": false, "/assets/.": false,
		"//healthz": false, "//assets/a": false, "/assets//a": false, "/assets//": false, "/./healthz": false, "/%68ealthz": false,
		"/%61ssets/a": false, "/assets/a%00": false, "/assets/100%25": false, "/assets/a%3Fb": false, "/assets/a%23b": false, "/assets/%ff": false, "/assets/%EF%BC%8Fb": false,
		"/assets/..%20/admin": false, "/assets/%20/a": false, "/assets/..%C2%A0/admin": false, "/assets/%E3%80%80/a": false, "/assets/..+/admin": false,
		"/assets/.%E2%80%8B./admin": false, "/assets/..%C2%A5admin": false, "/assets/x%E2%82%A9..%E2%82%A9..%E2%82%A9admin": false, "/assets/%EF%B8%B0/admin": false,
		"/assets/..;/admin": false, "/assets/a;x=1": false, "/healthz;x": false, "/admin/.": false, "/admin/../healthz": false,
		`/assets/..\admin`: false, `/assets\..\admin`: false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		r.URL = u
		p, err := g.Check(r, s.now)
		if (err == nil) != passes {
			t.Errorf("%s: %v, want it to pass: %v", target, err, passes)
		}
		if err == nil && p.Claims != nil {
			t.Errorf("%s: passed with an identity", target)
		}
	}
	for _, target := range []string{"*", "", "app.example.com:443"} { // OPTIONS *, CONNECT
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: target}
		if _, err := g.Check(r, s.now); err == nil {
			t.Errorf("%q passed", target)
		}
	}
}

// B14: where the request is going is what its own target says.
func TestExceptionsReadNoHeader(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Except: []string{"/healthz"}})
	r := request("")
	for _, name := range []string{"X-Forwarded-Uri", "X-Original-Url", "X-Rewrite-Url"} {
		r.Header.Set(name, "/healthz")
	}
	r.Header.Set("X-Forwarded-Method", "OPTIONS")
	r.Header.Set("X-Http-Method-Override", "OPTIONS")
	r.Header.Set("User-Agent", "kube-probe/1.30")
	if _, err := g.Check(r, s.now); err == nil {
		t.Error("passed")
	}
}

// A bad token on an excepted path is nobody's, and passes as nobody's.
func TestExceptedPathHasNoIdentity(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Except: []string{"/orders"}})
	for _, raw := range []string{"", "junk", s.sign(t, "alice")} {
		r := request(raw)
		r.Header.Set("X-Auth-Subject", "admin")
		mustPass(t, g, r, s.now)
		if got, ok := r.Header["X-Auth-Subject"]; ok {
			t.Errorf("identity %q", got)
		}
		// It may be the backend's own business.
		if raw != "" && r.Header.Get("Authorization") == "" {
			t.Error("the Authorization of an excepted path is gone")
		}
	}
}

// What an exception lets through cleans and decodes to itself, inside the
// folder that was excepted.
func FuzzExcept(f *testing.F) {
	s := newScene(f)
	g := s.gate(f, gate.Config{Except: []string{"/healthz", "/assets/*"}})
	for _, seed := range []string{"/healthz", "/assets/a.js", "/assets/../admin", "/assets/%2e%2e/admin", "/assets//a", `/assets/..\a`, "/assets/..;/a", "/assets/a%2fb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Scheme != "" || u.Host != "" {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = u
		if _, err := g.Check(r, s.now); err != nil {
			return
		}
		raw, _, _ := strings.Cut(target, "?")
		decoded, err := url.PathUnescape(raw)
		if err != nil || strings.ContainsAny(decoded, `\;%?#`) || !strings.HasPrefix(raw, "/assets/") && raw != "/healthz" {
			t.Errorf("%q passed, and can be read as %q", raw, decoded)
		}
		if clean := path.Clean(decoded); clean != strings.TrimSuffix(decoded, "/") || clean != "/healthz" && clean != "/assets" && !strings.HasPrefix(clean, "/assets/") {
			t.Errorf("%q passed, and cleans to %q", raw, clean)
		}
	})
}
