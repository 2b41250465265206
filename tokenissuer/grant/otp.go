package grant

import (
	"context"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Codes checks one-time codes, and remembers wrong ones.
type Codes interface {
	SignIn(ctx context.Context, now time.Time, s account.Sending, token, code string, signup bool, from netip.Addr) (store.Account, []store.Write, error)
}

// OTP is the documented grant of a code that was sent to a phone (ByPhone) or a
// mailbox (ByEmail). It has no scope parameter, except in dialects where a
// person's sign-in may ask for any scope.
type OTP struct {
	Accounts Codes
	Sources  map[string]account.CodeSource
	Kind     store.IdentifierKind
	Lifetime time.Duration // of the sign-in
}

// Grant is the Func. The order of its checks is the contract's; those of token
// and code are account.CheckCode's.
func (g *OTP) Grant(ctx context.Context, r Request) (*Authorization, error) {
	needed := []string{"auth_source_id", string(g.Kind), "otp_token", "otp"}
	if r.Client.Rules.SourceOptional {
		needed = needed[1:]
	}
	if err := require(r.Form, needed...); err != nil {
		return nil, err
	}
	asked := ""
	if r.Client.Rules.AnyScope {
		asked = r.Form.Get("scope")
	}
	scopes, err := r.Client.ScopesOfPerson(asked)
	if err != nil {
		return nil, err
	}
	source, err := associated(r, g.Sources, func(s account.CodeSource) bool { return s.Kind == g.Kind })
	if err != nil {
		return nil, err
	}
	sending := account.Sending{Client: r.Client.ID, Source: source.ID, Kind: g.Kind, To: r.Form.Get(string(g.Kind))}
	// Any other value is as none, and so is all of it without the operator's leave:
	// the id of a public client is all that a stranger needs to ask for accounts.
	signup := r.Client.SignUp && r.Form.Get("auto_signup") == "true"
	who, writes, err := g.Accounts.SignIn(ctx, r.Now, sending, r.Form.Get("otp_token"), r.Form.Get("otp"), signup, r.From)
	if err != nil {
		return nil, err
	}
	return &Authorization{
		Subject: who.ID,
		Scopes:  scopes,
		Account: &who,
		Fresh:   true,
		Family: &store.Family{
			ID: uuid.NewString(), Account: who.ID, Client: r.Client.ID, Source: source.ID, AMR: source.AMR(),
			Scopes: scopes, AuthTime: r.Now, Created: r.Now, Expires: r.Now.Add(g.Lifetime),
		},
		Writes: writes,
	}, nil
}
