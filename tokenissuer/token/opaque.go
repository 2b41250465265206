package token

import "errors"

// ErrUnknown says that nobody issued the opaque token, or that it is swept away.
var ErrUnknown = errors.New("unknown opaque token")

// opaqueLength is 16 bytes in the form of a UUID.
const opaqueLength = 36

// IsOpaque reports whether a string has the form of an opaque token. A JWT
// never has: it is longer, and has dots.
func IsOpaque(raw string) bool {
	if len(raw) != opaqueLength {
		return false
	}
	for n := range len(raw) {
		c := raw[n]
		switch {
		case n == 8 || n == 13 || n == 18 || n == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}
