package login

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// Paths is where everything of ours is, on every site that has a login.
const Paths = "/.gatehouse/"

// The addresses below it.
const (
	callbackPath = Paths + "callback"
	startPath    = Paths + "login"
	logoutPath   = Paths + "logout"
)

// CallbackPath is what an issuer has to know of a site.
const CallbackPath = callbackPath

// maxReturn keeps the state, sealed and escaped, under what issuers take.
const maxReturn = 2000

// Return is the place on this site to come back to after a sign-in: a path with
// its query, never another host, whichever way a browser reads it, never one
// of our own, and never one that changes something.
func Return(target string) string {
	u, err := url.ParseRequestURI(target)
	switch {
	case err != nil, len(target) > maxReturn,
		!strings.HasPrefix(target, "/"),
		len(target) > 1 && (target[1] == '/' || target[1] == '\\'),
		strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c >= 0x7f }),
		u.Host != "" || u.Scheme != "",
		strings.HasPrefix(u.Path, Paths), isDotted(u.Path), Changes(u):
		return "/"
	}
	return target
}

// Changes reports whether backends may read a GET of an address as more than reading.
// Where a sign-in leads, a page of this site leads, so the cookie would count for it
// whoever wrote the address.
func Changes(u *url.URL) bool {
	return !Safe(gate.Changing(&http.Request{Method: http.MethodGet, URL: u}))
}

// isDotted reports whether a browser goes to another path than the one that is
// written: it takes dot segments out, escaped ones too, and reads \ as / (WHATWG URL,
// 4.4).
func isDotted(path string) bool {
	for segment := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '/' || c == '\\' }) {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return strings.ContainsRune(path, '\\')
}
