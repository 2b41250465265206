package login

import (
	"net/http"
	"strings"
)

// FromHere reports whether a request with a cookie in it comes from this site or
// from the person: browsers send a cookie for whoever makes them. What may change
// something, and what opens a channel, has to show it; a cookie that is SameSite=Lax
// is enough for reading, but for what other sites embed.
func FromHere(r *http.Request) bool {
	site, told := one(r.Header, "Sec-Fetch-Site")
	if !told {
		return false
	}
	if Safe(r) {
		mode, _ := one(r.Header, "Sec-Fetch-Mode")
		return site != "cross-site" || mode == "navigate"
	}
	switch site {
	case "same-origin", "none":
		return true
	case "":
		// A browser too old for it tells the origin at least, and one that has no
		// secret to keep is no browser.
		origin, told := one(r.Header, "Origin")
		return told && strings.EqualFold(origin, "https://"+r.Host)
	}
	return false
}

// Safe is of requests that only read. An upgrade is none: no page may open a
// WebSocket with somebody else's cookie, and CORS does not stand in its way.
func Safe(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && len(r.Header["Upgrade"]) == 0
}

// one is a field's only value, "" without one; false: it came twice.
func one(h http.Header, name string) (value string, ok bool) {
	switch fields := h[name]; len(fields) {
	case 0:
		return "", true
	case 1:
		return fields[0], true
	}
	return "", false
}

// IsNavigation reports whether a person is waiting for a page, who can be sent to
// another one: not a script, not a frame that no portal opens in, and not a page
// that is fetched before anybody asked for it.
func IsNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet || len(r.Header["Upgrade"]) > 0 || len(r.Header["Sec-Purpose"]) > 0 {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		dest := r.Header.Get("Sec-Fetch-Dest")
		return mode == "navigate" && (dest == "document" || dest == "")
	}
	if len(r.Header["X-Requested-With"]) > 0 {
		return false
	}
	for _, accept := range r.Header["Accept"] {
		if strings.Contains(accept, "text/html") {
			return true
		}
	}
	return false
}
