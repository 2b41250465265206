package client

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// Problem is a mistake in a registration.
type Problem struct {
	Option string // the word, as the Caddyfile spells it
	Mend   string
}

// add notes a mistake.
type add func(option, format string, a ...any)

var idPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,128}$`)

// Problems lists every mistake of the registration taken by itself. attributes
// are those that accounts have besides the known claims.
func (r Registration) Problems(attributes ...string) (ps []Problem) {
	add := func(option, format string, a ...any) { ps = append(ps, Problem{option, fmt.Sprintf(format, a...)}) }
	if !idPattern.MatchString(r.ID) {
		add("client", "%q is not an id of 1 to 128 letters, digits and . _ ~ -", r.ID)
	}
	switch {
	case r.Type == "":
		add("type", "required: web, spa, mobile or m2m")
		return ps
	case !slices.Contains([]Type{Web, SPA, Mobile, M2M}, r.Type):
		add("type", "%q is not one of web, spa, mobile, m2m", r.Type)
		return ps
	}
	r.checkSecrets(add)
	r.checkGrants(add)
	r.checkAddresses(add)
	r.checkNames(attributes, add)
	r.checkAudiences(add)
	r.checkChoices(add)
	r.checkLifetime(add)
	r.checkEffect(add)
	r.checkEffectInBrowsers(add)
	return ps
}

func (r Registration) checkSecrets(add add) {
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
	if r.IntrospectAny && n == 0 {
		add("introspect", "any needs a secret: whoever knows the client's id could introspect every token")
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

func (r Registration) checkGrants(add add) {
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
	if r.HasGrant(oauth.GrantRefreshToken) && !r.OfPeople() {
		add("grants", "refresh_token needs a grant of people, authorization_code, password or otp: client_credentials gets no refresh token")
	}
	if r.OTPSendWithoutSecret && !r.Type.Public() {
		add("otp_send_without_secret", "is for spa and mobile clients; a %s client sends with its secret", r.Type)
	}
}

// spoken is a grant as operators write it.
func spoken(grant string) string {
	if grant == oauth.GrantOTPSMS || grant == oauth.GrantOTPEmail {
		return "otp"
	}
	return grant
}

// checkAddresses judges where browsers and notices are sent, and whose scripts may
// read answers.
func (r Registration) checkAddresses(add add) {
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
}

// checkNames judges what the client's tokens may hold.
func (r Registration) checkNames(attributes []string, add add) {
	for _, s := range r.Scopes {
		if list, err := oauth.ParseScopes(s); err != nil || len(list) != 1 {
			add("scopes", "%q is not a scope (RFC 6749 §3.3)", s)
		}
	}
	for _, c := range r.Claims {
		if all := slices.Concat(KnownClaims, attributes); !slices.Contains(all, c) {
			add("claims", "%q is not one of %s", c, strings.Join(all, ", "))
		}
	}
}

func (r Registration) checkAudiences(add add) {
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
}

// checkChoices judges the words that have a list of values.
func (r Registration) checkChoices(add add) {
	if !slices.Contains([]string{"", "rotate", "reuse"}, r.Refresh) {
		add("refresh", "%q is not rotate or reuse", r.Refresh)
	}
	if r.Type.Public() && r.Refresh == "reuse" {
		add("refresh", "the refresh tokens of a %s client must rotate (RFC 9700 §4.14.2)", r.Type)
	}
	if !slices.Contains([]string{"", LogoutSession, LogoutTokens}, r.Logout) {
		add("logout", "%q is not session or tokens", r.Logout)
	}
	if !slices.Contains([]string{"", CIAM, OAuth, IDaaS}, r.Dialect) {
		add("dialect", "%q is not ciam, oauth or idaas", r.Dialect)
	}
	if !slices.Contains([]string{"", JWT, ATJWT, Opaque}, r.AccessToken) {
		add("access_token", "%q is not jwt, at+jwt or opaque", r.AccessToken)
	}
}

func (r Registration) checkLifetime(add add) {
	if l := r.AccessTokenLifetime; l != 0 && (l < 10*time.Second || l%time.Second != 0) {
		add("access_token_lifetime", "%v is not a whole number of seconds of at least 10s", l)
	} else if l > MaxTokenLifetime {
		add("access_token_lifetime", "%v is longer than %v; refresh tokens are for what lasts longer", l, MaxTokenLifetime)
	}
}
