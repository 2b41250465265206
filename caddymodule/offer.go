package caddymodule

import (
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// offer is what the embedded issuer can put into a token. A rule that asks for
// anything else can never be fulfilled: it is a typo.
type offer struct {
	config  tokenissuer.Config
	unknown map[place]bool // options whose placeholders have no value yet
}

// has reports whether a value can be had, and what could be had instead. While
// an option is unknown, every value can.
func (o *offer) has(value string, option string, values []string) bool {
	for p := range o.unknown {
		if p.option == option {
			return true
		}
	}
	return slices.Contains(values, value)
}

// scopes are those that tokens can have. Disabled clients count: who disables one
// in an emergency must not be stopped by a gate that still names its scope.
func (o *offer) scopes() (all []string) {
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

func (o *offer) audiences() (all []string) {
	for _, c := range o.config.Clients {
		all = append(append(all, c.ID), c.Audiences...)
	}
	return distinct(all)
}

// claims are those that an access token can have.
func (o *offer) claims() []string {
	all := []string{"aud", "exp", "iat", "iss", "jti", "nbf", "scope", "sub"}
	for _, c := range o.config.Clients {
		plain := c.Dialect == "" || c.Dialect == "ciam"
		if len(c.Audiences) > 0 || c.AccessToken == "at+jwt" || c.AccessToken == "opaque" || c.AccessToken == "" && !plain {
			all = append(all, "client_id")
		}
		for _, name := range c.Claims {
			if slices.Contains(o.config.OperatorAttributes, name) {
				all = append(all, name)
			}
		}
	}
	return distinct(all)
}

func distinct(all []string) []string {
	slices.Sort(all)
	return slices.Compact(all)
}
