package tokenissuer

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// introspection is the answer of RFC 7662 §2.2. A token that is not active, for
// whatever reason, is told as that and nothing more.
type introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	Expires   int64    `json:"exp,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	NotBefore int64    `json:"nbf,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	ID        string   `json:"jti,omitempty"`

	// further are claims of the token's own, an operator's attributes: a gate far away
	// demands what the one here does. RFC 7662 §2.2 has room for them.
	further map[string]any
}

// MarshalJSON puts the further members behind the others, which they cannot be
// called like.
func (a introspection) MarshalJSON() ([]byte, error) {
	type members introspection
	b, err := json.Marshal(members(a))
	if err != nil || len(a.further) == 0 {
		return b, err
	}
	more, err := json.Marshal(a.further)
	return append(append(b[:len(b)-1], ','), more[1:]...), err
}

// introspect is POST /oauth2/introspect (RFC 7662).
func (i *Issuer) introspect(r *request) error {
	c, form, err := i.authenticate(r, client.Introspect)
	if err != nil {
		return err
	}
	raw := form.Get("token")
	if raw == "" {
		return oauth.FailParam(oauth.InvalidRequest, oauth.MissingParameter, "token")
	}
	answer, err := i.inspect(r.Context(), raw, r.now)
	if err != nil {
		return err
	}
	// A client learns nothing of the tokens of others, not even that they exist.
	if answer.ClientID != c.ID && !c.IntrospectAny {
		answer = introspection{}
	}
	r.event.Account, r.event.Scope = answer.Subject, answer.Scope
	return r.json(r.dialect.mediaType, answer)
}

func (i *Issuer) inspect(ctx context.Context, raw string, now time.Time) (introspection, error) {
	t, f, err := i.refreshFamily(ctx, raw)
	switch {
	case err == nil:
		return i.inspectRefresh(ctx, t, f, now)
	case !errors.Is(err, store.ErrNotFound):
		return introspection{}, err
	}
	claims, err := i.verify(ctx, raw, now)
	if errors.Is(err, store.ErrUnavailable) {
		return introspection{}, err
	}
	if err != nil {
		return introspection{}, nil // a bad token is an answer here, not an error
	}
	return introspection{
		Active: true, Scope: oauth.Scopes(claims.Scopes).String(), ClientID: claims.ClientID, TokenType: "Bearer",
		Expires: claims.Expires, IssuedAt: claims.IssuedAt, NotBefore: claims.NotBefore,
		Subject: claims.Subject, Audience: claims.Audience, Issuer: claims.Issuer, ID: claims.ID, further: i.further(claims),
	}, nil
}

// further are the operators' attributes that a token has.
func (i *Issuer) further(claims *token.Claims) map[string]any {
	told := map[string]any{}
	for _, name := range i.config.OperatorAttributes {
		if value, has := claims.Every()[name]; has {
			told[name] = value
		}
	}
	return told
}

func (i *Issuer) inspectRefresh(ctx context.Context, t store.Refresh, f store.Family, now time.Time) (introspection, error) {
	c, known := i.client(f.Client)
	if !t.Spent.IsZero() || !f.Revoked.IsZero() || !now.Before(f.Expires) || !known || c.Disabled {
		return introspection{}, nil
	}
	who, err := i.state.store.Account(ctx, f.Account)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && who.State != store.Active:
		return introspection{}, nil
	case err != nil:
		return introspection{}, err
	}
	return introspection{
		Active: true, Scope: oauth.Scopes(f.Scopes).String(), ClientID: f.Client, Expires: f.Expires.Unix(),
		IssuedAt: f.Created.Unix(), Subject: f.Account, Issuer: i.base(familyOfClient(c)),
	}, nil
}
