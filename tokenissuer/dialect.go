package tokenissuer

import (
	"maps"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// A dialect is how one API family spells its requests and answers. It is data:
// no grant, no page and no store operation knows which one is spoken.
type dialect struct {
	name      string
	mediaType string      // of token answers and of errors
	bodies    oauth.Media // the encodings it reads
	without   []string    // grants that this family does not have

	// words spell the errors that this family says otherwise than RFC 6749 §5.2;
	// missing are those of a required parameter that was left out, by its name.
	words   map[oauth.Reason]words
	missing map[string]words

	// byIDAlone are the words for a client that showed nothing but its id, where
	// they differ.
	byIDAlone map[oauth.Reason]words

	pages                 bool // what cannot be redirected is a page, not JSON
	redirectsResponseType bool // an unknown response_type is told to the client (RFC 6749 §4.1.2.1)
	iss                   bool // answers of the authorization endpoint name the issuer (RFC 9207)

	// challenges are the errors about a bearer token, at the endpoints that take
	// one (RFC 6750 §3): their Bearer challenge, and whether a body goes with it.
	challenges map[oauth.Reason]bearerWords

	// tokens shapes what was minted, person what userinfo tells of somebody.
	tokens      func(*minted) any
	person      func(who *store.Account, claims map[string]any) any
	personType  string // media type of that answer
	personScope string // a scope that opens userinfo as openid does, "" for none

	// personClaims are what personScope gives.
	personClaims []string
}

// bearerWords is how a dialect refuses a bearer token.
type bearerWords struct {
	status    int
	challenge string // the whole WWW-Authenticate
	body      *errorBody
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

// dialects by the name a client or the issuer chooses them with.
var dialects = map[string]*dialect{ciam.name: ciam, plain.name: plain, idaas.name: idaas}

const (
	jsonUTF8      = "application/json;charset=UTF-8"
	rfc6749Errors = "https://datatracker.ietf.org/doc/html/rfc6749#section-5.2"
)

// ciam is the documented API at /oauth2. Its texts are matched by clients to
// the letter.
var ciam = &dialect{
	name:      "ciam",
	mediaType: jsonUTF8,
	bodies:    oauth.FormEncoded | oauth.JSON | oauth.Multipart,
	words: map[oauth.Reason]words{
		oauth.NoClientCredential:    {status: http.StatusUnauthorized, bare: true},
		oauth.UnknownPKCEClient:     {status: http.StatusBadRequest, code: oauth.InvalidRequest},
		oauth.RepeatedParameter:     parameter,
		oauth.MissingParameter:      parameter,
		oauth.UnknownGrantType:      parameter,
		oauth.UnsupportedMediaType:  {description: "Unsupported content type"},
		oauth.WrongCredentials:      {description: "Wrong username or password"},
		oauth.UnsupportedIdentifier: {description: "Unsupported username identifier"},
		oauth.AccountLocked:         {description: "Abnormal user status"},
		oauth.AccountFrozen:         {description: "Abnormal user status"},
		oauth.PasswordExpired:       {description: "Abnormal user status"},
		oauth.SourceNotAssociated:   {description: "Auth source and application not associated"},
		oauth.SourceCannotSend:      {description: "Auth source and application not associated"},
		oauth.UnknownOTPToken:       {description: "Unknown or expired otp_token"},
		oauth.WrongOTP:              {description: "Unknown or expired OTP"},
		oauth.MismatchedOTP:         {description: "Mismatched OTP token and OTP sending parameters"},
		oauth.UnknownUser:           {description: "User not found"},
		oauth.NumberUsedUp:          {description: "SMS rate limit exceeded for same phone number"},
		oauth.MailboxUsedUp:         {description: "Email rate limit exceeded for same email address"},
		oauth.SendingFailed:         {description: "Failed to send OTP. Please try again later."},
		oauth.MissingRevokedToken:   revokedToken,
		oauth.MissingLogoutClient:   {description: "Client ID parameter not found"},
		oauth.ForeignCode:           codeOfAnother,
		oauth.SignUpNotEnabled:      {description: "Sign up flow of the application is not enabled."},
		oauth.NoPasswordSource:      {description: "No password auth source is associated with the application."},
		oauth.MissingAttribute:      {description: "Missing required sign-up attribute(s)."},
		oauth.UnconfiguredAttribute: {description: "Unconfigured sign-up attribute(s) found."},
		oauth.UnknownAttribute:      {description: "Unknown attribute(s) found."},
		oauth.UnsupportedAttribute:  {description: "Unsupported user attribute(s) found."},
		oauth.UserFrozen:            {description: "User is frozen."},
		oauth.UserLocked:            {description: "User is locked."},
		oauth.UserGone:              {status: http.StatusBadRequest}, // not 404, as userinfo says it
	},
	byIDAlone: map[oauth.Reason]words{
		oauth.UnknownCode:   codeOfAnother,
		oauth.SpentCode:     codeOfAnother,
		oauth.ExpiredCode:   codeOfAnother,
		oauth.WrongVerifier: codeOfAnother,
	},
	challenges: map[oauth.Reason]bearerWords{
		oauth.NoBearerToken:  {status: http.StatusBadRequest, challenge: `Bearer error="invalid_request", error_description="Bearer token not found in the request", ` + bearerURI},
		oauth.BadBearerToken: {status: http.StatusUnauthorized, challenge: `Bearer error="invalid_token", error_description="Error decoding JWT", ` + bearerURI},
		oauth.MissingScope:   {status: http.StatusForbidden, challenge: `Bearer error="insufficient_scope", error_description="The request requires higher privileges than provided by the access token.", ` + bearerURI},
	},
	pages:  true,
	tokens: tokenAnswer,
	person: standardClaims, personType: "application/json",
}

const bearerURI = `error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"`

var (
	// The documented server takes the code for a part of the client's proof.
	codeOfAnother = words{status: http.StatusUnauthorized, code: oauth.InvalidClient}

	parameter    = words{description: "OAuth 2.0 Parameter: ", uri: rfc6749Errors, param: true}
	revokedToken = words{description: "OAuth 2.0 Token Revocation Parameter: ", uri: "https://tools.ietf.org/html/rfc7009#section-2.1", param: true}
)

// plain is the RFCs' own dialect, for clients that ask for it: the documented
// API's where the RFCs leave the choice, theirs where they do not. Who the person
// is, and what is wrong with them, is one answer (RFC 6749 §5.2).
var plain = func() *dialect {
	d := *ciam
	d.name = "oauth"
	d.redirectsResponseType, d.iss = true, true
	d.words = maps.Clone(ciam.words)
	for _, r := range []oauth.Reason{
		oauth.NoClientCredential, oauth.UnknownPKCEClient,
		oauth.WrongCredentials, oauth.UnsupportedIdentifier, oauth.AccountLocked, oauth.AccountFrozen, oauth.PasswordExpired,
		oauth.ForeignCode, oauth.UnknownOTPToken, oauth.WrongOTP, oauth.UnknownUser,
	} {
		delete(d.words, r)
	}
	d.byIDAlone = nil
	d.words[oauth.MalformedBasic] = words{status: http.StatusUnauthorized, code: oauth.InvalidClient}
	d.words[oauth.MismatchedOTP] = words{code: oauth.InvalidGrant}
	d.words[oauth.SourceNotAssociated] = words{code: oauth.InvalidGrant}
	d.words[oauth.ForeignToken] = words{status: http.StatusBadRequest, code: oauth.UnauthorizedClient} // RFC 7009 §2.1
	d.challenges = map[oauth.Reason]bearerWords{
		// RFC 6750 §3.1: no error code where no token was sent.
		oauth.NoBearerToken:  {status: http.StatusUnauthorized, challenge: `Bearer`},
		oauth.BadBearerToken: {status: http.StatusUnauthorized, challenge: `Bearer error="invalid_token"`},
		oauth.MissingScope:   {status: http.StatusForbidden, challenge: `Bearer error="insufficient_scope", scope="openid"`},
	}
	return &d
}()

// status is the plain answer to an error: the status of each code of RFC 6749
// §5.2, and of the faults of our own.
func status(e *oauth.Error) (int, string) {
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
// without one. byID says that the client showed nothing but its id.
func (d *dialect) spell(e *oauth.Error, byID bool) (int, *errorBody) {
	code, name := status(e)
	w, special := d.words[e.Reason]
	if other, ok := d.byIDAlone[e.Reason]; ok && byID {
		w, special = other, true
	}
	if e.Reason == oauth.MissingParameter {
		if other, ok := d.missing[e.Param]; ok {
			w, special = other, true
		}
	}
	if !special {
		return code, &errorBody{Error: name}
	}
	if w.status != 0 {
		code = w.status
	}
	if w.bare {
		return code, nil
	}
	if w.code != "" {
		name = w.code
	}
	b := &errorBody{Error: name, Description: w.description, URI: w.uri}
	if w.param {
		b.Description += e.Param
		// The documented server says nothing more about these two.
		if e.Param == "client_id" || e.Param == "client_secret" || e.Param == "" {
			b.Description, b.URI = "", ""
		}
	}
	return code, b
}

// refuseBearer returns the answer to a bearer token that is missing or does not
// do. What is wrong with it beyond that is for the log.
func (d *dialect) refuseBearer(e *oauth.Error) (bearerWords, bool) {
	reason := e.Reason
	if reason == oauth.RevokedToken {
		reason = oauth.BadBearerToken
	}
	w, ok := d.challenges[reason]
	return w, ok
}

// tokens is a success answer (RFC 6749 §5.1); its members have the order of the
// documented samples.
type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
}

func tokenAnswer(m *minted) any {
	return tokens{
		AccessToken: m.access, RefreshToken: m.refresh, Scope: m.scope, IDToken: m.id, TokenType: "Bearer", ExpiresIn: m.expiresIn(),
	}
}
