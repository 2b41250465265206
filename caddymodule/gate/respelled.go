package gate

import (
	"net/url"
	"strings"
)

// HasOddEscapes reports whether an address is written otherwise than it would be anew:
// its path in any way, its query with escaped letters, digits or -, _ and dots. It is the
// same address to whoever takes escapes off, and another one to who reads it as a text.
func HasOddEscapes(u *url.URL) bool {
	if u.RawPath != "" {
		return true
	}
	for rest := u.RawQuery; ; {
		at := strings.IndexByte(rest, '%')
		if at < 0 || len(rest) < at+3 {
			return false
		}
		if c, err := url.QueryUnescape(rest[at : at+3]); err == nil && needsNoEscape(c[0]) {
			return true
		}
		rest = rest[at+1:]
	}
}

func needsNoEscape(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '-' || c == '_' || c == '.'
}
