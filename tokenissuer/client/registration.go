package client

import (
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// Type says where an application runs, and so whether it can keep a secret.
type Type string

// The types of application.
const (
	Web    Type = "web"
	SPA    Type = "spa"
	Mobile Type = "mobile"
	M2M    Type = "m2m"
)

// Public reports whether people hold the application in their hands: it may
// have a secret, and is trusted as if it had none (RFC 6749 §2.1).
func (t Type) Public() bool { return t == SPA || t == Mobile }

// Forms of access token.
const (
	JWT   = "jwt"    // `typ` JWT, scope as an array, as the documented API has it
	ATJWT = "at+jwt" // RFC 9068
	// Opaque tokens say nothing by themselves: the issuer looks them up.
	Opaque = "opaque"
)

// What a sign-out of the browser ends for a client.
const (
	LogoutSession = "session"
	LogoutTokens  = "tokens"
)

// Dialects a client may speak.
const (
	CIAM  = "ciam"  // the documented API at /oauth2
	OAuth = "oauth" // the same paths, with the RFCs' answers where the two differ
	IDaaS = "idaas" // the documented API at /api/v1/oauth2
)

// Registration is a client as an operator writes it.
type Registration struct {
	ID   string // `client_id`, of A-Z a-z 0-9 . _ ~ - and at most 128 of them
	Name string // what people are shown
	Type Type

	// Secrets in plain text, two while one is being replaced; kept in memory as
	// digests only. SecretHashes are PHC strings instead.
	Secrets      []string
	SecretHashes []string

	// Grants are the values of grant_type that this client may use.
	Grants []string

	// RedirectURIs are where codes may be sent; compared byte by byte.
	RedirectURIs []string

	// LogoutRedirectURIs are where a browser may be sent after signing out.
	LogoutRedirectURIs []string

	// BackchannelLogoutURI is told when a person signs out of the browser that a
	// sign-in of the client began in.
	BackchannelLogoutURI string

	// BackchannelLogoutCAFile is a PEM file with the authorities that the certificate
	// of that address is verified against. Default: the system's.
	BackchannelLogoutCAFile string

	// Logout is `tokens`, where those sign-ins end with the browser's session, or
	// `session`, where they go on. Default: tokens for clients that are told of it,
	// otherwise session, as the documented API has it.
	Logout string

	// CORSOrigins are the origins whose scripts may read the issuer's answers.
	CORSOrigins []string

	// PKCEWithoutSecret lets a web client redeem a code by its id and the verifier
	// alone.
	PKCEWithoutSecret bool

	// OTPSendWithoutSecret lets a spa or mobile client have one-time codes sent with
	// its id alone, within limits per address. Whoever knows the id can then, too.
	OTPSendWithoutSecret bool

	// Scopes that it may ask for.
	Scopes []string

	// Sources are the auth sources associated with it; the first is preferred.
	Sources []string

	// Claims are further claims of its ID tokens and userinfo answers.
	Claims []string

	// IntrospectAny lets it introspect tokens of every client; else only its own.
	IntrospectAny bool

	// Refresh is `rotate` or `reuse`; default: rotate for spa and mobile, reuse for
	// web and m2m, as the documented API does.
	Refresh string

	// Dialect is `ciam` (default), `oauth` or `idaas`: how its requests and answers
	// are spelled, and at which paths it is known.
	Dialect string

	// AccessToken is `jwt`, `at+jwt` or `opaque`. Default: jwt for ciam, at+jwt for
	// oauth, opaque for idaas.
	AccessToken string

	// AccessTokenLifetime overrides the issuer's.
	AccessTokenLifetime time.Duration

	// FirstParty is the operator's own application: nobody is asked whether it may
	// have what it asks for.
	FirstParty bool

	// Audiences are what the client may ask tokens for with `audience`, where it acts
	// for itself. Otherwise they are for the client.
	Audiences []string

	// SignUp lets people open accounts through the client. Without it auto_signup
	// of the one-time-code grants is as absent.
	SignUp bool

	// Disabled clients get no tokens, and the gate refuses those they have.
	Disabled bool
}

// String keeps secrets out of logs.
func (r Registration) String() string { return "client " + r.ID }

// GoString keeps secrets out of %#v.
func (r Registration) GoString() string { return r.String() }

// HasGrant reports whether the client may use a grant.
func (r Registration) HasGrant(name string) bool { return slices.Contains(r.Grants, name) }

// SignsPeopleIn reports whether a grant of the client is a person's sign-in.
func (r Registration) SignsPeopleIn() bool {
	return r.HasGrant(oauth.GrantPassword) || r.HasGrant(oauth.GrantAuthorizationCode)
}

// OfPeople reports whether people sign in through the client.
func (r Registration) OfPeople() bool { return slices.ContainsFunc(grantsOfPeople, r.HasGrant) }

// HasOTP reports whether people sign in to the client with one-time codes.
func (r Registration) HasOTP() bool {
	return r.HasGrant(oauth.GrantOTPSMS) || r.HasGrant(oauth.GrantOTPEmail)
}

// grantsOfPeople are those that people's proofs earn.
var grantsOfPeople = []string{oauth.GrantAuthorizationCode, oauth.GrantPassword, oauth.GrantOTPSMS, oauth.GrantOTPEmail}

// MaxTokenLifetime bounds access and ID tokens: who verifies them offline takes
// a revoked one for that long.
const MaxTokenLifetime = 24 * time.Hour

// WeakSecret is the length below which a secret deserves a warning: 16
// characters of hexadecimal digits are 64 bits.
const WeakSecret = 16

// KnownClaims are the claims that can be added for a client.
var KnownClaims = []string{"name", "nickname", "preferred_username", "email", "phone_number", "phoneNumber", "zoneinfo", "locale"}
