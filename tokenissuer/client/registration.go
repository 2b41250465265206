package client

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
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

// Problem is a mistake in a registration.
type Problem struct {
	Option string // the word, as the Caddyfile spells it
	Mend   string
}

// MaxTokenLifetime bounds access and ID tokens: who verifies them offline takes
// a revoked one for that long.
const MaxTokenLifetime = 24 * time.Hour

// WeakSecret is the length below which a secret deserves a warning: 16
// characters of hexadecimal digits are 64 bits.
const WeakSecret = 16

// KnownClaims are the claims that can be added for a client.
var KnownClaims = []string{"name", "nickname", "preferred_username", "email", "phone_number", "phoneNumber", "zoneinfo", "locale"}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,128}$`)

// Problems lists every mistake of the registration taken by itself. attributes
// are those that accounts have besides the known claims.
func (r Registration) Problems(attributes ...string) (ps []Problem) {
	add := func(option, format string, a ...any) { ps = append(ps, Problem{option, fmt.Sprintf(format, a...)}) }
	if !idPattern.MatchString(r.ID) {
		add("client", "%q is not an id of 1 to 128 letters, digits and . _ ~ -", r.ID)
	}
	if !slices.Contains([]Type{Web, SPA, Mobile, M2M}, r.Type) {
		add("type", "%q is not one of web, spa, mobile, m2m", r.Type)
		return ps
	}
	r.checkSecrets(add)
	r.checkGrants(add)
	for _, s := range r.Scopes {
		if list, err := oauth.ParseScopes(s); err != nil || len(list) != 1 {
			add("scopes", "%q is not a scope (RFC 6749 §3.3)", s)
		}
	}
	for _, u := range r.RedirectURIs {
		if problem := redirectProblem(u, r.Type); problem != "" {
			add("redirect_uris", "%q %s", u, problem)
		}
	}
	for _, u := range r.LogoutRedirectURIs {
		if problem := redirectProblem(u, r.Type); problem != "" {
			add("logout_redirect_uris", "%q %s", u, problem)
		}
	}
	if u := r.BackchannelLogoutURI; u != "" {
		if problem := redirectProblem(u, Web); problem != "" {
			add("backchannel_logout_uri", "%q %s", u, problem)
		}
	}
	for _, o := range r.CORSOrigins {
		if problem := originProblem(o); problem != "" {
			add("cors_origins", "%q %s", o, problem)
		}
	}
	for _, c := range r.Claims {
		if all := slices.Concat(KnownClaims, attributes); !slices.Contains(all, c) {
			add("claims", "%q is not one of %s", c, strings.Join(all, ", "))
		}
	}
	if !slices.Contains([]string{"", "rotate", "reuse"}, r.Refresh) {
		add("refresh", "%q is not rotate or reuse", r.Refresh)
	}
	if !slices.Contains([]string{"", LogoutSession, LogoutTokens}, r.Logout) {
		add("logout", "%q is not session or tokens", r.Logout)
	}
	if r.Type.Public() && r.Refresh == "reuse" {
		add("refresh", "the refresh tokens of a %s client must rotate (RFC 9700 §4.14.2)", r.Type)
	}
	if !slices.Contains([]string{"", CIAM, OAuth, IDaaS}, r.Dialect) {
		add("dialect", "%q is not ciam, oauth or idaas", r.Dialect)
	}
	if !slices.Contains([]string{"", JWT, ATJWT, Opaque}, r.AccessToken) {
		add("access_token", "%q is not jwt, at+jwt or opaque", r.AccessToken)
	}
	if l := r.AccessTokenLifetime; l != 0 && (l < 10*time.Second || l%time.Second != 0) {
		add("access_token_lifetime", "%v is not a whole number of seconds of at least 10s", l)
	} else if l > MaxTokenLifetime {
		add("access_token_lifetime", "%v is longer than %v; refresh tokens are for what lasts longer", l, MaxTokenLifetime)
	}
	for i, a := range r.Audiences {
		switch {
		case a == "" || strings.ContainsFunc(a, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }):
			add("audience", "%q is empty, or has a character other than the visible ones of ASCII", a)
		case a == r.ID:
			add("audience", "without effect: tokens are for the client itself unless it asks otherwise")
		case slices.Contains(r.Audiences[:i], a):
			add("audience", "%s is named twice", a)
		}
	}
	r.checkEffect(add)
	return ps
}

func (r Registration) checkSecrets(add func(option, format string, a ...any)) {
	n := len(r.Secrets) + len(r.SecretHashes)
	if n == 0 && !r.Type.Public() {
		add("secret", "a %s client needs a secret or secret_hash", r.Type)
	}
	if n > 2 {
		add("secret", "at most two, while one is being replaced")
	}
	for _, s := range r.Secrets {
		if s == "" {
			add("secret", "is empty; make one with: openssl rand -hex 16")
		}
	}
}

// grantTypes says which grants a type of client may have: the documented API
// lists client_credentials for web and m2m, the grants of people for the others.
var grantTypes = map[string][]Type{
	oauth.GrantPassword:          {Web, SPA, Mobile},
	oauth.GrantAuthorizationCode: {Web, SPA, Mobile},
	oauth.GrantClientCredentials: {Web, M2M},
	oauth.GrantRefreshToken:      {Web, SPA, Mobile, M2M},
	oauth.GrantOTPSMS:            {Web, SPA, Mobile},
	oauth.GrantOTPEmail:          {Web, SPA, Mobile},
}

// grantsOfPeople are those that people's proofs earn.
var grantsOfPeople = []string{oauth.GrantAuthorizationCode, oauth.GrantPassword, oauth.GrantOTPSMS, oauth.GrantOTPEmail}

// HasOTP reports whether people sign in to the client with one-time codes.
func (r Registration) HasOTP() bool {
	return r.HasGrant(oauth.GrantOTPSMS) || r.HasGrant(oauth.GrantOTPEmail)
}

func (r Registration) checkGrants(add func(option, format string, a ...any)) {
	if len(r.Grants) == 0 {
		add("grants", "a client without a grant gets no token; name one of authorization_code, password, otp, client_credentials, refresh_token")
	}
	for i, g := range r.Grants {
		types, known := grantTypes[g]
		switch {
		case !known:
			add("grants", "%q is not one of authorization_code, password, otp, client_credentials, refresh_token", g)
		case slices.Contains(r.Grants[:i], g):
			add("grants", "%s is named twice", g)
		case !slices.Contains(types, r.Type):
			add("grants", "%s is not for clients of type %s", spoken(g), r.Type)
		}
	}
	if r.HasOTP() && r.Dialect == IDaaS {
		add("grants", "dialect idaas has no one-time codes")
	}
	if code := r.HasGrant(oauth.GrantAuthorizationCode); code != (len(r.RedirectURIs) > 0) {
		if code {
			add("redirect_uris", "the authorization_code grant needs an address to send codes to")
		} else {
			add("redirect_uris", "they are for the authorization_code grant, which is not among the grants")
		}
	}
	if r.HasGrant(oauth.GrantRefreshToken) && !r.ofPeople() {
		add("grants", "refresh_token needs a grant of people, authorization_code, password or otp: client_credentials gets no refresh token")
	}
	if r.OTPSendWithoutSecret && !r.Type.Public() {
		add("otp_send_without_secret", "is for spa and mobile clients; a %s client sends with its secret", r.Type)
	}
}

// ofPeople reports whether people sign in through the client.
func (r Registration) ofPeople() bool { return slices.ContainsFunc(grantsOfPeople, r.HasGrant) }

// spoken is a grant as operators write it.
func spoken(grant string) string {
	if grant == oauth.GrantOTPSMS || grant == oauth.GrantOTPEmail {
		return "otp"
	}
	return grant
}

// checkEffect refuses words that would do nothing: who wrote one expects
// something of it.
func (r Registration) checkEffect(add func(option, format string, a ...any)) {
	if len(r.Grants) > 0 && !r.ofPeople() {
		const mend = "without effect: nobody signs in through a client that has neither the authorization_code nor the password nor the otp grant"
		if len(r.Claims) > 0 {
			add("claims", mend)
		}
		if len(r.Sources) > 0 {
			add("auth_sources", mend)
		}
		if r.SignUp {
			add("signup", mend)
		}
		if r.Refresh != "" {
			add("refresh", mend)
		}
		if len(r.LogoutRedirectURIs) > 0 {
			add("logout_redirect_uris", mend)
		}
	} else if r.Refresh != "" && !r.HasGrant(oauth.GrantRefreshToken) {
		add("refresh", "without effect: refresh_token is not among the grants")
	}
	if !r.HasGrant(oauth.GrantAuthorizationCode) {
		const mend = "without effect: no sign-in of the client begins in a browser, for authorization_code is not among the grants"
		if r.Logout != "" {
			add("logout", mend)
		}
		if r.BackchannelLogoutURI != "" {
			add("backchannel_logout_uri", mend)
		}
		if r.FirstParty {
			add("first_party", "without effect: nobody is asked for consent, for authorization_code is not among the grants")
		}
		if r.PKCEWithoutSecret {
			add("pkce_without_secret", "without effect: no code is redeemed, for authorization_code is not among the grants")
		}
	}
	if r.PKCEWithoutSecret && r.Type.Public() {
		add("pkce_without_secret", "without effect: a %s client redeems its codes without a secret anyway", r.Type)
	}
	if r.Type == M2M && len(r.CORSOrigins) > 0 {
		add("cors_origins", "without effect: an m2m client is not in a browser")
	}
	if len(r.Audiences) > 0 && !r.HasGrant(oauth.GrantClientCredentials) {
		add("audience", "without effect: client_credentials is not among the grants")
	}
	if r.IntrospectAny && len(r.Secrets)+len(r.SecretHashes) == 0 {
		add("introspect", "any needs a secret: whoever knows the client's id could introspect every token")
	}
}
