package tokenissuer

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// userinfo is GET and POST /userinfo (OpenID Connect Core §5.3), PATCH of it, and
// the documented twin of the other API. What it tells of a person is the dialect's
// form of the client's claims.
func (i *Issuer) userinfo(r *request) error {
	if r.Method == http.MethodPatch {
		return i.updateUserinfo(r)
	}
	claims, c, who, err := i.personOfToken(r)
	if err != nil {
		return err
	}
	return i.tellPerson(r, c, claims, &who)
}

// personOfToken reads the bearer token and the account that it opens.
func (i *Issuer) personOfToken(r *request) (*token.Claims, *client.Client, store.Account, error) {
	claims, c, err := i.bearer(r)
	if err != nil {
		return nil, nil, store.Account{}, err
	}
	if !opensPerson(r, claims) {
		return nil, nil, store.Account{}, oauth.Fail(oauth.InsufficientScope, oauth.MissingScope)
	}
	who, err := i.account(r, claims.Subject)
	if err != nil {
		return nil, nil, who, err
	}
	r.event.Account = who.ID
	return claims, c, who, nil
}

// opensPerson reports whether a token is one for what concerns its person.
func opensPerson(r *request, claims *token.Claims) bool {
	s := oauth.Scopes(claims.Scopes)
	return s.Has("openid") || s.Has(r.dialect.personScope)
}

// tellPerson answers what the client may learn.
func (i *Issuer) tellPerson(r *request, c *client.Client, claims *token.Claims, who *store.Account) error {
	// What the `claims` parameter asked for is kept with the sign-in.
	_, sign, err := i.state.store.FamilyOf(r.Context(), claims.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("reading the sign-in: %w", err)
	}
	info := i.userinfoClaims(who, c, claims.Scopes, readAsked(sign.Claims))
	if oauth.Scopes(claims.Scopes).Has(r.dialect.personScope) {
		for _, n := range r.dialect.personClaims {
			i.tell(info, who, n)
		}
	}
	return r.json(r.dialect.personType, r.dialect.person(who, info))
}

// standardClaims is userinfo as OpenID Connect has it: `sub` always, the rest
// as the client is configured and has asked for.
func standardClaims(who *store.Account, info map[string]any) any {
	info["sub"] = who.ID
	return info
}

// bearer verifies the token of the request's one Authorization header. The
// client of the token decides how the answer is spelled.
func (i *Issuer) bearer(r *request) (*token.Claims, *client.Client, error) {
	raw, err := oauth.Bearer(r.Header)
	switch {
	case errors.Is(err, oauth.ErrNoToken):
		return nil, nil, oauth.Fail(oauth.InvalidRequest, oauth.NoBearerToken)
	case err != nil:
		return nil, nil, oauth.Wrap(oauth.InvalidToken, oauth.BadBearerToken, err)
	}
	claims, err := i.verify(r.Context(), raw, r.now)
	if err != nil {
		return nil, nil, i.goneOr(r, raw, err)
	}
	c, known := i.clients[r.family].Client(claims.ClientID)
	if !known {
		return nil, nil, oauth.Fail(oauth.InvalidToken, oauth.BadBearerToken)
	}
	r.speak(c)
	r.proven, r.held = true, false // whose mistakes these are is known: not those of everybody at this address
	return claims, c, nil
}

// goneOr tells apart a token that was revoked because its person is no longer
// there: the documented API says so.
func (i *Issuer) goneOr(r *request, raw string, err error) error {
	if oauth.AsError(err).Reason != oauth.RevokedToken {
		return err
	}
	claims, readErr := i.read(r.Context(), raw, r.now)
	if readErr != nil || claims.Subject == claims.ClientID {
		return err
	}
	if _, lookErr := i.state.store.Account(r.Context(), claims.Subject); errors.Is(lookErr, store.ErrNotFound) {
		if c, ok := i.client(claims.ClientID); ok {
			r.speak(c)
		}
		return oauth.Fail(oauth.UserNotFound, oauth.AccountGone)
	}
	return err
}

var _ http.Handler = (*Issuer)(nil)
