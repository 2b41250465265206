package tokenissuer

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/grant"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// newOpaque makes an opaque access token and the write that remembers its hash.
func newOpaque(c *client.Client, a *grant.Authorization, jti string, further map[string]any, now time.Time, lifetime time.Duration) (string, store.Write) {
	var random [16]byte
	rand.Read(random[:])
	raw := grant.Dashed(random[:])
	o := store.Opaque{
		Hash: grant.HashOf(raw), ID: jti, Client: c.ID, Subject: a.Subject, Scopes: a.Scopes,
		Audience: []string{cmp.Or(a.Audience, c.ID)}, Issued: now, Expires: now.Add(lifetime),
	}
	if a.Family != nil {
		o.Account, o.Family = a.Account.ID, a.Family.ID
	}
	if len(further) > 0 {
		text, _ := json.Marshal(further) // texts, and an address of one
		o.Claims = string(text)
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
		return nil, oauth.Wrap(oauth.InvalidToken, oauth.BadBearerToken, token.ErrUnknown)
	}
	if err != nil {
		return nil, fmt.Errorf("looking an opaque token up: %w", err)
	}
	c, known := i.client(o.Client)
	if !known {
		return nil, oauth.Wrap(oauth.InvalidToken, oauth.BadBearerToken, token.ErrUnknown)
	}
	claims := &token.Claims{
		Issuer: i.base(familyOfClient(c)), Subject: o.Subject, Audience: o.Audience, Scopes: o.Scopes, ClientID: o.Client, ID: o.ID,
		IssuedAt: o.Issued.Unix(), NotBefore: o.Issued.Unix(), Expires: o.Expires.Unix(),
	}
	claims.All = map[string]any{}
	if o.Claims != "" {
		if err := json.Unmarshal([]byte(o.Claims), &claims.All); err != nil {
			return nil, fmt.Errorf("reading the claims of an opaque token: %w", err)
		}
	}
	maps.Copy(claims.All, map[string]any{
		"iss": claims.Issuer, "sub": o.Subject, "aud": anyOf(o.Audience), "scope": anyOf(o.Scopes), "client_id": o.Client, "jti": o.ID,
		"iat": number(claims.IssuedAt), "nbf": number(claims.NotBefore), "exp": number(claims.Expires),
	})
	return claims, nil
}

// anyOf and number give values the types that a parsed JWT has.
func anyOf(list []string) []any {
	out := make([]any, len(list))
	for n, s := range list {
		out[n] = s
	}
	return out
}

func number(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }
