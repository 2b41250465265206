package grant

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// RefreshBytes is what a refresh token is made of; written in base64url these
// are the 128 characters of the documented samples.
const RefreshBytes = 96

// RefreshStore is what the refresh grant reads.
type RefreshStore interface {
	FamilyOfRefresh(ctx context.Context, h store.Hash) (store.Refresh, store.Family, error)
	Refresh(ctx context.Context, h store.Hash) (store.Refresh, error)
	Family(ctx context.Context, id string) (store.Family, error)
	Account(ctx context.Context, id string) (store.Account, error)
}

// Refresh is RFC 6749 §6 with the rotation of RFC 9700 §4.14.2.
//
// A client whose tokens rotate gets a successor derived from the token it
// spends. A lost answer is therefore no lost sign-in: within Window, and until
// the successor is spent itself, the spent token earns the same successor again,
// and nobody had to keep that in plain text. Later, or once the successor was
// used, a spent token means that two parties hold the chain: the family ends.
type Refresh struct {
	Store  RefreshStore
	Secret []byte        // derives successors; kept in the key table
	Window time.Duration // 0: none
}

// Grant is the Func.
func (g *Refresh) Grant(ctx context.Context, r Request) (*Authorization, error) {
	if err := require(r.Form, "refresh_token"); err != nil {
		return nil, err
	}
	raw := r.Form.Get("refresh_token")
	token, family, who, err := g.find(ctx, r, raw)
	if err != nil {
		return nil, err
	}
	scopes, err := narrowed(r.Form.Get("scope"), family.Scopes)
	if err != nil {
		return nil, err
	}
	a := &Authorization{
		Subject: who.ID, Scopes: scopes, Account: &who, Family: &family, Refresh: raw,
		Session: family.Session, Claims: family.Claims,
	}
	switch {
	case !token.Spent.IsZero():
		return g.again(ctx, r, a, raw, token)
	case r.Client.Rotate:
		next := g.successor(r.Client, raw, token)
		a.Refresh = next
		a.Writes = []store.Write{
			store.SpendRefresh{Hash: token.Hash},
			store.PutRefresh{Refresh: store.Refresh{Hash: HashOf(next), Family: family.ID, N: token.N + 1}},
		}
		if _, marked := familyIn(g.Secret, raw); marked {
			// Only the token that is spent now can still earn something. Those before it
			// are known by their mark: a loop must not fill the store with them.
			a.Writes = append(a.Writes, store.DropSpentRefresh{Family: family.ID, N: token.N - 1})
		}
	default:
		a.Writes = []store.Write{store.RequireUnspent{Hash: token.Hash}}
	}
	return a, nil
}

// find returns the token, its living family and its active account, or the one
// answer for everything that is wrong with a refresh token (RFC 6749 §5.2:
// "invalid, expired, revoked … or was issued to another client").
func (g *Refresh) find(ctx context.Context, r Request, raw string) (t store.Refresh, f store.Family, who store.Account, err error) {
	if t, f, err = FindRefresh(ctx, g.Store, g.Secret, raw); err != nil {
		return t, f, who, gone(err, oauth.UnknownRefreshToken)
	}
	switch {
	case f.Client != r.Client.ID:
		err = oauth.Fail(oauth.InvalidGrant, oauth.ForeignRefreshToken).About(f.Account)
	case !f.Revoked.IsZero():
		err = oauth.Fail(oauth.InvalidGrant, oauth.RevokedFamily).About(f.Account)
	case !r.Now.Before(f.Expires):
		err = oauth.Fail(oauth.InvalidGrant, oauth.ExpiredRefreshToken).About(f.Account)
	}
	if err != nil {
		return t, f, who, err
	}
	if who, err = g.Store.Account(ctx, f.Account); err != nil {
		return t, f, who, gone(err, oauth.AccountGone)
	}
	if who.State != store.Active {
		return t, f, who, oauth.Fail(oauth.InvalidGrant, oauth.AccountFrozen).About(who.ID)
	}
	return t, f, who, nil
}

// gone turns a look-up that found nothing into invalid_grant and leaves other
// errors, such as a store that cannot answer, as they are.
func gone(err error, reason oauth.Reason) error {
	if errors.Is(err, store.ErrNotFound) {
		return oauth.Fail(oauth.InvalidGrant, reason)
	}
	return err
}

// again judges a token that was spent before.
func (g *Refresh) again(ctx context.Context, r Request, a *Authorization, raw string, t store.Refresh) (*Authorization, error) {
	next := g.successor(r.Client, raw, t)
	heir, err := g.Store.Refresh(ctx, HashOf(next))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err == nil && heir.Spent.IsZero() && r.Now.Before(t.Spent.Add(g.Window)) {
		a.Refresh = next
		a.Writes = []store.Write{store.RequireUnspent{Hash: heir.Hash}}
		return a, nil
	}
	return nil, &Refused{
		Err:    oauth.Fail(oauth.InvalidGrant, oauth.SpentRefreshToken).About(a.Subject),
		Writes: []store.Write{store.RevokeFamily{Family: t.Family}},
	}
}

// narrowed returns the scopes of the new access token: those of the sign-in,
// or a subset asked for (RFC 6749 §6).
func narrowed(asked string, granted []string) (oauth.Scopes, error) {
	if asked == "" {
		return granted, nil
	}
	scopes, err := oauth.ParseScopes(asked)
	if err != nil {
		return nil, err
	}
	if !scopes.Subset(granted) {
		return nil, oauth.FailParam(oauth.InvalidScope, oauth.ScopeNotAllowed, "scope")
	}
	return scopes, nil
}

// successor derives the next token of a chain: bytes that only this issuer can
// compute, and only from the spent token itself.
func (g *Refresh) successor(c *client.Client, spent string, t store.Refresh) string {
	info := "gatehouse refresh successor\x00" + t.Family + "\x00" + strconv.Itoa(t.N+1)
	next, err := hkdf.Key(sha256.New, g.Secret, []byte(spent), info, RefreshBytes)
	if err != nil {
		panic("grant: 96 bytes are within the limit of HKDF: " + err.Error())
	}
	mark(g.Secret, next, t.Family)
	return WriteRefresh(c, next)
}

// WriteRefresh writes RefreshBytes random bytes as a refresh token of the
// client. One that rotates has room for the mark, whatever the dialect.
func WriteRefresh(c *client.Client, random []byte) string {
	if c.Rules.ShortRefresh && !c.Rotate {
		return Dashed(random)
	}
	return base64.RawURLEncoding.EncodeToString(random)
}

// Dashed writes 16 random bytes in the form of a UUID. It is none: all 128 bits
// are random, which a UUID's 122 are not enough for (RFC 6749 §10.10).
func Dashed(random []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", random[0:4], random[4:6], random[6:8], random[8:10], random[10:16])
}

// HashOf is what the store keeps of a token: SHA-256, for the token has the
// entropy that a password lacks.
func HashOf(token string) store.Hash { return sha256.Sum256([]byte(token)) }
