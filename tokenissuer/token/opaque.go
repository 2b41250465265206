package token

import (
	"errors"
	"strings"
)

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

// IsJOSE reports whether a string has the form of a signed or an encrypted JWT:
// dots, and what begins as a JSON object does in base64url (RFC 7515 §7.1, RFC 7516
// §7.1). Another issuer's opaque token may be anything else.
func IsJOSE(raw string) bool {
	return strings.HasPrefix(raw, "ey") && strings.Count(raw, ".") >= 2
}
