package oauth

import (
	"net/http"
	"strings"
)

// What Bearer answers when there is not exactly one good token.
var (
	// ErrNoToken: nothing was sent, or credentials of another scheme. RFC 6750 §3.1
	// wants the bare challenge then, without an error code.
	ErrNoToken error = Fail(InvalidToken, NoBearerToken)

	// ErrTwoTokens: two Authorization fields. Whoever reads the first and whoever
	// reads the last would see two callers.
	ErrTwoTokens error = Fail(InvalidRequest, BadBearerToken)

	// ErrMalformedToken: what follows the scheme is not one b64token.
	ErrMalformedToken error = Fail(InvalidToken, BadBearerToken)
)

// Bearer returns the token of the Authorization field (RFC 6750 §2.1), and
// looks nowhere else.
func Bearer(h http.Header) (token string, err error) {
	fields := h["Authorization"]
	switch len(fields) {
	case 0:
		return "", ErrNoToken
	case 1:
	default:
		return "", ErrTwoTokens
	}
	const scheme = "Bearer"
	field := fields[0]
	if len(field) < len(scheme) || !strings.EqualFold(field[:len(scheme)], scheme) { // RFC 9110 §11.1: in any case
		return "", ErrNoToken
	}
	rest := field[len(scheme):]
	if rest != "" && isSchemeByte(rest[0]) {
		return "", ErrNoToken // a longer name
	}
	// RFC 9110 §11.4: one space or more, and no tab, at which a backend may cut as
	// well. The server took the ones at the end.
	token = strings.TrimLeft(rest, " ")
	if len(token) == len(rest) || !isBase64Token(token) {
		return "", ErrMalformedToken
	}
	return token, nil
}

// isSchemeByte is tchar of RFC 9110 §5.6.2.
func isSchemeByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// isBase64Token is 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=".
func isBase64Token(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !base64Token[s[i]] {
			return false
		}
	}
	return s != ""
}

// base64Token is a table because every proxied request asks it for every byte
// of its token.
var base64Token = func() (table [256]bool) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
	for i := range len(alphabet) {
		table[alphabet[i]] = true
	}
	return table
}()
