package caddymodule

import (
	"net/http"
	"testing"
)

// B18: a host in capitals, or with a port, is the same site to Caddy and to a backend, and
// another text to whatever compares it as it was sent.
func TestMatcherSeesTheHostThatABackendServes(t *testing.T) {
	for name, gate := range map[string]string{
		"a header":      "@g header Host admin.example.com\n token_gate @g",
		"CEL":           "@g expression {host} == \"admin.example.com\"\n token_gate @g",
		"CEL's header":  "@g expression header({'Host': 'admin.example.com'})\n token_gate @g",
		"a placeholder": "@g vars {hostport} admin.example.com\n token_gate @g",
		"not the open":  "@g not header Host open.example.com\n token_gate @g",
		"a map":         "map {host} {guarded} {\n admin.example.com yes\n default no\n }\n @g vars {guarded} yes\n token_gate @g",
		"a variable":    "@open host open.example.com\n vars @open open yes\n @g not vars open yes\n token_gate @g",
		"a port of its": "@g vars {hostport} admin.example.com:8443 admin.example.com\n token_gate @g",
		"and a method":  "@g {\n vars {hostport} admin.example.com\n not method GET\n }\n token_gate @g",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.backend(nil)
			w.load(oneIssuer, "\nhttp://app.example.com {\n token_issuer\n }\nhttp://*.example.com {\n "+gate+"\n reverse_proxy unix/$DIR/backend\n}")
			target := map[bool]string{true: "/?_method=DELETE", false: "/"}[name == "and a method"]
			ask := func(host string) int { return w.getFrom(t, host, target) }
			for _, host := range []string{
				"admin.example.com", "ADMIN.example.com", "admin.Example.COM", "admin.example.com:80", "admin.example.com:443", "ADMIN.example.com:80", "admin.example.com:",
			} {
				if got := ask(host); got != http.StatusUnauthorized {
					t.Errorf("%s: %d", host, got)
				}
			}
			if name != "a map" { // which has made something of the host before anybody could ask
				if got := ask("admin.example.com:1234"); got != http.StatusUnauthorized {
					t.Errorf("a port of the caller's: %d", got)
				}
			}
			for _, host := range []string{"open.example.com", "open.example.com:8443"} {
				if name == "not the open" && host != "open.example.com" {
					continue // that is another host to this matcher, and always was
				}
				if got := ask(host); got != http.StatusOK {
					t.Errorf("%s: %d", host, got)
				}
			}
			if name != "not the open" && name != "a map" && name != "a variable" {
				if got := ask("OPEN.example.com:443"); got != http.StatusOK {
					t.Errorf("nobody guards this one: %d", got)
				}
			}
		})
	}
}

// getFrom asks a host, as it is written, for a target.
func (w *world) getFrom(t *testing.T, host, target string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://app.example.com"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	a, err := w.do(r)
	if err != nil {
		t.Fatal(err)
	}
	return a.status
}

// A matcher that fails on another reading has not said no to it, and the request is none
// that Caddy fails at.
func TestMatcherThatFailsOnAReadingJudges(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, "\nhttp://app.example.com {\n token_issuer\n }\nhttp://*.example.com {\n @g expression int({port}) == 9\n token_gate @g\n reverse_proxy unix/$DIR/backend\n}")
	if got := w.getFrom(t, "open.example.com:8443", "/"); got != http.StatusUnauthorized {
		t.Errorf("%d", got)
	}
}
