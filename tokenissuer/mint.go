package tokenissuer

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/grant"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// minted is what a grant has earned, before a dialect shapes it.
type minted struct {
	grant    string
	access   string
	refresh  string
	id       string
	scope    string
	lifetime time.Duration
}

// String keeps the tokens out of logs.
func (m *minted) String() string { return "tokens of " + m.grant }

// GoString is String, for %#v.
func (m *minted) GoString() string { return m.String() }

// expiresIn is one second less than the lifetime, whatever the clock's
// fraction: what the documented servers answer.
func (m *minted) expiresIn() int64 { return int64(m.lifetime/time.Second) - 1 }

// mint turns an authorization into tokens. It is the only place that signs, and
// it touches nothing: what must be kept it hands back as writes, after those of
// the grant.
func (i *Issuer) mint(r *request, c *client.Client, a *grant.Authorization) (*minted, []store.Write, error) {
	key, err := i.state.signing(i.algorithm, r.now)
	if err != nil {
		return nil, nil, err
	}
	m := &minted{grant: r.event.Grant, scope: a.Scopes.String(), lifetime: i.config.AccessTokenLifetime}
	if c.AccessTokenLifetime != 0 {
		m.lifetime = c.AccessTokenLifetime
	}
	var writes []store.Write
	if told := i.operatorAttributesOf(c, a.Account); len(told) > 0 {
		// Whoever takes a role away refuses the tokens that are there: one that is being
		// made must not come after. What people write is not asked for: any app with a
		// token of theirs could keep them out of the others by changing it. It comes first,
		// as the account does in every transaction.
		writes = append(writes, store.RequireAttributes{Account: a.Account.ID, Attributes: told})
	}
	writes = append(writes, a.Writes...)
	if a.Fresh {
		writes = append(writes, store.PutFamily{Family: *a.Family})
	}
	record, err := i.access(m, key, c, a, r)
	if err != nil {
		return nil, nil, err
	}
	if record != nil {
		writes = append(writes, record)
	}
	if a.Account == nil {
		return m, writes, nil
	}
	if a.Scopes.Has("openid") {
		if m.id, err = i.identity(key, c, a, r); err != nil {
			return nil, nil, err
		}
	}
	if c.MayUse(oauth.GrantRefreshToken) {
		m.refresh = a.Refresh
		if a.Fresh {
			m.refresh = newRefreshToken(c)
			writes = append(writes, store.PutRefresh{Refresh: store.Refresh{Hash: grant.HashOf(m.refresh), Family: a.Family.ID}})
		}
	}
	return m, writes, nil
}

// access makes the access token and the record that leads from its jti back to
// its family; a JWT of client_credentials needs none.
func (i *Issuer) access(m *minted, key *token.Key, c *client.Client, a *grant.Authorization, r *request) (store.Write, error) {
	jti, expires := uuid.NewString(), r.now.Add(m.lifetime)
	further := i.accessTokenClaims(c, a.Account)
	if c.AccessToken == client.Opaque {
		var record store.Write
		m.access, record = newOpaque(c, a, jti, further, r.now, m.lifetime)
		return record, nil
	}
	t := token.Access{
		Issuer: i.base(r.family), Subject: a.Subject, Audience: cmp.Or(a.Audience, c.ID), ID: jti,
		Scopes: a.Scopes, IssuedAt: r.now, Expires: expires, Extra: further,
	}
	typ := token.TypeJWT
	if c.AccessToken == client.ATJWT {
		typ, t.ClientID, t.ScopeText = token.TypeAccess, c.ID, true
		if a.Family != nil {
			t.AuthTime = a.Family.AuthTime // RFC 9068 §2.2.1; a gate's max_age asks for it
		}
	}
	if a.Audience != "" {
		t.ClientID = c.ID // or nobody could tell whose it is
	}
	payload, err := t.Payload()
	if err != nil {
		return nil, fmt.Errorf("access token: %w", err)
	}
	if m.access, err = key.Sign(typ, payload); err != nil || a.Family == nil {
		return nil, err
	}
	return store.PutToken{Token: store.Token{ID: jti, Family: a.Family.ID, Expires: expires}}, nil
}

func (i *Issuer) identity(key *token.Key, c *client.Client, a *grant.Authorization, r *request) (string, error) {
	t := token.Identity{
		Issuer: i.base(r.family), Subject: a.Subject, ClientID: c.ID, ID: uuid.NewString(),
		IssuedAt: r.now, Expires: r.now.Add(i.config.IDTokenLifetime), Nonce: a.Nonce, Extra: i.idTokenClaims(c, a),
	}
	if wantsAuthTime(a) {
		t.AuthTime = a.Family.AuthTime
	}
	payload, err := t.Payload()
	if err != nil {
		return "", fmt.Errorf("ID token: %w", err)
	}
	return key.Sign(token.TypeJWT, payload)
}

func newRefreshToken(c *client.Client) string {
	var b [grant.RefreshBytes]byte
	rand.Read(b[:])
	return grant.WriteRefresh(c, b[:])
}

// errNoKey is a fault of ours: the first key is made before the first request.
var errNoKey = errors.New("no key may sign now")
