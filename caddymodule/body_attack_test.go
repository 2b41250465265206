package caddymodule

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A matcher that reads the body leaves it to whoever comes next, however many readings of a
// request it was asked about, and finds the same in each.
func TestMatcherOfTheBodyLeavesItWhole(t *testing.T) {
	for name, matcher := range map[string]string{
		"CEL":             `@b expression {http.request.body}.contains("secret")`,
		"a placeholder":   `@b vars_regexp {http.request.body} secret`,
		"as base64":       `@b vars_regexp {http.request.body_base64} ^c2VjcmV0`,
		"and a host":      "@b {\n vars_regexp {http.request.body} secret\n header_regexp Host (?i)^app\n }",
		"a map":           "map {http.request.body} {kind} {\n ~secret closed\n default open\n }\n @b vars {kind} closed",
		"behind tracing":  "tracing\n @b vars_regexp {http.request.body} secret",
		"beside the rest": "@b {\n vars_regexp {http.request.body} secret\n not query open=1\n }",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.backend(func(rw http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				_, _ = rw.Write(body)
			})
			w.load(oneIssuer, "\nhttp://app.example.com, http://app.example.com:8443 {\n token_issuer\n "+matcher+"\n token_gate @b\n reverse_proxy unix/$DIR/backend\n}")
			for _, c := range []struct{ host, target, media string }{
				{"app.example.com", "/x", "text/plain"},
				{"app.example.com:8443", "/x", "text/plain"},
				{"APP.example.com:8443", "/x", "Text/Plain"},
				{"app.example.com", "/x", "application/JSON"},
				{"app.example.com", "/x.", "text/plain"},
				{"app.example.com", "/x%3Fa=b", "text/plain"},
				{"app.example.com", "/x?open=1&open=1", "text/plain"},
			} {
				for body, want := range map[string]int{"hello world": http.StatusOK, "secret": http.StatusUnauthorized} {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://app.example.com"+c.target, strings.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					r.Host = c.host
					r.Header.Set("Content-Type", c.media)
					a, err := w.do(r)
					if err != nil {
						t.Fatal(err)
					}
					if name == "a map" && (c.host != strings.ToLower(c.host) || c.media != "text/plain" || strings.ContainsAny(c.target, ".%")) {
						want = http.StatusUnauthorized // nobody knows what it makes of another reading
					}
					if a.status != want || want == http.StatusOK && a.body != body {
						t.Errorf("%v %q: %v", c, body, a)
					}
				}
			}
		})
	}
}

// A matcher that reads the body has the trailers read, too: behind `tracing` by another
// request than the one that was stripped.
func TestMatcherOfTheBodyLetsNoTrailersPass(t *testing.T) {
	for _, before := range []string{"", "tracing\n"} {
		w := newWorld(t)
		w.backend(func(rw http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_ = json.NewEncoder(rw).Encode(r.Trailer)
		})
		w.load(oneIssuer, "\nhttp://app.example.com {\n token_issuer\n "+before+" @b vars_regexp {http.request.body} secret\n token_gate @b\n reverse_proxy unix/$DIR/backend\n}")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://app.example.com/", io.NopCloser(strings.NewReader("hello")))
		if err != nil {
			t.Fatal(err)
		}
		r.Trailer = http.Header{"X-Checksum": {"7"}, "X-Auth-Subject": {"root"}, "Authorization": {"Bearer forged"}}
		a, err := w.do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.seen(t); len(got) > 1 || len(got) == 1 && got.Get("X-Checksum") != "7" {
			t.Errorf("%q: %v", before, got)
		}
	}
}
