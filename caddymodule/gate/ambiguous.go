package gate

import (
	"net/url"
	"strings"
)

// Ambiguous reports whether a path may mean another one to who reads it next:
// it has a . or .. or empty segment, a backslash, a ; with what some servers cut
// off, or an escaped slash, backslash or percent sign. A matcher that says no to
// such a path has judged one of its readings, so its no counts for nothing.
func Ambiguous(u *url.URL) bool {
	if strings.ContainsAny(u.Path, "\\;\x00%") {
		return true
	}
	for segment := range strings.SplitSeq(strings.TrimPrefix(strings.TrimSuffix(u.Path, "/"), "/"), "/") {
		if segment == "." || segment == ".." || segment == "" && u.Path != "/" && u.Path != "" {
			return true
		}
	}
	return u.RawPath != "" && hasEscapedSlash(u.RawPath)
}

func hasEscapedSlash(raw string) bool {
	for n := 0; n+2 < len(raw); n++ {
		if raw[n] == '%' && (raw[n+1] == '2' && raw[n+2]|0x20 == 'f' || raw[n+1] == '5' && raw[n+2]|0x20 == 'c') {
			return true
		}
	}
	return false
}
