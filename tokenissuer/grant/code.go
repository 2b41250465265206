package grant

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// NewCode makes an authorization code: 96 random bytes, as the documented
// server's are.
func NewCode() string {
	var b [96]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// CodeOf makes the code of something that has one alone and is a secret of 256
// random bits at least.
func CodeOf(key []byte, secret string) (string, error) {
	b, err := hkdf.Key(sha256.New, key, nil, "gatehouse authorization code "+secret, 96)
	return base64.RawURLEncoding.EncodeToString(b), err
}

// CodeStore is what the authorization code grant reads.
type CodeStore interface {
	Code(ctx context.Context, h store.Hash) (store.Code, error)
	Account(ctx context.Context, id string) (store.Account, error)
}

// Code is RFC 6749 §4.1.3 with the PKCE of RFC 7636.
type Code struct {
	Store    CodeStore
	Lifetime time.Duration // of the sign-in that a code begins
}

// Grant is the Func. The order of its checks is the contract's.
func (g *Code) Grant(ctx context.Context, r Request) (*Authorization, error) {
	needed := []string{"code", "redirect_uri"}
	if r.Client.Rules.RedirectOptional {
		needed = needed[:1]
	}
	if err := require(r.Form, needed...); err != nil {
		return nil, err
	}
	hash := HashOf(r.Form.Get("code"))
	code, err := g.Store.Code(ctx, hash)
	if err != nil {
		return nil, gone(err, oauth.UnknownCode)
	}
	if err := redeemable(code, r); err != nil {
		return nil, err
	}
	who, err := g.Store.Account(ctx, code.Account)
	if err != nil {
		return nil, gone(err, oauth.AccountGone)
	}
	if who.State != store.Active {
		return nil, oauth.Fail(oauth.InvalidGrant, oauth.AccountGone).About(who.ID)
	}
	family := store.Family{
		ID: uuid.NewString(), Account: who.ID, Client: r.Client.ID, Source: code.Source, AMR: code.AMR, Scopes: code.Scopes,
		Session: code.Session, Claims: code.Claims, AuthTime: code.AuthTime, Created: r.Now, Expires: r.Now.Add(g.Lifetime),
	}
	return &Authorization{
		Subject: who.ID, Scopes: code.Scopes, Account: &who, Family: &family, Fresh: true,
		Nonce: code.Nonce, Session: code.Session, Claims: code.Claims,
		Writes: []store.Write{store.SpendCode{Hash: hash, Family: family.ID}},
	}, nil
}

// redeemable says what is wrong with a code that exists. Some of it must leave a
// mark: whoever holds a code that another client's request shows, or one that was
// used before, has it from somewhere.
func redeemable(code store.Code, r Request) error {
	switch {
	case code.Client != r.Client.ID:
		refused := &Refused{Err: oauth.Fail(oauth.InvalidGrant, oauth.ForeignCode).About(code.Account)}
		if code.Spent.IsZero() {
			refused.Writes = []store.Write{store.BurnCode{Hash: code.Hash}}
		}
		return refused
	case !code.Spent.IsZero():
		// RFC 6749 §4.1.2: "the authorization server … SHOULD revoke (when possible) all
		// tokens previously issued based on that authorization code".
		refused := &Refused{Err: oauth.Fail(oauth.InvalidGrant, oauth.SpentCode).About(code.Account)}
		if code.Family != "" {
			refused.Writes = []store.Write{store.RevokeFamily{Family: code.Family}}
		}
		return refused
	case !r.Now.Before(code.Expires):
		return oauth.Fail(oauth.InvalidGrant, oauth.ExpiredCode).About(code.Account)
	case !sameRedirect(code, r.Form.Get("redirect_uri")):
		return oauth.Fail(oauth.InvalidGrant, oauth.RedirectMismatch).About(code.Account)
	case !proves(code.Challenge, r.Form.Get("code_verifier")):
		return oauth.Fail(oauth.InvalidGrant, oauth.WrongVerifier).About(code.Account)
	}
	return nil
}

// sameRedirect compares what both requests said. A stored URI that begins with a
// space was not in the authorize request: it is the client's only one.
func sameRedirect(code store.Code, sent string) bool {
	if implied, ok := cutSpace(code.RedirectURI); ok {
		return sent == "" || sent == implied
	}
	return sent == code.RedirectURI
}

// ImpliedRedirect marks the URI of a request that named none.
func ImpliedRedirect(uri string) string { return " " + uri }

func cutSpace(s string) (string, bool) {
	if s != "" && s[0] == ' ' {
		return s[1:], true
	}
	return s, false
}

// proves: RFC 9700 §4.8.2, a verifier for a code that was asked for without a
// challenge is as wrong as a missing one for a code that has one.
func proves(challenge, verifier string) bool {
	if challenge == "" {
		return verifier == ""
	}
	return oauth.Verifies(verifier, challenge)
}
