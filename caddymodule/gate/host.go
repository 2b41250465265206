package gate

import (
	"net/http"
	"slices"
	"strings"
)

// WithHost are the readings of a request, and each of them for the host alone: in small
// letters (RFC 9110 §4.2.3) and without a port, as servers find a site by it. Who compares
// it as it was sent sees another one.
func WithHost(r *http.Request, others []*http.Request) []*http.Request {
	name := plainHost(r.Host)
	if name == r.Host {
		return others
	}
	for _, u := range append(slices.Clone(others), r) {
		plain := *u
		plain.Host = name
		others = append(others, &plain)
	}
	return others
}

// HasOddHost reports whether a host is written as no browser does: with capitals, or with
// an empty port or that of http or https.
func HasOddHost(r *http.Request) bool {
	port := strings.TrimLeft(r.Host[len(withoutPort(r.Host)):], ":0")
	return plainHost(r.Host) != r.Host && (port == "" || port == "80" || port == "443" || hasCapitals(r.Host))
}

func hasCapitals(host string) bool {
	return strings.ContainsFunc(host, func(c rune) bool { return 'A' <= c && c <= 'Z' })
}

// plainHost is a host in small letters and without a port.
func plainHost(host string) string { return strings.ToLower(withoutPort(host)) }

func withoutPort(host string) string {
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		return host[:colon]
	}
	return host
}
