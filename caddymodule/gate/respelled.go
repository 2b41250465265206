package gate

import "net/url"

// HasOddEscapes reports whether an address is written with escapes that it does not need:
// it is the same to whoever takes them off, and another one to who reads it as a text.
func HasOddEscapes(u *url.URL) bool { return hasNeedless(u.RawPath) || hasNeedless(u.RawQuery) }
