package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// Client is a registered application, ready to be asked. It is immutable.
type Client struct {
	ID                   string
	Name                 string
	Type                 Type
	Sources              []string
	Scopes               oauth.Scopes
	RedirectURIs         []string
	LogoutRedirectURIs   []string
	PKCEWithoutSecret    bool
	BackchannelLogoutURI string
	EndsWithSession      bool // its sign-ins end when the browser they began in signs out
	OTPSendWithoutSecret bool
	Claims               []string
	Audiences            []string // what its own tokens may be for, besides itself
	IntrospectAny        bool
	Rotate               bool // refresh tokens change at each use
	Dialect              string
	AccessToken          string
	Rules                Rules
	AccessTokenLifetime  time.Duration // 0: the issuer's
	FirstParty           bool          // no consent is asked for
	SignUp               bool          // people may open accounts through it
	Disabled             bool

	grants  map[string]bool
	secrets []digest
	hashes  []string
}

// MayUse reports whether a grant is among the client's.
func (c *Client) MayUse(grantType string) bool { return c.grants[grantType] }

// OfPeople reports whether people sign in through the client.
func (c *Client) OfPeople() bool {
	return slices.ContainsFunc(grantsOfPeople, c.MayUse)
}

// HasSecret reports whether the client was given a secret at all.
func (c *Client) HasSecret() bool { return len(c.secrets)+len(c.hashes) > 0 }

// Registry holds the clients of one configuration.
type Registry struct {
	byID   map[string]*Client
	proofs *Proofs
	slow   VerifyHash
	raw    bool // Basic credentials may stand as they are, not urlencoded
}

// NewRegistry makes the clients of one family of paths ready. The registrations
// must have no Problems. raw says that Basic credentials are read as RFC 7617
// alone has them, and only then as RFC 6749 §2.3.1 does.
func NewRegistry(list []Registration, raw bool, proofs *Proofs, slow VerifyHash) (*Registry, error) {
	g := &Registry{raw: raw, byID: make(map[string]*Client, len(list)), proofs: proofs, slow: slow}
	for _, r := range list {
		if _, taken := g.byID[r.ID]; taken {
			return nil, fmt.Errorf("client %s is registered twice", r.ID)
		}
		g.byID[r.ID] = r.client()
	}
	return g, nil
}

func (r Registration) client() *Client {
	c := &Client{
		ID: r.ID, Name: r.Name, Type: r.Type, Sources: r.Sources, Scopes: oauth.Scopes(r.Scopes), RedirectURIs: r.RedirectURIs, LogoutRedirectURIs: r.LogoutRedirectURIs, PKCEWithoutSecret: r.PKCEWithoutSecret, BackchannelLogoutURI: r.BackchannelLogoutURI, OTPSendWithoutSecret: r.OTPSendWithoutSecret, Claims: r.Claims, Audiences: r.Audiences,
		IntrospectAny: r.IntrospectAny, FirstParty: r.FirstParty, SignUp: r.SignUp, AccessToken: r.AccessToken, AccessTokenLifetime: r.Lifetime(), Disabled: r.Disabled,
		Rotate:          r.Refresh == "rotate" || r.Refresh == "" && r.Type.Public(),
		EndsWithSession: r.Logout == LogoutTokens || r.Logout == "" && r.BackchannelLogoutURI != "",
		Dialect:         r.Dialect, grants: make(map[string]bool, len(r.Grants)), hashes: r.SecretHashes,
	}
	if c.Dialect == "" {
		c.Dialect = CIAM
	}
	c.Rules = rules[c.Dialect]
	if c.AccessToken == "" {
		c.AccessToken = c.Rules.accessToken
	}
	for _, g := range r.Grants {
		c.grants[g] = true
	}
	for _, s := range r.Secrets {
		c.secrets = append(c.secrets, digestOf(s))
	}
	return c
}

// Client looks a client up by its id, disabled ones too.
func (g *Registry) Client(id string) (*Client, bool) {
	c, ok := g.byID[id]
	return c, ok
}

// Len is how many clients there are.
func (g *Registry) Len() int { return len(g.byID) }

// All returns every client, in no order. It costs as much as there are: not for
// requests.
func (g *Registry) All() []*Client {
	all := make([]*Client, 0, len(g.byID))
	for _, c := range g.byID {
		all = append(all, c)
	}
	return all
}

// proves reports whether the secret is one of the client's.
func (g *Registry) proves(ctx context.Context, c *Client, secret string) (bool, error) {
	d := digestOf(secret)
	good := 0
	for i := range c.secrets {
		good |= c.secrets[i].equal(d)
	}
	if good == 1 {
		return true, nil
	}
	for _, h := range c.hashes {
		if ok, err := g.proofs.verify(ctx, g.slow, h, secret); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}
