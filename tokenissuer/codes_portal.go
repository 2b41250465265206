package tokenissuer

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
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
func (c *codes) Send(ctx context.Context, now time.Time, d portal.Destination) (portal.Sent, error) {
	s, err := c.sending(d)
	if err != nil {
		return portal.Sent{}, err
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
	return account.Sending{Client: d.Client, Source: d.Source, Kind: source.Kind, To: d.To, Once: d.Once}, nil
}

// addresses is portal.Addresses.
type addresses struct {
	*codes
	client func(id string) (*client.Client, bool)
}

var _ portal.Addresses = addresses{}

// Kinds is where codes can be sent, in the operator's order.
func (c addresses) Kinds() (kinds []store.IdentifierKind) {
	for _, id := range c.order {
		if kind := c.sources[id].Kind; !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// SendTo sends a code. One for a new password goes to nobody where nobody has
// the address, and how that ends is not waited for.
func (c addresses) SendTo(ctx context.Context, now time.Time, d portal.Destination) (portal.Sent, error) {
	to, ok := c.accounts.Reachable(d.Kind, d.To)
	if !ok {
		return portal.Sent{}, malformed(d.Kind)
	}
	p := parcel{Sending: c.purpose(d), locale: d.Locale, from: d.From, unproven: true}
	if d.Usage == account.ForReset {
		_, err := c.state.store.FindAccount(ctx, d.Kind, to)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return portal.Sent{}, err
		}
		p.decoy, p.apart = err != nil, true
	}
	of, known := c.client(d.Client)
	if !known {
		of = &client.Client{} // at the portal itself
	}
	if err := c.lend(&p, of); err != nil {
		return portal.Sent{}, err
	}
	// A person types it from a mailbox: the operator's lifetime, not the API's.
	p.digits, p.lifetime = c.sources[p.by].Digits, c.sources[p.by].Lifetime
	return c.send(ctx, now, p)
}

// Prove takes the code.
func (c addresses) Prove(ctx context.Context, now time.Time, d portal.Destination, token, code string) (string, []store.Write, error) {
	return c.accounts.CheckCode(ctx, now, c.purpose(d), token, code, d.From)
}

func (addresses) purpose(d portal.Destination) account.Sending {
	return account.Sending{Client: d.Client, Source: d.Source, Usage: cmp.Or(d.Usage, account.ForLogin), Kind: d.Kind, To: d.To, Once: d.Once}
}
