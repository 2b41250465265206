package caddymodule

import (
	"slices"
	"sync"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// offer is what the embedded issuer can put into a token. A rule that asks for
// anything else can never be fulfilled: it is a typo.
//
// All gates of a configuration ask one offer: of many clients there is much to say.
type offer struct {
	config  tokenissuer.Config
	unknown map[string]bool // options whose placeholders have no value yet, of any block

	scopes, audiences, claims func() []string // sorted
}

func newOffer(config tokenissuer.Config, unknown map[place]bool) *offer {
	o := &offer{config: config, unknown: map[string]bool{}}
	for p := range unknown {
		o.unknown[p.option] = true
	}
	o.scopes, o.audiences, o.claims = sync.OnceValue(o.allScopes), sync.OnceValue(o.allAudiences), sync.OnceValue(o.allClaims)
	return o
}

// has reports whether a value can be had, and what could be had instead. While
// an option is unknown, every value can.
func (o *offer) has(value string, option string, values []string) bool {
	return o.unknown[option] || slices.Contains(values, value)
}

// allScopes are those that tokens can have. Disabled clients count: who disables one
// in an emergency must not be stopped by a gate that still names its scope.
func (o *offer) allScopes() (all []string) {
	for _, c := range o.config.Clients {
		all = append(all, c.Givable()...)
	}
	for name := range o.config.Scopes { // for clients that are not in the configuration
		all = append(all, name)
	}
	return distinct(all)
}

// registers is a client that has a scope by its registration, "" without one.
func (o *offer) registers(scope string) string {
	for _, c := range o.config.Clients {
		if slices.Contains(c.Scopes, scope) {
			return c.ID
		}
	}
	return ""
}

func (o *offer) allAudiences() (all []string) {
	for _, c := range o.config.Clients {
		all = append(append(all, c.ID), c.Audiences...)
	}
	return distinct(all)
}

// allClaims are those that an access token can have.
func (o *offer) allClaims() []string {
	all := slices.Clone(standing)
	for _, c := range o.config.Clients {
		all = append(all, o.claimsOf(c)...)
	}
	return distinct(all)
}

// standing are the claims of every access token.
var standing = []string{"aud", "exp", "iat", "iss", "jti", "nbf", "scope", "sub"}

// claimsOf are the further ones of a client's.
func (o *offer) claimsOf(c tokenissuer.Client) (all []string) {
	plain := c.Dialect == "" || c.Dialect == "ciam"
	if len(c.Audiences) > 0 || c.AccessToken == "at+jwt" || c.AccessToken == "opaque" || c.AccessToken == "" && !plain {
		all = append(all, "client_id")
	}
	if at := c.AccessToken == "at+jwt" || c.AccessToken == "" && c.Dialect == "oauth"; at && slices.ContainsFunc(c.Grants, ofPeople) {
		all = append(all, "auth_time")
	}
	for _, name := range c.Claims {
		if slices.Contains(o.config.OperatorAttributes, name) {
			all = append(all, name)
		}
	}
	return all
}

// together reports whether one token can have all that a gate demands: each of it
// alone may be another client's, or another grant's. What cannot be told for sure
// is possible.
func (o *offer) together(g *Gate) bool {
	return o.undecided(g) || slices.ContainsFunc(o.config.Clients, func(c tokenissuer.Client) bool { return o.gives(c, g) })
}

// unsaid are the claims that the gate's expression asks for and that no token says
// which has all else that is demanded; nil where that cannot be told.
func (o *offer) unsaid(g *Gate) []string {
	names := g.claimsOfExpression()
	if len(names) == 0 || o.undecided(g) {
		return nil
	}
	var least []string
	for _, c := range o.config.Clients {
		if !o.gives(c, g) {
			continue
		}
		lacking := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return o.gives(c, g, name) })
		if len(lacking) == 0 {
			return nil
		}
		if least == nil || len(lacking) < len(least) {
			least = lacking
		}
	}
	return least
}

// undecided reports whether a client that is not known yet may give what a gate asks
// for.
func (o *offer) undecided(g *Gate) bool {
	for _, option := range []string{"client", "audience", "scopes", "grants", "dialect", "claims", "access_token", "operator_attribute", "scope"} {
		if o.unknown[option] {
			return true
		}
	}
	for _, s := range g.Scope {
		if _, declared := o.config.Scopes[s]; declared || hasPlaceholder(s) {
			return true // for a client that is not in the configuration
		}
	}
	return slices.ContainsFunc(g.Audience, hasPlaceholder) || slices.ContainsFunc(g.Claim, func(c ClaimRule) bool { return hasPlaceholder(c.Name) })
}

// gives reports whether a token of one client can have all that a gate demands, with
// further claims.
func (o *offer) gives(c tokenissuer.Client, g *Gate, further ...string) bool {
	lacks := func(demanded, given []string) bool {
		return slices.ContainsFunc(demanded, func(d string) bool { return !slices.Contains(given, d) })
	}
	claims := slices.Clone(further)
	for _, rule := range g.Claim {
		claims = append(claims, rule.Name)
	}
	if g.MaxAge != "" {
		claims = append(claims, "auth_time")
	}
	// Without an account there is no attribute, and no time of its sign-in.
	ofPeople := slices.ContainsFunc(claims, func(name string) bool {
		return name == "auth_time" || slices.Contains(o.config.OperatorAttributes, name)
	})
	if lacks(claims, append(o.claimsOf(c), standing...)) {
		return false
	}
	named := func(a string) bool { return slices.Contains(g.Audience, a) }
	people, itself := c.GivableTo()
	forItself := len(g.Audience) == 0 || named(c.ID)
	return forItself && !lacks(g.Scope, people) ||
		!ofPeople && (forItself || slices.ContainsFunc(c.Audiences, named)) && !lacks(g.Scope, itself)
}

func distinct(all []string) []string {
	slices.Sort(all)
	return slices.Compact(all)
}

// ofPeople tells the grants behind which a person has signed in.
func ofPeople(grant string) bool { return grant != "client_credentials" }
