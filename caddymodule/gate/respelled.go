package gate

import "net/url"

// HasOddEscapes reports whether an address is written with escapes that it does not need:
// it is the same to whoever takes them off, and another one to who reads it as a text.
func HasOddEscapes(u *url.URL) bool {
	return hasNeedlessOf(u.RawPath, plainInPaths) || hasNeedless(u.RawQuery)
}

// plainInPaths stand for themselves in a path (RFC 3986 §3.3).
const plainInPaths = "~:@&=+$,;"
