package grant

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Passwords checks a name and a password, and remembers failures.
type Passwords interface {
	Password(ctx context.Context, now time.Time, source account.Source, username, password string, from netip.Addr) (store.Account, []store.Write, error)
}

// Password is RFC 6749 §4.3, the resource owner's password in the hands of the
// client. RFC 9700 §2.4 says that it must not be used; the documented APIs need
// it, so a client has it only where the operator says so.
func Password(accounts Passwords, sources map[string]account.Source, lifetime time.Duration) Func {
	return func(ctx context.Context, r Request) (*Authorization, error) {
		if err := require(r.Form, "auth_source_id", "username", "password"); err != nil {
			return nil, err
		}
		// "The fixed value openid", also when it is omitted.
		if s := r.Form.Get("scope"); s != "" && s != "openid" {
			return nil, oauth.FailParam(oauth.InvalidScope, oauth.ScopeNotAllowed, "scope")
		}
		id := r.Form.Get("auth_source_id")
		source, known := sources[id]
		if !known || !slices.Contains(r.Client.Sources, id) {
			return nil, oauth.Fail(oauth.InvalidAuthSource, oauth.SourceNotAssociated)
		}
		who, writes, err := accounts.Password(ctx, r.Now, source, r.Form.Get("username"), r.Form.Get("password"), r.From)
		if err != nil {
			return nil, err
		}
		return &Authorization{
			Subject: who.ID,
			Scopes:  oauth.Scopes{"openid"},
			Account: &who,
			Fresh:   true,
			Family: &store.Family{
				ID: uuid.NewString(), Account: who.ID, Client: r.Client.ID, Source: id, AMR: []string{"pwd"},
				Scopes: []string{"openid"}, AuthTime: r.Now, Created: r.Now, Expires: r.Now.Add(lifetime),
			},
			Writes: writes,
		}, nil
	}
}
