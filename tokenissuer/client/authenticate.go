package client

import (
	"context"
	"net/http"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// Method is how a request proved which client sent it.
type Method string

// The methods of RFC 6749 §2.3.1, and none for public clients (§2.1).
const (
	Basic Method = "client_secret_basic"
	Post  Method = "client_secret_post"
	None  Method = "none"
)

// Endpoint says which rules hold for a request that shows no secret.
type Endpoint int

// The endpoints a client authenticates at.
const (
	// Token judges a request without a secret by its grant.
	Token Endpoint = iota
	// Revoke takes a public client at its word (RFC 7009 §2.1).
	Revoke
	// Introspect wants a secret from everybody (RFC 7662 §2.1).
	Introspect
	// SignUp does, too: accounts are made on the client's word.
	SignUp
	// SendOTP takes those public clients at their word whose operator allows it:
	// messages cost money.
	SendOTP
	// Accounts takes a public client at its word: what is done there is proved by
	// its person.
	Accounts
)

// credentials is what a request offers as client authentication.
type credentials struct {
	id     string
	secret string // a secret, or something that must be judged as one
	basic  bool
}

// String keeps the secret out of logs.
func (cred credentials) String() string { return "credentials of " + cred.id }

// GoString is String, for %#v.
func (cred credentials) GoString() string { return cred.String() }

// Authenticate finds the one client that a request proves to come from. The
// order of its checks is the contract's: the first rule that fits answers, and
// the grant is looked at only to tell which rule that is. With an error the client
// is still returned where it is known.
func (g *Registry) Authenticate(ctx context.Context, r *http.Request, form oauth.Form, at Endpoint) (*Client, Method, error) {
	cred, err := g.offered(r, form)
	if err != nil {
		return g.byID[form.Get("client_id")], "", err
	}
	c, m, err := g.judge(ctx, cred, form, at)
	if err == nil || !g.raw || !cred.basic {
		return c, m, err
	}
	id, secret, decodeErr := oauth.ParseBasic(r.Header.Get("Authorization"))
	if decodeErr != nil || id == cred.id && secret == cred.secret {
		return c, m, err
	}
	return g.judge(ctx, credentials{id, secret, true}, form, at)
}

func (g *Registry) judge(ctx context.Context, cred credentials, form oauth.Form, at Endpoint) (*Client, Method, error) {
	c, known := g.byID[cred.id]
	switch {
	case !known:
		return nil, "", cred.unknown(form, at)
	case cred.basic && form.Get("client_id") != "" && form.Get("client_id") != cred.id:
		return c, Basic, oauth.Fail(oauth.InvalidClient, oauth.ClientMismatch)
	case c.Disabled:
		return c, "", oauth.Fail(oauth.InvalidClient, oauth.DisabledClient)
	case cred.secret == "":
		return c, None, c.withoutSecret(form, at)
	}
	method := Post
	if cred.basic {
		method = Basic
	}
	if !c.HasSecret() {
		return c, method, oauth.Fail(oauth.InvalidClient, oauth.PublicWithSecret)
	}
	ok, err := g.proves(ctx, c, cred.secret)
	switch {
	case err != nil:
		return c, method, err
	case !ok:
		return c, method, oauth.Fail(oauth.InvalidClient, oauth.WrongSecret)
	}
	return c, method, nil
}

// offered reads the one set of credentials of a request. RFC 6749 §2.3: "The
// client MUST NOT use more than one authentication method in each request."
func (g *Registry) offered(r *http.Request, form oauth.Form) (credentials, error) {
	// An assertion (RFC 7521 §4.2) is a secret that no client here has: it is
	// judged, and found wrong, as one.
	secret, assertion := form.Get("client_secret"), form.Get("client_assertion")
	headers := r.Header.Values("Authorization")
	basic := len(headers) == 1 && oauth.IsBasic(headers[0])
	if len(headers) > 1 || secret != "" && assertion != "" || basic && (secret != "" || assertion != "") {
		return credentials{}, oauth.Fail(oauth.InvalidRequest, oauth.TwoCredentials)
	}
	if basic {
		read := oauth.ParseBasic
		if g.raw {
			read = oauth.RawBasic
		}
		id, pass, err := read(headers[0])
		return credentials{id: id, secret: pass, basic: true}, err
	}
	if assertion != "" {
		// NUL cannot stand in a form value, so this equals no registered secret.
		secret = "\x00" + assertion
	}
	return credentials{id: form.Get("client_id"), secret: secret}, nil
}

// Offered is the id that a request says it comes from, in the spelling that it is
// registered in; "" for none.
func Offered(r *http.Request, form oauth.Form) string {
	header := r.Header.Get("Authorization")
	for _, read := range []func(string) (string, string, error){oauth.ParseBasic, oauth.RawBasic} {
		if id, _, err := read(header); err == nil {
			return id
		}
	}
	return form.Get("client_id")
}

// unknown answers for a client_id that is missing or registered nowhere.
func (cred credentials) unknown(form oauth.Form, at Endpoint) error {
	if cred.basic {
		return oauth.Fail(oauth.InvalidClient, oauth.UnknownClient)
	}
	if at != Token {
		if cred.id == "" {
			return oauth.Fail(oauth.InvalidClient, oauth.NoClientCredential)
		}
		return oauth.Fail(oauth.InvalidClient, oauth.UnknownClient)
	}
	grant := form.Get("grant_type")
	switch {
	case grant == oauth.GrantClientCredentials || oauth.GrantOfPeople(grant):
		return oauth.Fail(oauth.InvalidClient, oauth.UnknownClient)
	case grant == oauth.GrantAuthorizationCode && form.Get("code_verifier") != "" && cred.secret == "":
		return oauth.Fail(oauth.InvalidClient, oauth.UnknownPKCEClient)
	}
	return oauth.Fail(oauth.InvalidClient, oauth.NoClientCredential)
}

// withoutSecret decides whether a known client may go on with its id alone.
func (c *Client) withoutSecret(form oauth.Form, at Endpoint) error {
	public := c.Type.Public()
	switch at {
	case Revoke, Accounts:
		if !public {
			return oauth.Fail(oauth.InvalidClient, oauth.SecretRequired)
		}
		return nil
	case Introspect, SignUp:
		return oauth.Fail(oauth.InvalidClient, oauth.SecretRequired)
	case SendOTP:
		if !public || !c.OTPSendWithoutSecret {
			return oauth.Fail(oauth.InvalidClient, oauth.SecretRequired)
		}
		return nil
	}
	grant := form.Get("grant_type")
	switch {
	case grant == oauth.GrantClientCredentials:
		return oauth.Fail(oauth.InvalidClient, oauth.SecretRequired)
	case grant == oauth.GrantAuthorizationCode && form.Get("code_verifier") != "":
		if !public && !c.PKCEWithoutSecret {
			return oauth.Fail(oauth.InvalidClient, oauth.SecretRequired)
		}
		return nil
	case oauth.GrantOfPeople(grant):
		if !public {
			return oauth.Fail(oauth.InvalidClient, oauth.SecretRequired)
		}
		return nil
	}
	// Plain code without a secret, an unknown or missing grant_type: nothing here
	// can be recognised as client authentication.
	return oauth.Fail(oauth.InvalidClient, oauth.NoClientCredential)
}
