package caddymodule

import (
	"net/http"
	"regexp"
	"strings"
)

var (
	cookieSought = regexp.MustCompile(`([\w-]+(?:\.[\w-]+)*)=`)
	classEscape  = regexp.MustCompile(`\\[a-zA-Z]`)
	wholeCookie  = regexp.MustCompile(`\{http\.request\.header\.(?i:cookie)\}`)
	namedCookie  = regexp.MustCompile(`(?i)['"]cookie['"]`)
)

// addCookies looks for the names of cookies where a matcher reads all of them as a text: Caddy
// has no matcher of cookies, so they are matched as a header is. One without a name may be
// of any.
func (n *namesRead) addCookies(name string, value any) {
	of, isMap := value.(map[string]any)
	switch {
	case isMap && (name == "header" || name == "header_regexp"):
		for field, sought := range of {
			if pattern, isPattern := sought.(map[string]any); isPattern {
				sought = pattern["pattern"]
			}
			for text := range texts(sought) {
				if http.CanonicalHeaderKey(field) == "Cookie" && strings.Trim(text, "*") != "" && !n.addCookiesOf(text) {
					n.Cookies.All = true
				}
			}
		}
	default:
		text := textOf(value)
		whole := wholeCookie.MatchString(text) || isRule(name) && namedCookie.MatchString(text)
		if whole && !n.addCookiesOf(fieldRead.ReplaceAllString(text, "")) {
			n.Cookies.All = true
		}
	}
}

// addCookiesOf notes the names in a text, and reports whether it has one.
func (n *namesRead) addCookiesOf(text string) bool {
	found := cookieSought.FindAllStringSubmatch(classEscape.ReplaceAllString(text, " "), -1)
	for _, name := range found {
		n.Cookies.Add(name[1])
	}
	return len(found) > 0
}
