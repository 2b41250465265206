package tokenissuer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/grant"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// opaqueLength is 16 bytes in the form of a UUID.
const opaqueLength = 36

// IsOpaque reports whether a string has the form of an opaque token. A JWT
// never has: it is longer, and has dots.
func IsOpaque(raw string) bool {
	if len(raw) != opaqueLength {
		return false
	}
	for n := range len(raw) {
		c := raw[n]
		switch {
		case n == 8 || n == 13 || n == 18 || n == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}

// newOpaque makes an opaque access token and the write that remembers its hash.
func newOpaque(c *client.Client, a *grant.Authorization, jti string, now time.Time, lifetime time.Duration) (string, store.Write) {
	var random [16]byte
	rand.Read(random[:])
	raw := grant.Dashed(random[:])
	o := store.Opaque{
		Hash: grant.HashOf(raw), ID: jti, Client: c.ID, Subject: a.Subject, Scopes: a.Scopes,
		Audience: []string{c.ID}, Issued: now, Expires: now.Add(lifetime),
	}
	if a.Family != nil {
		o.Account, o.Family = a.Account.ID, a.Family.ID
	}
	return raw, store.PutOpaque{Opaque: o}
}

// opaque looks a token up; what it finds reads like the claims of a JWT.
func (i *Issuer) opaque(ctx context.Context, raw string, now time.Time) (*token.Claims, error) {
	claims, err := i.Opaque(ctx, token.Sum(raw))
	if err != nil {
		return nil, err
	}
	if !now.Before(time.Unix(claims.Expires, 0)) {
		return nil, oauth.Wrap(oauth.InvalidToken, oauth.BadBearerToken, token.ErrExpired)
	}
	return claims, nil
}

// Opaque finds the claims of an opaque token by its digest, for the gate. They
// may be expired or revoked; whoever asks checks that as for a JWT.
func (i *Issuer) Opaque(ctx context.Context, digest token.Digest) (*token.Claims, error) {
	o, err := i.state.store.Opaque(ctx, store.Hash(digest))
	if errors.Is(err, store.ErrNotFound) {
		return nil, oauth.Wrap(oauth.InvalidToken, oauth.BadBearerToken, errors.New("no such opaque token"))
	}
	if err != nil {
		return nil, fmt.Errorf("looking an opaque token up: %w", err)
	}
	c, known := i.client(o.Client)
	if !known {
		return nil, oauth.Wrap(oauth.InvalidToken, oauth.BadBearerToken, errors.New("opaque token of an unknown client"))
	}
	f := oauth2
	if c.Dialect == client.IDaaS {
		f = apiV1
	}
	return &token.Claims{
		Issuer: i.base(f), Subject: o.Subject, Audience: o.Audience, Scopes: o.Scopes, ClientID: o.Client, ID: o.ID,
		IssuedAt: o.Issued.Unix(), NotBefore: o.Issued.Unix(), Expires: o.Expires.Unix(),
	}, nil
}
