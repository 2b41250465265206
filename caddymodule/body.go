package caddymodule

import (
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// readsBody reports whether matchers read the body.
func readsBody(sets caddyhttp.RawMatcherSets) bool {
	return inMatchers(sets, func(_ string, value any) string {
		for text := range texts(value) {
			if strings.Contains(text, "http.request.body") {
				return text
			}
		}
		return ""
	}) != ""
}

// keepBody gives a request its body back. The replacer that reads it puts it back into the
// request that it was made for, which behind `tracing` is another one than this.
func keepBody(r *http.Request) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok || r.Body == nil {
		return
	}
	own := r.Body
	r.Body = nil // of this one, the replacer says then that there is none
	read, _ := repl.Get("http.request.body")
	r.Body = own
	if body, _ := read.(string); body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
	}
}
