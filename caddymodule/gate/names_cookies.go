package gate

import (
	"slices"
	"strings"
)

// unclearCookies reports whether a wanted cookie may be another one to a backend. Caddy
// takes the first whose name is equal in any case; others know the case, take the last,
// find the end of a cookie at a comma or a blank, or its quotes around a semicolon. Of two
// lines some make one with a comma (RFC 6265 §5.4 has a browser send one alone).
func (w *Wanted) unclearCookies(lines []string) bool {
	if len(lines) == 0 || w.isNone() {
		return false
	}
	if len(lines) > 1 || strings.Count(lines[0], ";") >= mostPairs || w.All && hasTwins(lines[0]) {
		return true
	}
	var met met
	found, quoted := false, false
	for cookie := range strings.SplitSeq(lines[0], ";") {
		cookie = strings.Trim(cookie, blanks)
		for part := range strings.FieldsFuncSeq(cookie, endsCookie) {
			name, value, _ := strings.Cut(part, "=")
			i := w.find(strings.Trim(name, `"`))
			if i < 0 {
				if w.All && (hasNeedless(value) || w.Values && (strings.HasPrefix(value, `"`) || strings.Contains(part, "=") && !strings.HasPrefix(cookie, part))) {
					return true
				}
				continue
			}
			if part != cookie || met.again(i) || !slices.Contains(w.names, name) || !isSameCookie(value) {
				return true
			}
			found = true
		}
		quoted = quoted || isOpen(cookie)
	}
	return quoted && (found || w.All)
}

// isOpen reports whether a cookie ends within quotes, to who knows no backslashes, to who leaves
// out each quote behind one, or to who knows that a backslash may stand for itself.
func isOpen(cookie string) bool {
	var quotes, unescaped, lone int
	slashes := 0
	for i := range len(cookie) {
		switch cookie[i] {
		case '\\':
			slashes++
			continue
		case '"':
			quotes++
			if slashes == 0 {
				unescaped++
			}
			if slashes%2 == 0 {
				lone++
			}
		}
		slashes = 0
	}
	return quotes%2 != 0 || unescaped%2 != 0 || lone%2 != 0
}

// hasTwins is of cookies of one name.
func hasTwins(line string) bool {
	var sums sums
	for cookie := range strings.SplitSeq(line, ";") {
		if name, _, _ := strings.Cut(strings.Trim(cookie, blanks), "="); name != "" {
			sums.add(name)
		}
	}
	return sums.isTwice()
}

func endsCookie(c rune) bool { return c == ',' || c == ' ' || c == '\t' }

// isSameCookie is of a value that Go takes as others do, escaped or not.
func isSameCookie(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return !hasNeedless(value) && !strings.Contains(value, "%00")
}
