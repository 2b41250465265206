package login

import (
	"net/url"
	"strings"
	"testing"
)

// F05: open redirects, and back to what another site would have done.
func TestReturnStaysOnTheSite(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"//evil.example":                "/",
		"///evil.example":               "/",
		"/\\evil.example":               "/",
		"\\\\evil.example":              "/",
		"https://evil.example/":         "/",
		"https:evil.example":            "/",
		"javascript:alert(1)":           "/",
		"/\t/evil.example":              "/",
		"/a\r\nSet-Cookie: a=b":         "/",
		"/a b":                          "/",
		"/ä":                            "/",
		"/%zz":                          "/",
		"":                              "/",
		"a/b":                           "/",
		"*":                             "/",
		"/.gatehouse/logout":            "/",
		"/.gatehouse/callback?code=a":   "/",
		"/%2egatehouse/logout":          "/",
		"/./.gatehouse/logout":          "/",
		"/a/../.gatehouse/login":        "/",
		"/a/%2E%2e/.gatehouse/logout":   "/",
		"/a/..\\.gatehouse/logout":      "/",
		"/%2e/.gatehouse/logout?a=b":    "/",
		"/a/..":                         "/",
		"/a/...":                        "/a/...",
		"/.well-known/a?b=/../c":        "/.well-known/a?b=/../c",
		"/" + strings.Repeat("a", 2000): "/",
		"/":                             "/",
		"/orders?year=2026&q=a%20b":     "/orders?year=2026&q=a%20b",
		"/%2F%2Fevil.example":           "/%2F%2Fevil.example",
		"/%09/evil.example":             "/%09/evil.example",
		"/?return=https://evil.example": "/?return=https://evil.example",
		"/.gatehouses":                  "/.gatehouses",
		"/a?_method=DELETE":             "/",
		"/a?_method=GET&b":              "/a?_method=GET&b",
		"/a%3F_method=DELETE":           "/",
	} {
		if got := Return(target); got != want {
			t.Errorf("%q: %q, want %q", target, got, want)
		}
	}
}

// Whatever is asked for, a browser that reads it leniently stays on the site.
func FuzzReturn(f *testing.F) {
	f.Add("//evil.example")
	f.Add("/a?b=c")
	f.Add("/a/%2e./.gatehouse/logout")
	site := &url.URL{Scheme: "https", Host: "site.example", Path: "/.gatehouse/callback"}
	f.Fuzz(func(t *testing.T, target string) {
		got := Return(target)
		lenient := strings.NewReplacer("\\", "/", "\t", "", "\n", "", "\r", "").Replace(got)
		u, err := site.Parse(lenient)
		if err == nil { // a browser takes escaped dot segments out, too
			u = u.ResolveReference(&url.URL{Path: u.Path})
		}
		if err != nil || u.Host != site.Host || u.Scheme != site.Scheme || strings.HasPrefix(u.Path, Paths) {
			t.Errorf("%q leads to %q: %v", target, got, u)
		}
	})
}
