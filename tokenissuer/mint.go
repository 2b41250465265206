package tokenissuer

import (
	"crypto/rand"
	"encoding/base64"
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

// tokens is a success answer (RFC 6749 §5.1); its members have the order of the
// documented samples.
type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
}

// mint turns an authorization into tokens. It is the only place that signs, and
// it touches nothing: what must be kept it hands back as writes, after those of
// the grant.
func (i *Issuer) mint(c *client.Client, a *grant.Authorization, now time.Time) (*tokens, []store.Write, error) {
	key := i.state.ring().Signing(i.algorithm, now)
	if key == nil {
		return nil, nil, errors.New("no key may sign now")
	}
	lifetime := i.config.AccessTokenLifetime
	if c.AccessTokenLifetime != 0 {
		lifetime = c.AccessTokenLifetime
	}
	jti := uuid.NewString()
	answer := &tokens{
		Scope: a.Scopes.String(), TokenType: "Bearer",
		// One second less than the lifetime, whatever the clock's fraction: what the
		// documented server answers.
		ExpiresIn: int64(lifetime/time.Second) - 1,
	}
	var err error
	if answer.AccessToken, err = i.access(key, c, a, jti, now, lifetime); err != nil {
		return nil, nil, err
	}
	if a.Account == nil {
		return answer, a.Writes, nil
	}
	if a.Scopes.Has("openid") {
		if answer.IDToken, err = i.identity(key, c, a, now); err != nil {
			return nil, nil, err
		}
	}
	writes := append([]store.Write(nil), a.Writes...)
	if a.Fresh {
		writes = append(writes, store.PutFamily{Family: *a.Family})
	}
	if c.MayUse(oauth.GrantRefreshToken) {
		answer.RefreshToken = a.Refresh
		if a.Fresh {
			first := newRefreshToken()
			answer.RefreshToken = first
			writes = append(writes, store.PutRefresh{Refresh: store.Refresh{Hash: grant.HashOf(first), Family: a.Family.ID}})
		}
	}
	// The way back from this jti to its family, account and client.
	writes = append(writes, store.PutToken{Token: store.Token{ID: jti, Family: a.Family.ID, Expires: now.Add(lifetime)}})
	return answer, writes, nil
}

func (i *Issuer) access(key *token.Key, c *client.Client, a *grant.Authorization, jti string, now time.Time, lifetime time.Duration) (string, error) {
	t := token.Access{
		Issuer: i.config.Issuer, Subject: a.Subject, Audience: c.ID, ID: jti,
		Scopes: a.Scopes, IssuedAt: now, Expires: now.Add(lifetime),
	}
	typ := token.TypeJWT
	if c.AccessToken == client.ATJWT {
		typ, t.ClientID, t.ScopeText = token.TypeAccess, c.ID, true
	}
	payload, err := t.Payload()
	if err != nil {
		return "", fmt.Errorf("access token: %w", err)
	}
	return key.Sign(typ, payload)
}

func (i *Issuer) identity(key *token.Key, c *client.Client, a *grant.Authorization, now time.Time) (string, error) {
	t := token.Identity{
		Issuer: i.config.Issuer, Subject: a.Subject, ClientID: c.ID, ID: uuid.NewString(),
		IssuedAt: now, Expires: now.Add(i.config.IDTokenLifetime), Extra: claimsOf(a.Account, c.Claims),
	}
	payload, err := t.Payload()
	if err != nil {
		return "", fmt.Errorf("ID token: %w", err)
	}
	return key.Sign(token.TypeJWT, payload)
}

func newRefreshToken() string {
	var b [grant.RefreshBytes]byte
	rand.Read(b[:]) // never fails: it ends the process
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// claimsOf returns the configured claims that the account has.
func claimsOf(who *store.Account, names []string) map[string]any {
	claims := make(map[string]any, len(names))
	for _, n := range names {
		if v := claimOf(who, n); v != "" {
			claims[n] = v
		}
	}
	return claims
}

func claimOf(who *store.Account, name string) string {
	switch name {
	case "name":
		return who.Name
	case "nickname":
		return who.Nickname
	case "preferred_username":
		return who.Username
	case "email":
		return who.Email
	case "phone_number", "phoneNumber": // the second is what the documented mobile client reads
		return who.Phone
	case "zoneinfo":
		return who.ZoneInfo
	case "locale":
		return who.Locale
	}
	return ""
}
