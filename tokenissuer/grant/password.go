package grant

import (
	"context"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Passwords checks a name and a password, and remembers failures. Proved says
// whether what it has proved still holds.
type Passwords interface {
	Password(ctx context.Context, now time.Time, source account.Source, username, password string, from netip.Addr) (store.Account, []store.Write, error)
	Proved(ctx context.Context, now time.Time, source account.Source, writes []store.Write) (store.Account, bool, error)
}

// Password is RFC 6749 §4.3, the resource owner's password in the hands of the
// client. RFC 9700 §2.4 says that it must not be used; the documented APIs need
// it, so a client has it only where the operator says so.
func Password(accounts Passwords, sources map[string]account.Source, lifetime time.Duration) Func {
	var ask Func
	ask = func(ctx context.Context, r Request) (*Authorization, error) {
		needed := []string{"auth_source_id", "username", "password"}
		if r.Client.Rules.SourceOptional {
			needed = needed[1:]
		}
		if err := require(r.Form, needed...); err != nil {
			return nil, err
		}
		scopes, err := r.Client.ScopesOfPerson(r.Form.Get("scope"))
		if err != nil {
			return nil, err
		}
		source, err := associated(r, sources, func(account.Source) bool { return true })
		if err != nil {
			return nil, err
		}
		who, writes, err := accounts.Password(ctx, r.Now, source, r.Form.Get("username"), r.Form.Get("password"), r.From)
		if err != nil {
			return nil, err
		}
		var again Func
		again = func(ctx context.Context, r Request) (*Authorization, error) {
			who, still, err := accounts.Proved(ctx, r.Now, source, writes)
			switch {
			case err != nil:
				return nil, err
			case !still:
				return ask(ctx, r)
			}
			return byPassword(r, source, scopes, lifetime, who, writes, again), nil
		}
		return byPassword(r, source, scopes, lifetime, who, writes, again), nil
	}
	return ask
}

func byPassword(
	r Request, source account.Source, scopes oauth.Scopes, lifetime time.Duration, who store.Account, writes []store.Write, again Func,
) *Authorization {
	return &Authorization{
		Subject: who.ID,
		Scopes:  scopes,
		Account: &who,
		Fresh:   true,
		Family: &store.Family{
			ID: uuid.NewString(), Account: who.ID, Client: r.Client.ID, Source: source.ID, AMR: []string{"pwd"},
			Scopes: scopes, AuthTime: r.Now, Created: r.Now, Expires: r.Now.Add(lifetime),
		},
		Writes: writes,
		Again:  again,
	}
}
