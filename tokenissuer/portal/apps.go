package portal

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// grantee is an app that has something of an account: a consent, sign-ins that
// go on, or both.
type grantee struct {
	Client, Name string
	Scopes       []string
	Since        time.Time // the last sign-in, zero where none goes on
}

// grantees are the apps of an account, by name.
func (v *visit) grantees(ctx context.Context) ([]*grantee, error) {
	signIns, err := v.p.o.Store.SignInsOf(ctx, v.now, v.session.Account)
	if err != nil {
		return nil, err
	}
	consents, err := v.p.o.Store.ConsentsOf(ctx, v.session.Account)
	if err != nil {
		return nil, err
	}
	byClient := map[string]*grantee{}
	of := func(client string) *grantee {
		g := byClient[client]
		if g == nil {
			g = &grantee{Client: client, Name: client}
			if c, ok := v.p.o.Clients(client); ok {
				g.Name = appName(c)
			}
			byClient[client] = g
		}
		return g
	}
	add := func(g *grantee, scopes []string) {
		for _, scope := range scopes {
			if text := v.scopeText(scope); !slices.Contains(g.Scopes, text) {
				g.Scopes = append(g.Scopes, text)
			}
		}
	}
	for _, c := range consents {
		add(of(c.Client), c.Scopes)
	}
	for _, s := range signIns {
		g := of(s.Client)
		add(g, s.Scopes)
		if s.Last.After(g.Since) {
			g.Since = s.Last
		}
	}
	var list []*grantee
	for _, g := range byClient {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b *grantee) int { return strings.Compare(a.Name+"\x00"+a.Client, b.Name+"\x00"+b.Client) })
	return list, nil
}

func (v *visit) appsPage() error {
	if _, ok, err := v.member(); !ok {
		return err
	}
	list, err := v.grantees(v.r.Context())
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "apps", view{Menu: true, Done: v.told("apps"), Data: list})
}

// endApp takes everything back that an app has of the account: consent, sign-ins
// with their tokens, and codes on their way.
func (v *visit) endApp() error {
	if _, ok, err := v.member(); !ok {
		return err
	}
	ctx := v.r.Context()
	list, err := v.grantees(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(g *grantee) bool { return g.Client == v.form.Get("end") })
	if i < 0 {
		return v.done() // gone already, which is what was asked for
	}
	app := list[i]
	// Consent first: a code that relies on it comes before, and is ended, or never.
	writes := []store.Write{
		store.RemoveConsent{Account: v.session.Account, Client: app.Client},
		store.RevokeClientOf{Account: v.session.Account, Client: app.Client},
	}
	if err := v.p.o.Store.Apply(ctx, v.now, append(writes, v.p.telling(v.now, v.session.Account)...)...); err != nil {
		return err
	}
	v.p.ended()
	return v.done()
}
