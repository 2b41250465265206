package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func consentsAdded(f *fixture) {
	f.ann()
	f.conflict("no such account", now, store.PutConsent{Account: "bob", Client: "shop", Scopes: []string{"openid"}})
	absent(f.Consent(f.Context(), "ann", "shop"))(f, "a consent nobody gave")
	later := now.Add(time.Hour)
	f.apply(now, store.PutConsent{Account: "ann", Client: "shop", Scopes: []string{"openid", "email"}},
		store.PutConsent{Account: "ann", Client: "app"})
	f.apply(later, store.PutConsent{Account: "ann", Client: "shop", Scopes: []string{"profile", "email"}})
	shop := store.Consent{Account: "ann", Client: "shop", Scopes: []string{"openid", "email", "profile"}, Updated: later}
	app := store.Consent{Account: "ann", Client: "app", Updated: now}
	f.same("shop", consent(f, "shop"), shop)
	f.same("app", consent(f, "app"), app)
	all := must(f.ConsentsOf(f.Context(), "ann"))(f)
	if len(all) != 2 || len(all[0].Scopes) != 0 {
		f.Fatalf("all: %+v", all)
	}
	all[0].Scopes = nil
	f.same("all", all, []store.Consent{app, shop})

	f.apply(later, store.RemoveConsent{Account: "ann", Client: "shop"}, store.RemoveConsent{Account: "bob", Client: "app"})
	absent(f.Consent(f.Context(), "ann", "shop"))(f, "a consent that was taken back")
	consent(f, "app")
	f.apply(now, store.PutClient{Client: store.Client{ID: "app", Record: []byte("{}")}}, store.RemoveClient{ID: "app"})
	absent(f.Consent(f.Context(), "ann", "app"))(f, "a consent to a client that is gone")
}

// consent reads one; no scopes are nil.
func consent(f *fixture, client string) store.Consent {
	f.Helper()
	c := must(f.Consent(f.Context(), "ann", client))(f)
	if len(c.Scopes) == 0 {
		c.Scopes = nil
	}
	return c
}

// fiftyConsent at once, each to another scope: none is lost.
func fiftyConsent(f *fixture) {
	f.ann()
	if n := len(f.race(func(i int) []store.Write {
		return []store.Write{store.PutConsent{Account: "ann", Client: "shop", Scopes: []string{"openid", fmt.Sprint("s", i)}}}
	})); n != rivals {
		f.Errorf("%d of %d were stored", n, rivals)
	}
	if n := len(must(f.Consent(f.Context(), "ann", "shop"))(f).Scopes); n != rivals+1 {
		f.Errorf("%d scopes, want %d", n, rivals+1)
	}
}

func passwordsRemembered(f *fixture) {
	f.apply(now, store.PutAccount{Account: store.Account{ID: "ann", State: store.Active}})
	set := func(hash string, remember int) {
		f.Helper()
		f.apply(now, store.SetPassword{Account: "ann", Old: "*", New: hash, Remember: remember})
	}
	history := func(want ...string) {
		f.Helper()
		if got := must(f.PasswordHistory(f.Context(), "ann", 100))(f); !slices.Equal(got, want) {
			f.Errorf("history %q, want %q", got, want)
		}
	}
	set("1", 3) // there was none before
	history()
	for i := 2; i <= 6; i++ {
		set(fmt.Sprint(i), 3)
	}
	history("5", "4", "3")
	if got := must(f.PasswordHistory(f.Context(), "ann", 2))(f); !slices.Equal(got, []string{"5", "4"}) {
		f.Errorf("the last two are %q", got)
	}
	f.apply(now, store.SetPassword{Account: "ann", Old: "6", New: "6'", Keep: true}) // the same password
	history("5", "4", "3")
	f.conflict("the old hash is gone", now, store.SetPassword{Account: "ann", Old: "6", New: "7", Remember: 3})
	history("5", "4", "3")
	set("7", 2) // fewer are kept now
	history("6'", "5")
	set("8", 0)
	history()

	set("9", 3)
	f.oneWinner(func(i int) []store.Write {
		return []store.Write{store.SetPassword{Account: "ann", Old: "9", New: fmt.Sprint("rival", i), Remember: 3}}
	})
	history("9", "8")
}
