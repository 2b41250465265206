package caddymodule

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// hostless are matchers that take a host for the same in any letters and with any port, or
// do not look at it, but for what they are made of.
var hostless = []string{"path", "path_regexp", "method", "host", "query", "header", "header_regexp", "protocol", "tls", "remote_ip", "client_ip", "vars", "vars_regexp"}

// readsHost reports whether matchers may read a host as it was sent.
func readsHost(sets caddyhttp.RawMatcherSets) bool {
	return inMatchers(sets, func(name string, value any) string {
		return eachMatcher(name, value, func(name string, value any) string {
			if !slices.Contains(hostless, name) || slices.Contains(fieldsOf(name, value), "Host") {
				return name
			}
			for text := range texts(value) {
				if strings.Contains(text, "http.request.host") || strings.Contains(text, "http.request.port") {
					return text
				}
			}
			return ""
		})
	}) != ""
}
