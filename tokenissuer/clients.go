package tokenissuer

import (
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
)

// together is what requests ask of all clients of a configuration at once. It is
// answered when the configuration is loaded: there may be ten thousand of them, and
// who asks may be a stranger.
type together struct {
	scopes    [families][]string // what the metadata names
	people    bool               // people sign in to one of them
	signUp    bool               // one of them opens accounts by API
	leaving   map[string]bool    // where a browser may be sent by the documented sign-out
	endingIDs []string           // whose sign-ins end with the browser session they began in
}

func (i *Issuer) askTogether() {
	t := together{leaving: map[string]bool{}}
	for f, registry := range i.clients {
		all := registry.All()
		t.scopes[f] = standardScopes(family(f), all)
		for _, c := range all {
			if c.EndsWithSession {
				t.endingIDs = append(t.endingIDs, c.ID)
			}
			switch family(f) {
			case oauth2:
				t.people = t.people || c.OfPeople()
				t.signUp = t.signUp || c.Type == client.Web && c.SignUp
			case apiV1:
				t.leave(c)
			}
		}
	}
	i.together = t
}

func (t *together) leave(c *client.Client) {
	if c.Disabled {
		return
	}
	for _, address := range c.LogoutRedirectURIs {
		t.leaving[address] = true
	}
}

// standardScopes are openid and those standard ones that a client may ask for. The
// operator's own names are nobody's business.
func standardScopes(f family, clients []*client.Client) []string {
	all := []string{"openid"}
	if f == apiV1 {
		all = append(all, idaas.personScope)
	}
	for _, s := range []string{"profile", "email", "phone", address} {
		if slices.ContainsFunc(clients, func(c *client.Client) bool { return c.Scopes.Has(s) }) {
			all = append(all, s)
		}
	}
	return all
}
