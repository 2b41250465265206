package grant

import (
	"context"
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// ClientCredentials is RFC 6749 §4.4: the client acts for itself, so its id is
// the subject, and it gets neither a refresh token nor an ID token.
func ClientCredentials(_ context.Context, r Request) (*Authorization, error) {
	scopes, err := oauth.ParseScopes(r.Form.Get("scope"))
	if err != nil {
		return nil, err
	}
	if len(scopes) == 0 {
		scopes = ownScopes(r.Client)
	}
	for _, s := range scopes {
		if !r.Client.Scopes.Has(s) || r.Client.Rules.OfPerson(s) {
			return nil, oauth.FailParam(oauth.InvalidScope, oauth.ScopeNotAllowed, "scope")
		}
	}
	audience, err := audienceOf(r)
	if err != nil {
		return nil, err
	}
	return &Authorization{Subject: r.Client.ID, Scopes: scopes, Audience: audience}, nil
}

// audienceOf is what a token is asked for, "" for the client itself. One that the
// client may not name is refused, and never exchanged for another silently.
func audienceOf(r Request) (string, error) {
	asked := r.Form.Get("audience")
	switch {
	case asked == "" || asked == r.Client.ID, !r.Client.Rules.NamesAudience && len(r.Client.Audiences) == 0:
		return "", nil
	case !slices.Contains(r.Client.Audiences, asked):
		return "", oauth.FailParam(oauth.InvalidTarget, oauth.AudienceNotGranted, oauth.Printable(asked))
	}
	return asked, nil
}

// ownScopes is what an omitted scope means: all that the client has and may
// use for itself.
func ownScopes(c *client.Client) oauth.Scopes {
	own := make(oauth.Scopes, 0, len(c.Scopes))
	for _, s := range c.Scopes {
		if !c.Rules.OfPerson(s) {
			own = append(own, s)
		}
	}
	return own
}
