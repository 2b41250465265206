package oauth

import "strings"

// Values of grant_type (RFC 6749 §4, §6).
const (
	GrantPassword          = "password"
	GrantAuthorizationCode = "authorization_code"
	GrantClientCredentials = "client_credentials"
	GrantRefreshToken      = "refresh_token"
)

// The grants of one-time codes, as the documented API spells them.
const (
	GrantOTPSMS   = "http://tencentciam.com/oauth2/grant-type/otp/sms"
	GrantOTPEmail = "http://tencentciam.com/oauth2/grant-type/otp/email"
)

const (
	otpPath = "/oauth2/grant-type/otp/" // below the issuer's own address, as in samples of the documents
	otpURN  = "urn:gatehouse:grant-type:otp:"
)

// CanonicalGrant returns the one name of a grant that has several. issuer is
// scheme and host.
func CanonicalGrant(grantType, issuer string) string {
	kind, ok := strings.CutPrefix(grantType, otpURN)
	if !ok {
		kind, ok = strings.CutPrefix(grantType, issuer)
		if ok {
			kind, ok = strings.CutPrefix(kind, otpPath)
		}
	}
	switch {
	case ok && kind == "sms":
		return GrantOTPSMS
	case ok && kind == "email":
		return GrantOTPEmail
	}
	return grantType
}

// KnownGrant reports whether the documented APIs have a grant, served here or
// not: what a client may not use is another answer than what nobody knows.
func KnownGrant(grantType string) bool {
	switch grantType {
	case GrantPassword, GrantAuthorizationCode, GrantClientCredentials, GrantRefreshToken, GrantOTPSMS, GrantOTPEmail:
		return true
	}
	return false
}

// GrantOfPeople reports whether a grant_type is one that a person's proof earns
// without a redirect. Client authentication is judged before the grant is, and
// differs for these (see client.Authenticate).
func GrantOfPeople(grantType string) bool {
	switch grantType {
	case GrantPassword, GrantRefreshToken, GrantOTPSMS, GrantOTPEmail, otpURN + "sms", otpURN + "email":
		return true
	}
	return strings.HasSuffix(grantType, otpPath+"sms") || strings.HasSuffix(grantType, otpPath+"email")
}
