package tokenissuer

import (
	"strings"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
)

// A family is one of the two sets of paths that token requests come to. A
// client belongs to one of them and is unknown at the other.
type family int

const (
	oauth2 family = iota // /oauth2/*: dialects ciam and oauth
	apiV1                // /api/v1/oauth2/*: dialect idaas
	families
)

func familyOf(c client.Registration) family {
	if c.Dialect == client.IDaaS {
		return apiV1
	}
	return oauth2
}

func familyOfClient(c *client.Client) family {
	if c.Dialect == client.IDaaS {
		return apiV1
	}
	return oauth2
}

// base is what the family's published addresses and its tokens' `iss` begin
// with.
func (i *Issuer) base(f family) string {
	if f == apiV1 {
		return i.config.Issuer + idaasPath
	}
	return i.config.Issuer
}

// Identifiers are the `iss` of this issuer's tokens, one for each family that
// has a client; the first is the issuer's own.
func (i *Issuer) Identifiers() []string {
	ids := []string{i.base(oauth2)}
	if i.speaks(apiV1) {
		ids = append(ids, i.base(apiV1))
	}
	return ids
}

// speaks reports whether a family's paths are served: the second one only
// while a client needs it, for its paths may be a backend's.
func (i *Issuer) speaks(f family) bool { return f == oauth2 || i.clients[f].Len() > 0 }

// client finds a client of either family.
func (i *Issuer) client(id string) (*client.Client, bool) {
	for _, g := range i.clients {
		if c, ok := g.Client(id); ok {
			return c, true
		}
	}
	return nil, false
}

// familyAt tells the family by the path.
func familyAt(path string) family {
	if strings.HasPrefix(path, "/api/v1/") {
		return apiV1
	}
	return oauth2
}

// unnamed is the dialect that answers where no known client is named.
func (i *Issuer) unnamed(f family) *dialect {
	if f == apiV1 {
		return idaas
	}
	return dialects[i.config.Dialect]
}

// speak makes the rest of the request be answered as the client expects it.
func (r *request) speak(c *client.Client) {
	r.event.Client = c.ID
	r.dialect = dialects[c.Dialect]
}
