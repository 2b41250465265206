package tokenissuer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/grant"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Earned is what a gate of this process keeps of a person's sign-in.
type Earned struct {
	Access, Refresh string // Refresh is "" where the client may not refresh
	Expires         time.Time
}

// String keeps the tokens out of logs.
func (Earned) String() string { return "tokens of a sign-in" }

// GoString is String, for %#v.
func (e Earned) GoString() string { return e.String() }

// Earn is a token request of this process itself, for one of its clients: codes
// and refresh tokens are judged as at the token endpoint, PKCE included, but for
// the client's secret, which who runs the process knows anyway.
func (i *Issuer) Earn(ctx context.Context, id string, from netip.Addr, form url.Values) (Earned, error) {
	r := i.inside(ctx, from, "token")
	answer, err := i.earnInside(r, id, form)
	i.told(r, err)
	if err != nil {
		return Earned{}, named(err)
	}
	return Earned{Access: answer.access, Refresh: answer.refresh, Expires: r.now.Add(answer.lifetime)}, nil
}

func (i *Issuer) earnInside(r *request, id string, values url.Values) (*minted, error) {
	c, err := i.insider(r, id)
	if err != nil {
		return nil, err
	}
	form, err := oauth.ParseQuery(values.Encode())
	if err != nil {
		return nil, err
	}
	name := i.grantName(form)
	g := i.grants[name]
	if g == nil || !c.MayUse(name) {
		return nil, oauth.Fail(oauth.UnauthorizedClient, oauth.GrantNotAllowed)
	}
	r.event.Grant = name
	if name == oauth.GrantAuthorizationCode {
		return i.earnByCode(r, g, grant.Request{Client: c, Form: form, From: r.event.From, Now: r.now})
	}
	return i.earn(r, g, grant.Request{Client: c, Form: form, From: r.event.From, Now: r.now})
}

// earnByCode counts codes that are none against whoever showed them, as the token
// endpoint does: anybody can write them into the address of a gate's callback.
func (i *Issuer) earnByCode(r *request, g grant.Func, q grant.Request) (*minted, error) {
	if i.limit.wait(party{from: q.From}, r.now) > 0 {
		return nil, oauth.Fail(oauth.TemporarilyUnavailable, oauth.TooManyRequests)
	}
	m, err := i.earn(r, g, q)
	if err != nil && oauth.AsError(named(err)).Code == oauth.InvalidGrant {
		i.limit.failed(party{from: q.From}, r.now)
	}
	return m, err
}

// EndSignIn revokes a refresh token with its whole family, or an access token alone, for
// a gate of this process.
func (i *Issuer) EndSignIn(ctx context.Context, id string, from netip.Addr, token string) error {
	r := i.inside(ctx, from, "revoke")
	err := func() error {
		c, err := i.insider(r, id)
		if err != nil {
			return err
		}
		writes, err := i.revocation(r, c, token)
		if err != nil {
			return err
		}
		return i.state.store.Apply(ctx, r.now, writes...)
	}()
	i.told(r, err)
	return named(err)
}

// EndForeign lets every node know that a sign-in of a gate's at another issuer is over.
// It is kept beside the revoked tokens until a time when nothing of it counts any more.
func (s *State) EndForeign(ctx context.Context, signIn string, until time.Time) error {
	return s.store.Apply(ctx, s.now(), store.RevokeToken{ID: signIn, Expires: until})
}

// ForeignEnded reports whether a node has said EndForeign of a sign-in.
func (s *State) ForeignEnded(signIn string) bool { return s.revoked.Revoked(signIn, "", 0) }

// inside is a request that no HTTP brought.
func (i *Issuer) inside(ctx context.Context, from netip.Addr, endpoint string) *request {
	r := &request{Request: (&http.Request{Header: http.Header{}}).WithContext(ctx), now: i.state.now(), began: time.Now(), dialect: i.unnamed(oauth2)}
	r.event = Event{Endpoint: endpoint, From: from}
	return r
}

// insider finds the client that a gate signs people in for.
func (i *Issuer) insider(r *request, id string) (*client.Client, error) {
	c, known := i.client(id)
	switch {
	case !known:
		return nil, oauth.Fail(oauth.InvalidClient, oauth.UnknownClient)
	case c.Disabled:
		return nil, oauth.Fail(oauth.InvalidClient, oauth.DisabledClient)
	}
	r.family = familyOfClient(c)
	r.speak(c)
	return c, nil
}

// told hands out the one event of a request from inside.
func (i *Issuer) told(r *request, err error) {
	r.event.Status = http.StatusOK
	if err != nil {
		e := oauth.AsError(named(err))
		r.note(e)
		r.event.Status, _ = r.dialect.spell(e, false)
	}
	if i.config.Observe != nil {
		r.event.Took = time.Since(r.began)
		i.config.Observe(r.event)
	}
}

// Doors are the addresses that a client sends people to.
type Doors struct {
	Issuer    string // the `iss` of its answers
	Authorize string // without a query
	SignOut   string // ends the browser's session, whole
}

var errNoClient = errors.New("no such client")

// Doors are those of a client; back is where its people are after signing out,
// and is used where the client has registered it.
func (i *Issuer) Doors(id, back string) (Doors, error) {
	c, known := i.client(id)
	if !known {
		return Doors{}, fmt.Errorf("%w: %s", errNoClient, id)
	}
	d := Doors{Issuer: i.base(familyOfClient(c))}
	registered, err := farewell(c, back)
	if familyOfClient(c) == apiV1 {
		d.Authorize, d.SignOut = d.Issuer+"/authorize", i.config.Issuer+"/api/v1/logout"
		if err == nil && registered != "" {
			d.SignOut += "?" + url.Values{"redirect_url": {registered}}.Encode()
		}
		return d, nil
	}
	query := url.Values{"client_id": {id}}
	switch {
	case err == nil && registered != "":
		query.Set("logout_redirect_uri", registered)
	case len(c.LogoutRedirectURIs) > 0:
		query.Set("logout_redirect_uri", c.LogoutRedirectURIs[0])
	}
	d.Authorize, d.SignOut = d.Issuer+"/oauth2/authorize", i.config.Issuer+"/logout?"+query.Encode()
	return d, nil
}

// LoginKey seals the cookies of people that gates have signed in.
func (i *Issuer) LoginKey() []byte { return i.state.login }
