package gate

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unclear reports whether a request has two readings: its path; its host, which with a
// dot at its end is another one for a matcher and the same for a server; or its method,
// which many take for the same in small letters. A matcher's no to it counts for nothing.
func Unclear(r *http.Request) bool {
	return Ambiguous(r.URL) || isDotted(r.Host) || hasSmallLetters(r.Method)
}

// hasSmallLetters is of no registered method (RFC 9110 §9.1 compares them as they are).
func hasSmallLetters(method string) bool {
	for i := range len(method) {
		if 'a' <= method[i] && method[i] <= 'z' {
			return true
		}
	}
	return false
}

func isDotted(host string) bool {
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		host = host[:colon]
	}
	return strings.HasSuffix(host, ".")
}

// Ambiguous reports whether a path may mean another one to who reads it next:
// there is none, because the target is an address that net/url leaves in one piece and
// a server behind takes apart (RFC 9112 §3.2.2), or no slash in front of it; or
// it has a . or .. or empty segment, a backslash, a ; with what some servers cut
// off, an escaped slash, backslash or percent sign, a control character, broken
// UTF-8 (in which some find a dot or a slash), or a character that stands for
// one of these in a wider font. A matcher that says no to such a path has judged
// one of its readings, so its no counts for nothing.
func Ambiguous(u *url.URL) bool {
	if u.Path == "" || u.Path[0] != '/' {
		return true
	}
	ascii := true
	for i := range len(u.Path) {
		c := u.Path[i]
		if ambiguousBytes[c] {
			return true
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && (!utf8.ValidString(u.Path) || strings.ContainsFunc(u.Path, isWide)) {
		return true
	}
	for segment := range strings.SplitSeq(strings.TrimPrefix(strings.TrimSuffix(u.Path, "/"), "/"), "/") {
		if segment == "." || segment == ".." || segment == "" && u.Path != "/" {
			return true
		}
	}
	return u.RawPath != "" && hasEscapedSlash(u.RawPath)
}

var ambiguousBytes = func() (table [256]bool) {
	for c := range byte(' ') {
		table[c] = true
	}
	for _, c := range []byte("\\;%\x7f") {
		table[c] = true
	}
	return table
}()

// isWide says that normalizing (Unicode NFKC, or the mapping of old Windows code
// pages) makes a dot, a slash, a backslash, a ; or a % of a character beyond
// ASCII, or that it is a control character.
func isWide(r rune) bool {
	switch r {
	case '\u037e', '\u2024', '\u2025', '\u2044', '\u2215', '\u2216', '\ufe52', '\ufe54', '\ufe68', '\ufe6a', '\uff05', '\uff0e', '\uff0f', '\uff1b', '\uff3c':
		return true
	}
	return unicode.IsControl(r)
}

func hasEscapedSlash(raw string) bool {
	for n := 0; n+2 < len(raw); n++ {
		if raw[n] == '%' && (raw[n+1] == '2' && raw[n+2]|0x20 == 'f' || raw[n+1] == '5' && raw[n+2]|0x20 == 'c') {
			return true
		}
	}
	return false
}
