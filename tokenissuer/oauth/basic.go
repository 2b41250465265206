package oauth

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsBasic says that an Authorization field uses the Basic scheme, well formed or
// not.
func IsBasic(header string) bool {
	_, ok := basicCredentials(header)
	return ok
}

// ParseBasic reads the client credentials of an Authorization field. RFC 6749
// §2.3.1: both are form-urlencoded before RFC 7617 joins them with a colon; this
// is the decoded reading, RawBasic the other.
func ParseBasic(header string) (id, secret string, err error) {
	rawID, rawSecret, err := RawBasic(header)
	if err != nil {
		return "", "", err
	}
	id, okID := unescape(rawID)
	secret, okSecret := unescape(rawSecret)
	if !okID || !okSecret || !isUserPass(id) || !isUserPass(secret) {
		return "", "", Fail(InvalidRequest, MalformedBasic)
	}
	return id, secret, nil
}

// RawBasic reads the credentials as RFC 7617 alone has them, not urlencoded:
// what clients of the idaas dialect send.
func RawBasic(header string) (id, secret string, err error) {
	credentials, ok := basicCredentials(header)
	if !ok {
		return "", "", Fail(InvalidRequest, MalformedBasic)
	}
	// The decoder passes over line ends, and over stray bits unless strict.
	if strings.ContainsAny(credentials, "\r\n") {
		return "", "", Fail(InvalidRequest, MalformedBasic)
	}
	joined, decodeErr := base64.StdEncoding.Strict().DecodeString(credentials)
	id, secret, colon := strings.Cut(string(joined), ":")
	if decodeErr != nil || !colon || !isUserPass(id) || !isUserPass(secret) {
		return "", "", Fail(InvalidRequest, MalformedBasic)
	}
	return id, secret, nil
}

// basicCredentials cuts `Basic` and its spaces off (RFC 9110 §11.4: the scheme
// is case-insensitive).
func basicCredentials(header string) (string, bool) {
	scheme, rest, _ := strings.Cut(header, " ")
	return strings.TrimLeft(rest, " "), strings.EqualFold(scheme, "Basic")
}

// isUserPass holds what RFC 7617 §2 asks of user-id and password, no control
// characters, and that neither is empty.
func isUserPass(s string) bool {
	return s != "" && utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}
