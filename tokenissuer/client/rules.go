package client

import (
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// Rules are what a client's dialect changes in what it may ask for, as facts: no
// grant asks which dialect is spoken.
type Rules struct {
	// SourceOptional: a person's proof without auth_source_id is for the client's
	// preferred source.
	SourceOptional bool

	// RedirectOptional: a code is redeemed without redirect_uri where the authorize
	// request had none (RFC 6749 §4.1.3).
	RedirectOptional bool

	// PersonScope is what a person's sign-in gives when no scope was asked for.
	PersonScope string

	// AnyScope: a person's sign-in may ask for every registered scope, and not for
	// PersonScope alone.
	AnyScope bool

	// ShortRefresh: refresh tokens have the form of a UUID, of 128 bits.
	ShortRefresh bool

	// NamesAudience: `audience` is a parameter of client_credentials. Elsewhere it is
	// one for those clients alone that have an audience to ask for.
	NamesAudience bool

	// AlwaysPKCE: a public client needs a challenge although it has a secret.
	AlwaysPKCE bool

	accessToken string
	lifetime    time.Duration // 0: the issuer's
}

var rules = map[string]Rules{
	CIAM:  {PersonScope: "openid", accessToken: JWT},
	OAuth: {PersonScope: "openid", AlwaysPKCE: true, AnyScope: true, SourceOptional: true, RedirectOptional: true, NamesAudience: true, accessToken: ATJWT},
	IDaaS: {PersonScope: "get_user_info", AnyScope: true, SourceOptional: true, RedirectOptional: true, NamesAudience: true, ShortRefresh: true, accessToken: Opaque, lifetime: 2 * time.Hour},
}

// Lifetime is what the client's access tokens get instead of the issuer's
// access_token_lifetime; 0 for none.
func (r Registration) Lifetime() time.Duration {
	if r.AccessTokenLifetime != 0 {
		return r.AccessTokenLifetime
	}
	return rules[r.Dialect].lifetime
}

// OfPeople are the scopes that say something about a person. RFC 9700 §4.15: a
// client that acts for itself must not look like a resource owner, so it is
// never given one of them.
var OfPeople = oauth.Scopes{"openid", "profile", "email", "phone", "address", "offline_access"}

// OfPerson reports whether a scope says something about a person in the client's
// dialect.
func (r Rules) OfPerson(scope string) bool { return scope == r.PersonScope || OfPeople.Has(scope) }

// Givable are the scopes that the client's tokens may have. A registered scope
// that no grant of the client's can give is not among them.
func (r Registration) Givable() []string {
	people, itself := r.GivableTo()
	for _, s := range itself {
		if !slices.Contains(people, s) {
			people = append(people, s)
		}
	}
	return people
}

// GivableTo are the scopes that a token of a person's may have, and those that one
// of the client's own may: no token has more than one of the two lists.
func (r Registration) GivableTo() (people, itself []string) {
	dialect := r.Dialect
	if dialect == "" {
		dialect = CIAM
	}
	password, code := r.HasGrant(oauth.GrantPassword) || r.HasOTP(), r.HasGrant(oauth.GrantAuthorizationCode)
	if password || code {
		people = append(people, rules[dialect].PersonScope)
	}
	for _, s := range r.Scopes {
		if (code || password && rules[dialect].AnyScope) && !slices.Contains(people, s) {
			people = append(people, s)
		}
		if r.HasGrant(oauth.GrantClientCredentials) && !rules[dialect].OfPerson(s) {
			itself = append(itself, s)
		}
	}
	return people, itself
}

// ScopesOfPerson returns what a person's sign-in through the client gives for a
// scope parameter.
func (c *Client) ScopesOfPerson(asked string) (oauth.Scopes, error) {
	scopes, err := oauth.ParseScopes(asked)
	if err != nil {
		return nil, err
	}
	if len(scopes) == 0 {
		return oauth.Scopes{c.Rules.PersonScope}, nil
	}
	for _, s := range scopes {
		if s != c.Rules.PersonScope && (!c.Rules.AnyScope || !c.Scopes.Has(s)) {
			return nil, oauth.FailParam(oauth.InvalidScope, oauth.ScopeNotAllowed, "scope")
		}
	}
	return scopes, nil
}

// NeedsPKCE reports whether an authorization request of the client must come
// with a code_challenge: nobody could tell who redeems the code (RFC 9700 §2.1.1).
func (c *Client) NeedsPKCE() bool {
	return c.Type.Public() && (c.Rules.AlwaysPKCE || !c.HasSecret())
}
