package tokenissuer

import (
	"encoding/json"
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/grant"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/portal"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// scopeClaims are the claims that a standard scope asks for (OpenID Connect
// Core §5.4); userinfo tells them.
var scopeClaims = map[string][]string{
	"profile": {"name", "nickname", "preferred_username", "zoneinfo", "locale"},
	"email":   {"email", "email_verified"},
	"phone":   {"phone_number", "phone_number_verified"},
	address:   {address},
}

// address is a scope, its claim, and the attribute that an operator declares for
// it: one text, which the claim has as its `formatted` member (OpenID Connect Core
// §5.1.1).
const address = "address"

// signInClaims are about the sign-in and not the person: any client may ask for
// them.
var signInClaims = []string{"auth_time", "amr", "sid"}

// asked is what the `claims` parameter (OpenID Connect Core §5.5) and max_age
// ask for, as it is kept with a sign-in. Values and `essential` are not: what is
// there is told, what is not cannot be.
type asked struct {
	IDToken  []string `json:"id_token,omitempty"`
	Userinfo []string `json:"userinfo,omitempty"`
}

// claimsAsked reads an authorization request; "" for nothing.
func claimsAsked(q portal.Request) string {
	var parameter struct {
		IDToken  map[string]json.RawMessage `json:"id_token"`
		Userinfo map[string]json.RawMessage `json:"userinfo"`
	}
	if q.Claims != "" {
		_ = json.Unmarshal([]byte(q.Claims), &parameter) // judged before; members of other types ask for nothing
	}
	a := asked{IDToken: known(parameter.IDToken), Userinfo: known(parameter.Userinfo)}
	// §2: auth_time is required where max_age was asked for.
	if q.MaxAge >= 0 && !slices.Contains(a.IDToken, "auth_time") {
		a.IDToken = append(a.IDToken, "auth_time")
	}
	if len(a.IDToken)+len(a.Userinfo) == 0 {
		return ""
	}
	b, _ := json.Marshal(a) // two lists of strings
	return string(b)
}

// known keeps the names that exist, in their order: what is stored with a
// sign-in is bounded by us and not by the request.
func known(members map[string]json.RawMessage) (names []string) {
	for name := range members {
		if slices.Contains(signInClaims, name) || slices.Contains(client.KnownClaims, name) || isVerified(name) || name == address {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func isVerified(name string) bool { return name == "email_verified" || name == "phone_number_verified" }

func readAsked(text string) (a asked) {
	if text != "" {
		_ = json.Unmarshal([]byte(text), &a) // written by claimsAsked
	}
	return a
}

// learnable are the claims of a person that a client may learn: those it is
// configured with, and those of the scopes that were granted. The operator's own
// applications, which ask nobody, have all their scopes granted; for others the
// `claims` parameter must not be a way around the consent page.
func learnable(c *client.Client, granted oauth.Scopes) []string {
	names := slices.Clone(c.Claims)
	if c.FirstParty {
		granted = c.Scopes
	}
	for _, s := range granted {
		names = append(names, scopeClaims[s]...)
	}
	return names
}

// idTokenClaims are the further claims of an ID token. auth_time has a place of
// its own there.
func (i *Issuer) idTokenClaims(c *client.Client, a *grant.Authorization) map[string]any {
	claims := i.personClaims(a.Account, c.Claims)
	want := readAsked(a.Claims)
	may := learnable(c, a.Scopes)
	for _, n := range want.IDToken {
		switch {
		case n == "amr" && len(a.Family.AMR) > 0:
			claims[n] = a.Family.AMR
		case slices.Contains(may, n):
			i.tell(claims, a.Account, n)
		}
	}
	// A logout token names the session, so the client has to know it (Back-Channel
	// Logout §2.1).
	if a.Session != "" && (c.BackchannelLogoutURI != "" || slices.Contains(want.IDToken, "sid")) {
		claims["sid"] = a.Session
	}
	return claims
}

// accessTokenClaims are the further claims of an access token: of the client's
// claims those that only an operator writes. A gate's rules read them, so what a
// person can write must not be there.
func (i *Issuer) accessTokenClaims(c *client.Client, who *store.Account) map[string]any {
	if who == nil {
		return nil
	}
	claims := map[string]any{}
	for _, n := range c.Claims {
		if slices.Contains(i.config.OperatorAttributes, n) {
			i.tell(claims, who, n)
		}
	}
	return claims
}

// operatorAttributesOf are what a client's access tokens say of an account in an
// operator's word, by the keys they are kept under; "" for one it does not have.
func (i *Issuer) operatorAttributesOf(c *client.Client, who *store.Account) (told map[string]string) {
	if who == nil {
		return nil
	}
	for _, n := range c.Claims {
		if slices.Contains(i.config.OperatorAttributes, n) {
			told = with(told, byOperator+n, who.Attributes[byOperator+n])
		}
	}
	return told
}

func wantsAuthTime(a *grant.Authorization) bool {
	return slices.Contains(readAsked(a.Claims).IDToken, "auth_time")
}

// userinfoClaims are what userinfo tells besides `sub`.
func (i *Issuer) userinfoClaims(who *store.Account, c *client.Client, scopes oauth.Scopes, wanted asked) map[string]any {
	names := slices.Clone(c.Claims)
	for _, s := range scopes {
		names = append(names, scopeClaims[s]...)
	}
	may := learnable(c, scopes)
	for _, n := range wanted.Userinfo {
		if slices.Contains(may, n) {
			names = append(names, n)
		}
	}
	return i.personClaims(who, names)
}

// personClaims returns those of the named claims that the account has.
func (i *Issuer) personClaims(who *store.Account, names []string) map[string]any {
	claims := make(map[string]any, len(names))
	for _, n := range names {
		i.tell(claims, who, n)
	}
	return claims
}

func (i *Issuer) tell(claims map[string]any, who *store.Account, name string) {
	text := ""
	switch name {
	case "name":
		text = who.Name
	case "nickname":
		text = who.Nickname
	case "preferred_username":
		text = who.Username
	case "email":
		text = who.Email
	case "phone_number", "phoneNumber": // the second is what the documented mobile client reads
		text = who.Phone
	case "zoneinfo":
		text = who.ZoneInfo
	case "locale":
		text = who.Locale
	case "email_verified":
		if who.Email != "" {
			claims[name] = who.EmailVerified
		}
	case "phone_number_verified":
		if who.Phone != "" {
			claims[name] = who.PhoneVerified
		}
	case address:
		if formatted := i.attribute(who, name); formatted != "" {
			claims[name] = map[string]string{"formatted": formatted}
		}
	default:
		text = i.attribute(who, name)
	}
	if text != "" {
		claims[name] = text
	}
}
