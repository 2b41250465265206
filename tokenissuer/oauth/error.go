package oauth

import (
	"errors"
	"fmt"
	"time"
)

// Error codes of RFC 6749 §5.2 and of the specifications built on it, with the
// two that the documented APIs add under RFC 6749 §8.5.
const (
	InvalidRequest         = "invalid_request"
	InvalidClient          = "invalid_client"
	InvalidGrant           = "invalid_grant"
	InvalidScope           = "invalid_scope"
	InvalidToken           = "invalid_token"
	InsufficientScope      = "insufficient_scope"
	UnauthorizedClient     = "unauthorized_client"
	UnsupportedGrantType   = "unsupported_grant_type"
	InvalidTarget          = "invalid_target" // RFC 8707 §2
	InvalidAuthSource      = "invalid_auth_source"
	Unauthorized           = "unauthorized"
	NotFound               = "not_found"
	UserNotFound           = "user_not_found"
	TemporarilyUnavailable = "temporarily_unavailable"
	ServerError            = "server_error"

	// Those of the authorization endpoint (RFC 6749 §4.1.2.1, OpenID Connect Core
	// §3.1.2.6).
	AccessDenied            = "access_denied"
	UnsupportedResponseType = "unsupported_response_type"
	RequestNotSupported     = "request_not_supported"
	RequestURINotSupported  = "request_uri_not_supported"
	LoginRequired           = "login_required"
	ConsentRequired         = "consent_required"
	RedirectURIMismatch     = "redirect_uri_mismatch"
	UnmetRequirements       = "unmet_authentication_requirements" // OpenID Connect Core Error Code 1.0

	// Those of the account endpoints, which the documented API adds under RFC 6749
	// §8.5.
	Misconfigured          = "misconfigured"
	InvalidUsername        = "invalid_username"
	DuplicateUsername      = "duplicate_username"
	InvalidPassword        = "invalid_password"
	InvalidNewPassword     = "invalid_new_password"
	WrongOldPassword       = "wrong_old_password"
	DuplicatePassword      = "duplicate_password"
	RecurrentPassword      = "recurrent_password"
	AbnormalUserStatus     = "abnormal_user_status"
	IllegalParameterValue  = "illegal_parameter_value"
	DuplicateEmail         = "duplicate_email"
	BadEmailOTPToken       = "bad_email_otp_token"
	BadEmailOTP            = "bad_email_otp"
	DuplicatePhoneNumber   = "duplicate_phone_number"
	BadPhoneNumberOTPToken = "bad_phone_number_otp_token"
	BadPhoneNumberOTP      = "bad_phone_number_otp"
)

// Those of sending one-time codes; the documented API adds them.
const (
	MalformedPhoneNumber  = "malformed_phone_number"
	MalformedEmailAddress = "malformed_email"
	PhoneNumberIsUsed     = "phone_number_is_used"
	EmailIsUsed           = "email_is_used"
	InvalidEmail          = "invalid_email"
	InsufficientSMSQuota  = "insufficient_sms_quota"
	InsufficientMailQuota = "insufficient_email_quota"
	SMSRateLimitExceeded  = "sms_rate_limit_exceeded"
	MailRateLimitExceeded = "email_rate_limit_exceeded"
)

// Reason names the exact condition behind an error. Logs and metrics carry it,
// and a dialect may tell it to the client in its own words; the plain RFC
// answer never does.
type Reason string

// The conditions of the token endpoint and of the endpoints around it.
const (
	UnknownEndpoint      Reason = "unknown_endpoint"
	MethodNotAllowed     Reason = "method_not_allowed"
	BodyTooLarge         Reason = "body_too_large"
	UnsupportedMediaType Reason = "unsupported_content_type"
	MalformedBody        Reason = "malformed_body"
	RepeatedParameter    Reason = "repeated_parameter"
	MissingParameter     Reason = "missing_parameter"
	UnknownGrantType     Reason = "unknown_grant_type"
	EarlyData            Reason = "early_data"
	TooManyRequests      Reason = "too_many_requests"
	StoreUnavailable     Reason = "store_unavailable"
	Overloaded           Reason = "overloaded"
	ShuttingDown         Reason = "shutting_down"

	MalformedBasic     Reason = "malformed_basic"
	TwoCredentials     Reason = "two_client_credentials"
	NoClientCredential Reason = "no_client_credential"
	UnknownClient      Reason = "unknown_client"
	UnknownPKCEClient  Reason = "unknown_pkce_client"
	DisabledClient     Reason = "disabled_client"
	RevokedClient      Reason = "revoked_client"
	ForeignScript      Reason = "page_of_another_origin"
	WrongSecret        Reason = "wrong_client_secret"
	ClientMismatch     Reason = "client_mismatch"
	PublicWithSecret   Reason = "secret_of_client_without_one"
	SecretRequired     Reason = "client_secret_required"
	GrantNotAllowed    Reason = "grant_not_allowed"
	ScopeNotAllowed    Reason = "scope_not_allowed"
	AudienceNotGranted Reason = "audience_not_granted"

	WrongCredentials      Reason = "wrong_credentials"
	UnsupportedIdentifier Reason = "unsupported_identifier"
	SourceNotAssociated   Reason = "source_not_associated"
	AccountLocked         Reason = "account_locked"
	AccountFrozen         Reason = "account_frozen"
	PasswordExpired       Reason = "password_expired"
	AccountGone           Reason = "account_gone"

	MissingLogoutClient Reason = "logout_without_client"

	UnknownOTPToken  Reason = "unknown_otp_token"
	WrongOTP         Reason = "wrong_otp"
	MismatchedOTP    Reason = "otp_for_something_else"
	UnknownUser      Reason = "unknown_user"
	SourceCannotSend Reason = "source_cannot_send"
	MalformedPhone   Reason = "malformed_phone_number"
	MalformedEmail   Reason = "malformed_email"
	PhoneTaken       Reason = "phone_number_is_used"
	EmailTaken       Reason = "email_is_used"
	NumberUsedUp     Reason = "sms_rate_limit"
	MailboxUsedUp    Reason = "email_rate_limit"
	SMSUsedUp        Reason = "sms_of_client_used_up"
	EmailUsedUp      Reason = "email_of_client_used_up"
	RefusedAddress   Reason = "address_refused"
	SendingFailed    Reason = "sending_failed"

	UnknownResponseType Reason = "unknown_response_type"
	UnknownAuthClient   Reason = "unknown_client_of_authorize"
	BadChallenge        Reason = "bad_code_challenge"
	BadParameter        Reason = "bad_parameter"
	RequestObject       Reason = "request_object"
	UnmetACR            Reason = "unmet_acr"
	DeniedByPerson      Reason = "denied_by_person"
	NoSession           Reason = "no_session"

	UnknownCode      Reason = "unknown_code"
	ForeignCode      Reason = "code_of_another_client"
	SpentCode        Reason = "spent_code"
	ExpiredCode      Reason = "expired_code"
	RedirectMismatch Reason = "redirect_uri_mismatch"
	WrongVerifier    Reason = "wrong_code_verifier"

	UnknownRefreshToken Reason = "unknown_refresh_token"
	SpentRefreshToken   Reason = "spent_refresh_token"
	ExpiredRefreshToken Reason = "expired_refresh_token"
	RevokedFamily       Reason = "revoked_family"
	LostRace            Reason = "lost_race"
	ForeignToken        Reason = "token_of_another_client"
	ForeignRefreshToken Reason = "refresh_token_of_another_client"
	MissingRevokedToken Reason = "missing_token_parameter"

	SignUpNotEnabled      Reason = "sign_up_not_enabled"
	NoPasswordSource      Reason = "no_password_source"
	UnknownAttribute      Reason = "unknown_attribute"
	UnconfiguredAttribute Reason = "unconfigured_attribute"
	UnsupportedAttribute  Reason = "unsupported_attribute"
	MissingAttribute      Reason = "missing_attribute"
	UnfitAttribute        Reason = "unfit_attribute"
	UnfitUsername         Reason = "unfit_username"
	UnfitPassword         Reason = "unfit_password"
	WrongOld              Reason = "wrong_old_password"
	SamePassword          Reason = "same_password"
	FormerPassword        Reason = "former_password"
	UserLocked            Reason = "user_locked"
	UserFrozen            Reason = "user_frozen"
	UserGone              Reason = "user_gone"
	IdentifierTaken       Reason = "identifier_taken"
	BadOTPToken           Reason = "bad_otp_token"
	BadOTP                Reason = "bad_otp"

	NoBearerToken  Reason = "no_bearer_token"
	BadBearerToken Reason = "bad_bearer_token"
	RevokedToken   Reason = "revoked_token"
	MissingScope   Reason = "missing_scope"
)

// Error is the one protocol error. Code is what every dialect can answer with
// (RFC 6749 §5.2); Reason and Param let a dialect say more; Cause is for the
// log alone and never leaves the process.
type Error struct {
	Code   string // "" counts as server_error
	Reason Reason
	Param  string // the parameter concerned, "" where none is
	Who    string // the account concerned, for the log alone; "" where none is
	Cause  error

	// Retry is how long from now the same request may succeed; 0: nobody knows.
	Retry time.Duration
}

// Fail makes an Error without a cause.
func Fail(code string, reason Reason) *Error { return &Error{Code: code, Reason: reason} }

// FailParam makes an Error about one parameter.
func FailParam(code string, reason Reason, param string) *Error {
	return &Error{Code: code, Reason: reason, Param: param}
}

// Wrap makes an Error with a private cause.
func Wrap(code string, reason Reason, cause error) *Error {
	return &Error{Code: code, Reason: reason, Cause: cause}
}

func (e *Error) Error() string {
	s := e.Code
	if e.Reason != "" {
		s += " (" + string(e.Reason) + ")"
	}
	if e.Param != "" {
		s += " " + e.Param
	}
	if e.Cause != nil {
		s = fmt.Sprintf("%s: %v", s, e.Cause)
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// About says which account a refusal is about. Only the log learns it.
func (e *Error) About(account string) *Error {
	e.Who = account
	return e
}

// AsError returns the protocol error in err's chain. An error that has none
// becomes server_error with err as its cause, so nothing unforeseen is told to
// a client.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: ServerError, Cause: err}
}
