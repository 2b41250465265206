package gate

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unclear reports whether a request has two readings: its path; its host, which with a
// dot at its end is another one for a matcher and the same for a server, and with two
// colons is cut at either of them; or its method, which many take for the same in small
// letters, and CONNECT, which opens what is read as GET. A matcher's no to it counts for
// nothing. Where the other readings can be named, Readings has them.
func Unclear(r *http.Request) bool {
	return isTwofold(r.URL) || !isPlainHost(r.Host) || isDotted(r.Host) || hasSmallLetters(r.Method) || r.Method == http.MethodConnect && !connectsSocket(r)
}

// Upgraded is a request as the backend gets it where it opens a WebSocket by CONNECT,
// over HTTP/2 (RFC 8441 §4) or HTTP/3 (RFC 9220 §3); else nil.
func Upgraded(r *http.Request) *http.Request {
	if !connectsSocket(r) {
		return nil
	}
	u := *r
	u.Method, u.Header = http.MethodGet, r.Header.Clone()
	delete(u.Header, ":protocol")
	u.Header["Connection"], u.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	if u.Header["Sec-Websocket-Key"] == nil {
		u.Header["Sec-Websocket-Key"] = []string{"AAAAAAAAAAAAAAAAAAAAAA=="} // the proxy makes one by chance
	}
	return &u
}

func connectsSocket(r *http.Request) bool {
	if r.Method != http.MethodConnect {
		return false
	}
	named := r.Header[":protocol"]
	return r.ProtoMajor == 3 && r.Proto == "websocket" || r.ProtoMajor == 2 && len(named) == 1 && named[0] == "websocket"
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

func isDotted(host string) bool { return strings.HasSuffix(withoutPort(host), ".") }

// isPlainHost says that a host is cut from its port at one place only, and has no
// character that somebody takes for another. None at all is none for everybody.
func isPlainHost(host string) bool {
	name, port := host, ""
	if end := strings.IndexByte(host, ']'); end > 0 && host[0] == '[' {
		name, port = strings.ReplaceAll(host[1:end], ":", ""), host[end+1:]
	} else if colon := strings.IndexByte(host, ':'); colon >= 0 {
		name, port = host[:colon], host[colon:]
	}
	for i := range len(name) {
		if c := name[i]; !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	digits, colon := strings.CutPrefix(port, ":")
	return (colon || port == "") && strings.Trim(digits, "0123456789") == ""
}

// Ambiguous reports whether a path may mean another one to who reads it next: it is
// twofold, or has an escaped ? or # with what some servers cut off.
func Ambiguous(u *url.URL) bool { return strings.ContainsAny(u.Path, cuts) || isTwofold(u) }

// isTwofold reports whether a path may mean another one that nobody can name:
// there is none, because the target is an address that net/url leaves in one piece and
// a server behind takes apart (RFC 9112 §3.2.2), or no slash in front of it; or
// it has a . or .. or empty segment, one of dots and blanks, a backslash, a ;, an escaped ?
// beside an escaped #, an escaped slash, backslash or percent sign, a control character, broken
// UTF-8 (in which some find a dot or a slash), or a character that stands for
// one of these in a wider font, or a part that ASP.NET takes out for a session (`/(S(x))/`). A matcher that says no to such a path has judged
// one of its readings, so its no counts for nothing.
func isTwofold(u *url.URL) bool {
	if u.Opaque != "" || u.Path == "" || u.Path[0] != '/' {
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
		if segment == "." || segment == ".." || segment == "" && u.Path != "/" || isBlank(segment) {
			return true
		}
	}
	if hasSession(u.Path) {
		return true
	}
	if strings.Contains(u.Path, "?") && strings.Contains(u.Path, "#") {
		return true // cut at the one or at the other
	}
	return u.RawPath != "" && hasEscapedSlash(u.RawPath)
}

// hasSession reports whether a path has a part, or the begin of one, that ASP.NET takes out
// of every path, whether its sessions are there or in cookies: one or more capitals, each
// with a text in parentheses, in parentheses.
func hasSession(path string) bool {
	for {
		at := strings.Index(path, "/(")
		if at < 0 {
			return false
		}
		path = path[at+2:]
		rest := path
		for len(rest) > 2 && 'A' <= rest[0] && rest[0] <= 'Z' && rest[1] == '(' {
			end := strings.IndexAny(rest[2:], ")/")
			if end < 0 || rest[2+end] != ')' {
				break
			}
			if rest = rest[2+end+1:]; strings.HasPrefix(rest, ")") {
				return true
			}
		}
	}
}

// isBlank is of a part of a path that Windows reads as . or .. or none.
func isBlank(segment string) bool {
	return strings.Contains(segment, " ") && strings.Trim(segment, ends) == ""
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
	case '\u037e', '\u2024', '\u2025', '\u2044', '\u2215', '\u2216', '\ufe30', '\ufe52', '\ufe54', '\ufe68', '\ufe6a', '\uff05', '\uff0e', '\uff0f', '\uff1b', '\uff3c':
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
