package tokenissuer

import (
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// TestWhoMayChangeAProfile is decision 37: somebody else's app needs the scope that
// the consent page names.
func TestWhoMayChangeAProfile(t *testing.T) {
	code, password := []string{oauth.GrantAuthorizationCode}, []string{oauth.GrantPassword}
	g, err := client.NewRegistry([]client.Registration{
		{ID: "third", Type: client.Web, Grants: code}, {ID: "own", Type: client.Web, Grants: code, FirstParty: true}, {ID: "trusted", Type: client.Web, Grants: password},
	}, false, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		client string
		scopes oauth.Scopes
		want   bool
	}{
		{"third", oauth.Scopes{"openid"}, false},
		{"third", oauth.Scopes{"openid", "email"}, false},
		{"third", oauth.Scopes{"openid", "profile"}, true},
		{"own", oauth.Scopes{"openid"}, true}, // P:51477
		{"trusted", oauth.Scopes{"openid"}, true},
	} {
		c, _ := g.Client(r.client)
		if mayWrite(c, r.scopes) != r.want {
			t.Errorf("%s with %v: want %v", r.client, r.scopes, r.want)
		}
	}
}
