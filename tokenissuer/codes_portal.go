package tokenissuer

import (
	"context"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/portal"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Kind, Send and Check are portal.OneTimeCodes.
var _ portal.OneTimeCodes = (*codes)(nil)

// Kind is how a source reaches people.
func (c *codes) Kind(source string) (store.IdentifierKind, bool) {
	s, ok := c.sources[source]
	return s.Kind, ok
}

// Send sends a code for a sign-in at the portal. A browser proves nothing, so
// its address is held to account.
func (c *codes) Send(ctx context.Context, now time.Time, d portal.Destination) (token string, err error) {
	s, err := c.sending(d)
	if err != nil {
		return "", err
	}
	source := c.sources[d.Source]
	s.Usage = account.ForLogin
	return c.send(ctx, now, parcel{
		Sending: s, by: source.ID, digits: source.Digits, lifetime: source.Lifetime, locale: d.Locale, from: d.From, unproven: true,
	})
}

// Check proves a person with the code.
func (c *codes) Check(ctx context.Context, now time.Time, d portal.Destination, token, code string) (store.Account, []store.Write, error) {
	s, err := c.sending(d)
	if err != nil {
		return store.Account{}, nil, err
	}
	return c.accounts.SignIn(ctx, now, s, token, code, false, d.From)
}

func (c *codes) sending(d portal.Destination) (account.Sending, error) {
	source, ok := c.sources[d.Source]
	if !ok {
		return account.Sending{}, oauth.Fail(oauth.InvalidAuthSource, oauth.SourceNotAssociated)
	}
	return account.Sending{Client: d.Client, Source: d.Source, Kind: source.Kind, To: d.To}, nil
}
