package tokenissuer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// The members of an account as the account endpoints name them.
var (
	profileNames = []string{"name", "nickname", "zoneinfo", "locale"}

	// identifierNames are proved, each by its own one-time code.
	identifierNames = []string{"phone_number", "email"}

	// fixedNames are known and never changed by that name.
	fixedNames = []string{"sub", "preferred_username", "email_verified", "phone_number_verified"}
)

const (
	otpTokenSuffix = "_otp_token"
	otpSuffix      = "_otp"
)

// reservedNames mean something in a token or in a request, so an attribute cannot
// be called so.
var reservedNames = []string{
	"username", "password", "phoneNumber", "id", "userName", "mobile",
	"client_id", "client_secret", "client_assertion", "client_assertion_type",
	"iss", "aud", "exp", "nbf", "iat", "jti", "azp", "nonce", "auth_time", "amr", "acr", "sid", "scope", "at_hash", "c_hash", "cnf", "act", "events",
	"active", "token_type",
}

// mostAttributes, of 256 bytes each, leave room for a token.
const mostAttributes = 16

var attributeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)

// validateAddress refuses the scope where nobody can have what it tells.
func (c Config) validateAddress(fail func(ConfigError)) {
	if slices.Contains(c.Attributes, address) || slices.Contains(c.OperatorAttributes, address) {
		return
	}
	for _, r := range c.Clients {
		if slices.Contains(r.Scopes, address) {
			fail(ConfigError{Client: r.ID, Option: "scopes", Mend: "address tells nothing: nobody has an address until `attribute address` declares it"})
		}
	}
}

func (c Config) validateAttributes(fail func(ConfigError)) {
	all := slices.Concat(c.Attributes, c.OperatorAttributes)
	for n, name := range all {
		mend := ""
		switch {
		case !attributeName.MatchString(name):
			mend = "not a name of at most 64 letters, digits and _, with a letter first"
		case slices.Contains(all[:n], name):
			mend = "stands twice"
		case slices.Contains(slices.Concat(profileNames, fixedNames, reservedNames, client.KnownClaims), name) || isIdentifier(name):
			mend = "has a meaning of its own; choose another name"
		case n == mostAttributes:
			mend = fmt.Sprintf("one too many: at most %d", mostAttributes)
		}
		word := "attribute "
		if n >= len(c.Attributes) {
			word = "operator_attribute "
		}
		if mend != "" {
			fail(ConfigError{Option: word + name, Mend: mend})
		}
	}
	c.validateAddress(fail)
}

// byOperator begins the key of what an operator wrote: a name cannot have it. So
// when an attribute's word in the configuration changes, what a person once wrote
// does not become an operator's word.
const byOperator = "operator/"

// attribute is the value of a declared attribute, "" without one.
func (i *Issuer) attribute(who *store.Account, name string) string {
	if slices.Contains(i.config.OperatorAttributes, name) {
		return who.Attributes[byOperator+name]
	}
	return who.Attributes[name]
}

// isIdentifier reports whether a member is about an identifier that a code
// proves.
func isIdentifier(name string) bool {
	for _, kind := range identifierNames {
		if name == kind || name == kind+otpTokenSuffix || name == kind+otpSuffix {
			return true
		}
	}
	return false
}

// profileOf writes the profile members of a form that was sent into an account.
// An empty text takes one away.
func (i *Issuer) profileOf(form oauth.Form, who *store.Account) {
	var attributes map[string]string
	for name, value := range who.Attributes {
		attributes = with(attributes, name, value)
	}
	for _, name := range form.Sent() {
		value := form.Get(name)
		switch name {
		case "name":
			who.Name = value
		case "nickname":
			who.Nickname = value
		case "zoneinfo":
			who.ZoneInfo = value
		case "locale":
			who.Locale = value
		default:
			if !slices.Contains(i.config.Attributes, name) {
				continue
			}
			if value == "" {
				delete(attributes, name)
				continue
			}
			attributes = with(attributes, name, value)
		}
	}
	if len(attributes) == 0 {
		attributes = nil
	}
	who.Attributes = attributes
}

func with(m map[string]string, name, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[name] = value
	return m
}

// mentions reports whether a form has anything about an identifier.
func mentions(form oauth.Form, kind string) bool {
	return slices.ContainsFunc(form.Sent(), func(n string) bool {
		return strings.HasPrefix(n, kind) && isIdentifier(n)
	})
}
