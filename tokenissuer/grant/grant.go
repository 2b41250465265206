package grant

import (
	"context"
	"net/netip"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Request is a token request of a client that has proven itself and may use
// the grant.
type Request struct {
	Client *client.Client
	Form   oauth.Form
	From   netip.Addr
	Now    time.Time
}

// Authorization is what a grant proved: who, for which client, which scopes,
// when and how; with the writes that use the proof up.
type Authorization struct {
	Subject  string // `sub`: the account, or the client itself
	Scopes   oauth.Scopes
	Audience string // `aud`, "" for the client

	// Account and Family are set where a person is behind the request.
	Account *store.Account
	Family  *store.Family

	// Fresh says that Family begins here and is stored with its first tokens.
	Fresh bool

	// Nonce and the session of an authorization request, for the ID token.
	Nonce   string
	Session string
	Claims  string // JSON: the `claims` parameter

	// Refresh is the refresh token to answer where the grant continues a chain;
	// "" in a fresh family, whose first one the mint makes.
	Refresh string

	// Writes use the proof up, or require that it is still good. They are applied
	// with those of the tokens, all or nothing.
	Writes []store.Write

	// Again, where set, is asked instead of the grant where they conflict: it keeps
	// what was dear to prove, as long as it holds.
	Again Func
}

// String keeps the refresh token out of logs.
func (a *Authorization) String() string { return "authorization of " + a.Subject }

// GoString is String, for %#v.
func (a *Authorization) GoString() string { return a.String() }

// Func is one grant. A refusal is an *oauth.Error, or a *Refused around one.
type Func func(context.Context, Request) (*Authorization, error)

// Refused is a refusal that must leave a mark, such as the end of a family
// whose spent token came back.
type Refused struct {
	Err    error
	Writes []store.Write
}

func (r *Refused) Error() string { return r.Err.Error() }

func (r *Refused) Unwrap() error { return r.Err }

// require returns the first required parameter that the form lacks, as the
// error the contract names it with.
func require(form oauth.Form, names ...string) error {
	for _, n := range names {
		if form.Get(n) == "" {
			return oauth.FailParam(oauth.InvalidRequest, oauth.MissingParameter, n)
		}
	}
	return nil
}

// associated returns the source that a request names, or the first that fits of
// the client's where it need not name one.
func associated[S any](r Request, sources map[string]S, fits func(S) bool) (S, error) {
	id := r.Form.Get("auth_source_id")
	for _, of := range r.Client.Sources {
		if source, ok := sources[of]; ok && fits(source) && (id == of || id == "") {
			return source, nil
		}
	}
	var none S
	return none, oauth.Fail(oauth.InvalidAuthSource, oauth.SourceNotAssociated)
}
