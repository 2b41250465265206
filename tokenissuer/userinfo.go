package tokenissuer

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// challenge is an error that is answered with a Bearer challenge (RFC 6750 §3)
// as the documented API spells it, and without a body.
type challenge struct {
	err    *oauth.Error
	header string
}

func (c *challenge) Error() string { return c.err.Error() }

func (c *challenge) Unwrap() error { return c.err }

const (
	noToken  = `Bearer error="invalid_request", error_description="Bearer token not found in the request", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"`
	badToken = `Bearer error="invalid_token", error_description="Error decoding JWT", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"`
	noOpenID = `Bearer error="insufficient_scope", error_description="The request requires higher privileges than provided by the access token.", error_uri="https://tools.ietf.org/html/rfc6750#section-3.1"`
)

// userinfo is GET and POST /userinfo (OpenID Connect Core §5.3). It answers
// what the client's claims say, and `sub` always.
func (i *Issuer) userinfo(r *request) error {
	claims, err := i.bearer(r)
	if err != nil {
		return err
	}
	r.event.Client = claims.ClientID
	if !oauth.Scopes(claims.Scopes).Has("openid") {
		return &challenge{oauth.Fail(oauth.InsufficientScope, oauth.MissingScope), noOpenID}
	}
	who, err := i.state.store.Account(r.Context(), claims.Subject)
	if errors.Is(err, store.ErrNotFound) {
		return oauth.Fail(oauth.UserNotFound, oauth.AccountGone)
	}
	if err != nil {
		return fmt.Errorf("reading the account: %w", err)
	}
	r.event.Account = who.ID
	c, _ := i.clients.Client(claims.ClientID) // Revoked has refused tokens of unknown clients
	info := claimsOf(&who, c.Claims)
	info["sub"] = who.ID
	return r.json("application/json", info)
}

// bearer verifies the token of the request's one Authorization header.
func (i *Issuer) bearer(r *request) (*token.Claims, error) {
	raw, err := oauth.Bearer(r.Header)
	switch {
	case errors.Is(err, oauth.ErrNoToken):
		return nil, &challenge{oauth.Fail(oauth.InvalidRequest, oauth.NoBearerToken), noToken}
	case err != nil:
		return nil, &challenge{oauth.Wrap(oauth.InvalidToken, oauth.BadBearerToken, err), badToken}
	}
	claims, err := i.verify(raw, r.now)
	if err != nil {
		return nil, &challenge{oauth.AsError(err), badToken}
	}
	return claims, nil
}

var _ http.Handler = (*Issuer)(nil)
