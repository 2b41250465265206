package caddymodule

import (
	"net/http"
	"regexp"
	"strings"
)

var (
	wholeCookie = regexp.MustCompile(`\{http\.request\.header\.(?i:cookie)\}`)
	namedCookie = regexp.MustCompile(`(?i)['"]cookie['"]`)

	// besideCookie is a text that a rule compares all cookies with.
	besideCookie = regexp.MustCompile(`(?i)(?:\{http\.request\.header\.cookie\}\s*(?:\.\w+\(\s*|[=!]=\s*)|['"]cookie['"]\s*[,:]\s*)(` + textInCEL + `)`)

	cookieSought = regexp.MustCompile(`((?:[\w-]|\\?\.|\\-)*)=`)
	// beginsCookie is what stands in front of a name that is whole.
	beginsCookie = regexp.MustCompile(`(?:^|\^|;| |\.\*|\[[; ,]+\]|\((?:\?:)?[;^| ,*+?\[\]]*\))[*+?]*$`)
	flags        = regexp.MustCompile(`\(\?[a-zA-Z-]+\)`)
	classEscape  = regexp.MustCompile(`\\[a-zA-Z]`)
)

// addCookies looks for the names of cookies where somebody reads all of them as a text: Caddy
// has no matcher of cookies, so they are matched as a header is.
func (n *namesRead) addCookies(name string, value any) {
	if of, isMap := value.(map[string]any); isMap && (name == "header" || name == "header_regexp") {
		for field, sought := range of {
			if http.CanonicalHeaderKey(field) == "Cookie" {
				n.addCookiesSought(sought)
			}
		}
		return
	}
	text := textOf(value)
	reads, beside := len(wholeCookie.FindAllString(text, -1)), 0
	if isRule(name) {
		reads += len(namedCookie.FindAllString(text, -1))
		for _, found := range besideCookie.FindAllStringSubmatch(text, -1) {
			literal := strings.TrimPrefix(found[1], "r")
			n.addCookiesOf(strings.ReplaceAll(literal[1:len(literal)-1], `\\`, `\`))
			beside++
		}
	} else {
		for _, c := range comparisons(name, value) {
			if !wholeCookie.MatchString(c.read) {
				continue
			}
			if c.isText {
				c.text = regexp.QuoteMeta(c.text)
			}
			n.addCookiesOf(c.text)
			beside++
		}
	}
	if reads > beside {
		n.Cookies.All, n.Cookies.Values = true, true
	}
}

// addCookiesSought looks at what a matcher of headers looks for.
func (n *namesRead) addCookiesSought(sought any) {
	if of, isPattern := sought.(map[string]any); isPattern {
		n.addCookiesOf(textOf(of["pattern"]))
		return
	}
	for text := range texts(sought) {
		if text = strings.Trim(text, "*"); text != "" {
			n.addCookiesOf(regexp.QuoteMeta(text))
		}
	}
}

// addCookiesOf notes the names in a pattern. One without a value may be of any cookie, and so
// may a value of which the name is not whole.
func (n *namesRead) addCookiesOf(pattern string) {
	pattern = strings.NewReplacer(`\s`, " ", `\b`, "").Replace(flags.ReplaceAllString(pattern, ""))
	pattern = classEscape.ReplaceAllString(pattern, "\x00")
	if !strings.Contains(pattern, "=") {
		n.Cookies.All = true
		return
	}
	for _, at := range cookieSought.FindAllStringSubmatchIndex(pattern, -1) {
		before, name := pattern[:at[0]], pattern[at[2]:at[3]]
		if strings.HasSuffix(before, "=") { // of a value
			continue
		}
		bare := strings.TrimLeft(name, ".") // a dot is any character, which none has for a name
		if bare == "" || bare != name || !beginsCookie.MatchString(before) {
			n.Cookies.All, n.Cookies.Values = true, true
		}
		if bare != "" {
			n.Cookies.Add(strings.ReplaceAll(bare, `\`, ""))
		}
	}
}
