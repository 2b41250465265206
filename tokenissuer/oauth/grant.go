package oauth

import "strings"

// Values of grant_type (RFC 6749 §4, §6).
const (
	GrantPassword          = "password"
	GrantAuthorizationCode = "authorization_code"
	GrantClientCredentials = "client_credentials"
	GrantRefreshToken      = "refresh_token"
)

// otpGrants is the common beginning of the one-time code grants' URIs.
const otpGrants = "http://tencentciam.com/oauth2/grant-type/otp/"

// KnownGrant reports whether the documented APIs have a grant, served here or
// not: what a client may not use is another answer than what nobody knows.
func KnownGrant(grantType string) bool {
	return grantType == GrantAuthorizationCode || grantType == GrantClientCredentials || GrantOfPeople(grantType)
}

// GrantOfPeople reports whether a grant_type is one that a person's proof earns
// without a redirect. Client authentication is judged before the grant is, and
// differs for these (see client.Authenticate).
func GrantOfPeople(grantType string) bool {
	switch grantType {
	case GrantPassword, GrantRefreshToken, otpGrants + "sms", otpGrants + "email":
		return true
	}
	return strings.HasSuffix(grantType, "/oauth2/grant-type/otp/sms") || strings.HasSuffix(grantType, "/oauth2/grant-type/otp/email")
}
