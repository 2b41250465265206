package gate

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// WithDestination are the readings of a request, and each of them for the other path that it
// acts upon. sent is the address of one before anybody rewrote it.
func WithDestination(r *http.Request, sent func(*http.Request) *url.URL, others []*http.Request, complete bool) ([]*http.Request, bool) {
	to, named := destination(r, sent)
	switch {
	case !named || !complete:
		return nil, false
	case to == nil:
		return others, true
	}
	for _, u := range append(slices.Clone(others), r) {
		others = append(others, at(u, to.Path, r.URL.RawQuery))
	}
	return others, true
}

// destination is the path that COPY, MOVE and methods that nobody knows act upon beside the
// request's own (RFC 4918 §9.8, §9.9, §10.3), nil where there is none; named: false, where
// it is on another host, has two readings or is one of two. A backend behind a prefix that
// was taken off the path is meant to take it off there, too.
func destination(r *http.Request, sent func(*http.Request) *url.URL) (to *url.URL, named bool) {
	fields := r.Header["Destination"]
	if len(fields) == 0 || hasOnePath(r) {
		return nil, true
	}
	to, err := url.Parse(fields[0])
	switch {
	case err != nil, len(fields) > 1, strings.ContainsAny(fields[0], "?#"), to.User != nil, !isOnHost(to, r.Host),
		isTwofold(to), strings.ContainsAny(to.Path, cuts), bare(to.Path) != to.Path:
		return nil, false
	}
	prefix, ok := strings.CutSuffix(sent(r).Path, r.URL.Path)
	switch {
	case !ok:
		return nil, false
	case prefix == "":
		return to, true
	case len(to.Path) > len(prefix) && to.Path[len(prefix)] == '/' && strings.EqualFold(to.Path[:len(prefix)], prefix):
		to.Path = to.Path[len(prefix):]
	}
	return to, true
}

// isOnHost reports whether an address is a path alone, or one on a host.
func isOnHost(u *url.URL, host string) bool {
	if u.Scheme != "http" && u.Scheme != "https" {
		return u.Scheme == "" && u.Host == ""
	}
	return u.Host != "" && isPlainHost(u.Host) && plainHost(u.Host) == plainHost(host)
}

// ofOnePath are the methods of RFC 9110, RFC 5789 and RFC 4918 to which Destination means
// nothing.
var ofOnePath = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, http.MethodConnect, http.MethodTrace,
	"PROPFIND", "PROPPATCH", "MKCOL", "LOCK", "UNLOCK",
}

// hasOnePath reports whether a request acts upon its own path alone, by whichever of its
// methods.
func hasOnePath(r *http.Request) bool {
	method, several := otherMethod(r)
	return !several && slices.Contains(ofOnePath, r.Method) && (method == "" || slices.Contains(ofOnePath, method))
}
