package tokenissuer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/grant"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// token is POST /oauth2/token, for every grant (RFC 6749 §3.2).
func (i *Issuer) token(r *request) error {
	c, form, err := i.authenticate(r, client.Token)
	if err != nil {
		return err
	}
	name := i.grantName(form)
	if name == "" {
		return oauth.FailParam(oauth.InvalidRequest, oauth.MissingParameter, "grant_type")
	}
	g, served := i.grants[name]
	if !served && oauth.KnownGrant(name) {
		return oauth.Fail(oauth.UnauthorizedClient, oauth.GrantNotAllowed)
	}
	if !served || slices.Contains(r.dialect.without, name) {
		return oauth.FailParam(oauth.UnsupportedGrantType, oauth.UnknownGrantType, "grant_type")
	}
	if !c.MayUse(name) {
		return oauth.Fail(oauth.UnauthorizedClient, oauth.GrantNotAllowed)
	}
	answer, err := i.earn(r, g, grant.Request{Client: c, Form: form, From: r.event.From, Now: r.now})
	if err != nil {
		return err
	}
	return r.json(r.dialect.mediaType, r.dialect.tokens(answer))
}

// grantName is the grant_type of a request, under its one name.
func (i *Issuer) grantName(form oauth.Form) string {
	return oauth.CanonicalGrant(form.Get("grant_type"), i.config.Issuer)
}

// authenticate reads the form and finds the client that sent it.
func (i *Issuer) authenticate(r *request, at client.Endpoint) (*client.Client, oauth.Form, error) {
	form, err := oauth.ReadForm(r.w, r.Request, r.dialect.bodies)
	if err != nil {
		return nil, form, err
	}
	if name := i.grantName(form); i.grants[name] != nil {
		r.event.Grant = name
	}
	c, err := i.sender(r, form, at)
	return c, form, err
}

// sender finds the client that sent a form.
func (i *Issuer) sender(r *request, form oauth.Form, at client.Endpoint) (*client.Client, error) {
	for _, h := range r.Header.Values("Authorization") {
		r.basic = r.basic || oauth.IsBasic(h)
	}
	// Where the address has failed too often, proof is all that passes. It can be
	// guessed at too, so what was tried at this client counts apart.
	if who := (party{r.event.From, client.Offered(r.Request, form)}); r.held && i.secrets.wait(who, r.now) > 0 {
		return nil, oauth.Fail(oauth.TemporarilyUnavailable, oauth.TooManyRequests)
	}
	c, method, err := i.clients[r.family].Authenticate(r.Context(), r.Request, form, at)
	r.byID, r.proven = method == client.None, err == nil && method != client.None
	if c != nil {
		r.speak(c)
	}
	if c != nil && err != nil && oauth.AsError(err).Reason == oauth.WrongSecret {
		i.secrets.failed(party{r.event.From, c.ID}, r.now)
	}
	if r.held = r.held && !r.proven; r.held {
		return nil, oauth.Fail(oauth.TemporarilyUnavailable, oauth.TooManyRequests)
	}
	return c, err
}

// earn asks the grant, mints and applies. A conflict means that another request
// used the same proof first, or changed the account: the grant is asked once more,
// against what is there now, and knows whether that is a lost answer or a stolen
// token; a password that is still the account's is not hashed again. Whoever loses again and again has shown nothing wrong: 503, for apps throw
// a refresh token away at invalid_grant.
func (i *Issuer) earn(r *request, g grant.Func, q grant.Request) (*minted, error) {
	ctx := r.Context()
	for try := 0; ; try++ {
		a, err := g(ctx, q)
		if err != nil {
			return nil, i.refuse(ctx, q, err)
		}
		r.event.Account, r.event.Scope = "", a.Scopes.String()
		if a.Account != nil {
			r.event.Account = a.Account.ID
		}
		// Before anything is used up, and while nothing is held.
		if err := i.afresh(r, q.Client.ID); err != nil {
			return nil, err
		}
		q.Now = r.now
		answer, writes, err := i.mint(r, q.Client, a)
		if err != nil {
			return nil, err
		}
		if len(writes) == 0 {
			return answer, nil // client_credentials leaves no trace to keep
		}
		err = i.state.store.Apply(ctx, q.Now, writes...)
		if err == nil {
			return answer, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
		if full, ok := errors.AsType[*store.Crowded](err); ok {
			refused := oauth.Wrap(oauth.TemporarilyUnavailable, oauth.TooManyRequests, err)
			refused.Retry = max(time.Second, full.Until.Sub(q.Now))
			return nil, refused
		}
		if try >= mostUpdates {
			return nil, oauth.Wrap(oauth.TemporarilyUnavailable, oauth.LostRace, err)
		}
		if a.Again != nil {
			g = a.Again
		}
	}
}

// refuse applies what a refusal must leave behind before it is told.
func (i *Issuer) refuse(ctx context.Context, q grant.Request, err error) error {
	refused, ok := errors.AsType[*grant.Refused](err)
	if !ok {
		return err
	}
	if applyErr := i.state.store.Apply(ctx, q.Now, refused.Writes...); applyErr != nil {
		return applyErr
	}
	return refused.Err
}
