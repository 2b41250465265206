package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
)

// S256 is the one code_challenge_method (RFC 7636 §4.2): `plain` shows the
// verifier to whoever sees the authorization request.
const S256 = "S256"

// ValidChallenge reports whether a code_challenge can be an S256 one: SHA-256
// in base64url without padding is 43 characters.
func ValidChallenge(challenge string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(challenge)
	return err == nil && len(b) == sha256.Size
}

// Verifies reports whether a code_verifier belongs to a challenge (RFC 7636
// §4.6), and is one at all (§4.1: 43 to 128 unreserved characters).
func Verifies(verifier, challenge string) bool {
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	for n := range len(verifier) {
		if !unreserved(verifier[n]) {
			return false
		}
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

func unreserved(c byte) bool {
	switch {
	case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
		return true
	}
	return false
}
