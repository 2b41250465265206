package tokenissuer

import (
	"errors"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/portal"
)

// maxState bounds what comes back byte by byte, `state` and `nonce`.
const maxState = 4096

// authorize is GET and POST /oauth2/authorize (RFC 6749 §4.1.1, OpenID Connect
// Core §3.1.2.1). Until client and redirect_uri are known to be good nothing is
// redirected: whoever made the request up would choose where to.
func (i *Issuer) authorize(r *request) error {
	form, err := authorizeForm(r)
	if err != nil {
		return i.stay(r, err)
	}
	c, redirect, err := i.target(r, form)
	if err != nil {
		return i.stay(r, err)
	}
	q := portal.Request{
		Family: int(r.family), Client: c.ID, RedirectURI: redirect, ResponseMode: "query", State: form.Get("state"), Asked: r.now, MaxAge: -1,
	}
	if form.Get("redirect_uri") == "" {
		q.Implied = true
	}
	if err := i.judge(c, form, &q); err != nil {
		return i.deny(r, q, err)
	}
	if to := i.again(r, form); to != "" {
		noStore(r.w.Header())
		r.w.Header().Set("Referrer-Policy", "no-referrer")
		r.w.Header().Set("Location", to)
		r.w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	err = i.portal.Begin(r.w, r.tagged(), r.now, q)
	if e, ok := errors.AsType[*oauth.Error](err); ok && e.Reason == portal.RequestTooLong {
		return i.deny(r, q, err) // the page for it has no address that fits
	}
	return err
}

func authorizeForm(r *request) (oauth.Form, error) {
	if r.Method == http.MethodPost {
		return oauth.ReadForm(r.w, r.Request, oauth.FormEncoded)
	}
	return oauth.ParseQuery(r.URL.RawQuery)
}

// target finds the client and the address that its answers go to.
func (i *Issuer) target(r *request, form oauth.Form) (*client.Client, string, error) {
	id := form.Get("client_id")
	if id == "" {
		return nil, "", oauth.FailParam(oauth.InvalidRequest, oauth.MissingParameter, "client_id")
	}
	c, known := i.clients[r.family].Client(id)
	if !known || c.Disabled {
		return nil, "", oauth.Fail(oauth.InvalidClient, oauth.UnknownAuthClient)
	}
	r.speak(c)
	redirect, ok := c.Redirect(form.Get("redirect_uri"))
	if !ok {
		return nil, "", oauth.Fail(oauth.InvalidRequest, oauth.RedirectMismatch)
	}
	// The documented APIs do not redirect this one.
	if t := form.Get("response_type"); t != "code" && !r.dialect.redirectsResponseType {
		return nil, "", oauth.FailParam(oauth.UnsupportedResponseType, oauth.UnknownResponseType, "response_type")
	}
	return c, redirect, nil
}

// stay answers where it is: a page for people, or the dialect's JSON.
func (i *Issuer) stay(r *request, err error) error {
	if !r.dialect.pages {
		return err
	}
	e := oauth.AsError(err)
	r.note(e)
	i.portal.Fail(r.w, r.Request, r.now, http.StatusBadRequest, e.Reason)
	return nil
}

// judge reads what is left of the request; an error goes back to the client.
func (i *Issuer) judge(c *client.Client, form oauth.Form, q *portal.Request) error {
	bad := func(name string) error { return oauth.FailParam(oauth.InvalidRequest, oauth.BadParameter, name) }
	if len(q.State) > maxState {
		q.State = ""
		return bad("state")
	}
	if mode := form.Get("response_mode"); mode == "query" || mode == "form_post" {
		q.ResponseMode = mode
	} else if mode != "" {
		return bad("response_mode")
	}
	switch {
	case form.Get("response_type") == "":
		return bad("response_type")
	case form.Get("response_type") != "code":
		return oauth.FailParam(oauth.UnsupportedResponseType, oauth.UnknownResponseType, "response_type")
	case form.Get("request") != "":
		return oauth.Fail(oauth.RequestNotSupported, oauth.RequestObject)
	case form.Get("request_uri") != "":
		return oauth.Fail(oauth.RequestURINotSupported, oauth.RequestObject)
	case !c.MayUse(oauth.GrantAuthorizationCode):
		return oauth.Fail(oauth.UnauthorizedClient, oauth.GrantNotAllowed)
	}
	var err error
	if q.Scopes, err = authorizeScopes(c, form.Get("scope")); err != nil {
		return err
	}
	if err := challengeOf(c, form, q); err != nil {
		return err
	}
	return i.wishes(c, form, q, bad)
}

// authorizeScopes are all registered scopes that were asked for.
func authorizeScopes(c *client.Client, asked string) (oauth.Scopes, error) {
	scopes, err := oauth.ParseScopes(asked)
	if err != nil {
		return nil, err
	}
	if len(scopes) == 0 {
		return oauth.Scopes{c.Rules.PersonScope}, nil
	}
	for _, s := range scopes {
		if !c.Scopes.Has(s) && s != c.Rules.PersonScope {
			return nil, oauth.FailParam(oauth.InvalidScope, oauth.ScopeNotAllowed, "scope")
		}
	}
	return scopes, nil
}

// challengeOf reads the code_challenge (RFC 7636 §4.3). Only S256 is taken, and
// a client that nobody can authenticate needs one.
func challengeOf(c *client.Client, form oauth.Form, q *portal.Request) error {
	challenge, method := form.Get("code_challenge"), form.Get("code_challenge_method")
	switch {
	case method != "" && method != oauth.S256, challenge != "" && method == "":
		return oauth.FailParam(oauth.InvalidRequest, oauth.BadChallenge, "code_challenge_method")
	case challenge == "" && (method != "" || c.NeedsPKCE()), challenge != "" && !oauth.ValidChallenge(challenge):
		return oauth.FailParam(oauth.InvalidRequest, oauth.BadChallenge, "code_challenge")
	}
	q.Challenge = challenge
	return nil
}
