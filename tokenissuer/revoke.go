package tokenissuer

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/grant"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// revoke is POST /oauth2/revoke (RFC 7009). An access token is revoked alone; a
// refresh token takes its whole family along. token_type_hint may be wrong (§2.1:
// the server "MUST extend its search"), so it is not needed at all.
func (i *Issuer) revoke(r *request) error {
	c, form, err := i.authenticate(r, client.Revoke)
	if err != nil {
		return err
	}
	raw := form.Get("token")
	if raw == "" {
		return oauth.FailParam(oauth.InvalidRequest, oauth.MissingRevokedToken, "token")
	}
	writes, err := i.revocation(r, c, raw)
	if err != nil {
		return err
	}
	if err := i.state.store.Apply(r.Context(), r.now, writes...); err != nil {
		return err
	}
	r.empty()
	return nil
}

// revocation finds what a token stands for. What it does not know is already
// as good as revoked: no writes, and 200 (RFC 7009 §2.2).
func (i *Issuer) revocation(r *request, c *client.Client, raw string) ([]store.Write, error) {
	ctx, now := r.Context(), r.now
	_, family, err := i.refreshFamily(ctx, raw)
	switch {
	case err == nil && family.Client != c.ID:
		return nil, oauth.Fail(oauth.InvalidClient, oauth.ForeignToken)
	case err == nil:
		r.event.Account, r.event.Scope = family.Account, oauth.Scopes(family.Scopes).String()
		return []store.Write{store.RevokeFamily{Family: family.ID}}, nil
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	claims, err := i.read(ctx, raw, now)
	switch {
	case errors.Is(err, store.ErrUnavailable):
		return nil, err
	case err != nil:
		return nil, nil
	case claims.ClientID != c.ID:
		return nil, oauth.Fail(oauth.InvalidClient, oauth.ForeignToken)
	}
	r.event.Account, r.event.Scope = claims.Subject, oauth.Scopes(claims.Scopes).String()
	return []store.Write{store.RevokeToken{ID: claims.ID, Expires: time.Unix(claims.Expires, 0)}}, nil
}

// refreshFamily looks a refresh token up, spent ones too.
func (i *Issuer) refreshFamily(ctx context.Context, raw string) (store.Refresh, store.Family, error) {
	return grant.FindRefresh(ctx, i.state.store, i.state.refresh, raw)
}
