package tokenissuer

import (
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// A dialect is how one API family spells its answers. It is data: no grant and
// no store operation knows which one is spoken.
type dialect struct {
	name      string
	mediaType string // of token answers and of errors

	// words spell the errors that this family says otherwise than RFC 6749 §5.2.
	words map[oauth.Reason]words
}

// words is how a dialect spells one condition. Zero fields keep the plain
// answer of the error's code.
type words struct {
	status      int
	code        string
	description string
	uri         string
	param       bool // the description ends with the parameter's name
	bare        bool // no body at all
}

// errorBody is an error answer; the order of its members is the documents'.
type errorBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
	URI         string `json:"error_uri,omitempty"`
}

const rfc6749Errors = "https://datatracker.ietf.org/doc/html/rfc6749#section-5.2"

// ciam is the documented API at /oauth2. Its texts are matched by clients to
// the letter.
var ciam = &dialect{
	name:      "ciam",
	mediaType: "application/json;charset=UTF-8",
	words: map[oauth.Reason]words{
		oauth.NoClientCredential:    {status: http.StatusUnauthorized, bare: true},
		oauth.UnknownPKCEClient:     {status: http.StatusBadRequest, code: oauth.InvalidRequest},
		oauth.RepeatedParameter:     {description: "OAuth 2.0 Parameter: ", uri: rfc6749Errors, param: true},
		oauth.MissingParameter:      {description: "OAuth 2.0 Parameter: ", uri: rfc6749Errors, param: true},
		oauth.UnknownGrantType:      {description: "OAuth 2.0 Parameter: ", uri: rfc6749Errors, param: true},
		oauth.UnsupportedMediaType:  {description: "Unsupported content type"},
		oauth.WrongCredentials:      {description: "Wrong username or password"},
		oauth.UnsupportedIdentifier: {description: "Unsupported username identifier"},
		oauth.AccountLocked:         {description: "Abnormal user status"},
		oauth.AccountFrozen:         {description: "Abnormal user status"},
		oauth.PasswordExpired:       {description: "Abnormal user status"},
		oauth.SourceNotAssociated:   {description: "Auth source and application not associated"},
		oauth.MissingRevokedToken: {
			description: "OAuth 2.0 Token Revocation Parameter: ", param: true,
			uri: "https://tools.ietf.org/html/rfc7009#section-2.1",
		},
	},
}

// plain is the status of each error code (RFC 6749 §5.2) and of the codes for
// faults of our own.
func plain(e *oauth.Error) (status int, code string) {
	switch e.Reason {
	case oauth.MethodNotAllowed:
		return http.StatusMethodNotAllowed, e.Code
	case oauth.BodyTooLarge:
		return http.StatusRequestEntityTooLarge, e.Code
	case oauth.TooManyRequests:
		return http.StatusTooManyRequests, oauth.TemporarilyUnavailable
	}
	switch e.Code {
	case oauth.InvalidClient, oauth.InvalidToken:
		return http.StatusUnauthorized, e.Code
	case oauth.InsufficientScope:
		return http.StatusForbidden, e.Code
	case oauth.NotFound, oauth.UserNotFound:
		return http.StatusNotFound, e.Code
	case oauth.TemporarilyUnavailable:
		return http.StatusServiceUnavailable, e.Code
	case oauth.ServerError, "":
		return http.StatusInternalServerError, oauth.ServerError
	}
	return http.StatusBadRequest, e.Code
}

// spell returns the status and the body of an error; a nil body is an answer
// without one.
func (d *dialect) spell(e *oauth.Error) (int, *errorBody) {
	status, code := plain(e)
	w, special := d.words[e.Reason]
	if !special {
		return status, &errorBody{Error: code}
	}
	if w.status != 0 {
		status = w.status
	}
	if w.bare {
		return status, nil
	}
	if w.code != "" {
		code = w.code
	}
	b := &errorBody{Error: code, Description: w.description, URI: w.uri}
	if w.param {
		b.Description += e.Param
		// The documented server says nothing more about these two.
		if e.Param == "client_id" || e.Param == "client_secret" || e.Param == "" {
			b.Description, b.URI = "", ""
		}
	}
	return status, b
}
