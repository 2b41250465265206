package portal

import "github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"

// The conditions of the pages, besides those of package oauth.
const (
	ForeignState   oauth.Reason = "p_state_of_another_browser"
	ExpiredState   oauth.Reason = "expired_p_state"
	ExpiredHere    oauth.Reason = "expired_sign_in"
	UsedState      oauth.Reason = "used_p_state"
	RequestTooLong oauth.Reason = "request_too_long"
	ForeignForm    oauth.Reason = "form_of_another_page"
	UnknownField   oauth.Reason = "unknown_field"
	NoSource       oauth.Reason = "no_source_to_sign_in_with"
	UnknownApp     oauth.Reason = "app_not_available"
	NoSuchEntry    oauth.Reason = "no_such_entry"
)
