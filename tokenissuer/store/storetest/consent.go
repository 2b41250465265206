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

func consentRequired(f *fixture) {
	f.ann()
	require := func(scopes ...string) store.Write {
		return store.RequireConsent{Account: "ann", Client: "shop", Scopes: scopes}
	}
	f.conflict("nothing was given", now, require())
	f.apply(now, store.PutConsent{Account: "ann", Client: "shop", Scopes: []string{"openid", "email"}},
		store.PutConsent{Account: "ann", Client: "app"})
	before := consent(f, "shop")
	later := now.Add(time.Hour)
	for _, scopes := range [][]string{nil, {"openid"}, {"email", "openid"}} {
		f.apply(later, require(scopes...))
	}
	f.same("the consent", consent(f, "shop"), before)
	f.apply(later, store.RequireConsent{Account: "ann", Client: "app"})
	f.conflict("one of two was given", later, require("openid", "profile"))
	f.conflict("another's", later, store.RequireConsent{Account: "bob", Client: "shop", Scopes: []string{"openid"}})
	f.apply(later, store.RemoveConsent{Account: "ann", Client: "shop"})
	f.conflict("it was taken back", later, require("openid"))
	f.conflict("all was taken back", later, require())
}

// withdrawalRacesCode: of fifty that rely on a consent, none has a code once it was
// taken back.
func withdrawalRacesCode(f *fixture) {
	f.ann()
	for round := range 10 {
		f.apply(now, store.PutConsent{Account: "ann", Client: "shop", Scopes: []string{"openid"}})
		var given []int
		f.race(func(i int) []store.Write {
			if i == rivals/2 {
				return []store.Write{store.RemoveConsent{Account: "ann", Client: "shop"}, store.RevokeClientOf{Account: "ann", Client: "shop"}}
			}
			return []store.Write{
				store.RequireConsent{Account: "ann", Client: "shop", Scopes: []string{"openid"}},
				store.PutCode{Code: store.Code{Hash: hash(round, i), Client: "shop", Account: "ann", Expires: now.Add(time.Minute)}},
			}
		})
		for i := range rivals {
			if _, err := f.Code(f.Context(), hash(round, i)); err == nil {
				given = append(given, i)
			}
		}
		if given != nil {
			f.Fatalf("round %d: the codes %v live on", round, given)
		}
	}
}

func clientOfAccountRevoked(f *fixture) {
	f.ann("f", "g")
	family := func(id, account, client string) store.Write {
		return store.PutFamily{Family: store.Family{ID: id, Account: account, Client: client, Expires: now.Add(time.Hour)}}
	}
	code := func(name, account, client string) store.Write {
		return store.PutCode{Code: store.Code{Hash: hash(name), Account: account, Client: client, Expires: now.Add(time.Minute)}}
	}
	f.apply(now, store.PutAccount{Account: store.Account{ID: "bob", State: store.Active}},
		family("bobs", "bob", "shop"), family("other", "ann", "app"),
		putToken("t", "f", now.Add(time.Hour)), putToken("bobs", "bobs", now.Add(time.Hour)), putToken("other", "other", now.Add(time.Hour)),
		code("waiting", "ann", "shop"), code("spent", "ann", "shop"), code("bobs", "bob", "shop"), code("other", "ann", "app"),
		store.SpendCode{Hash: hash("spent"), Family: "f"})
	f.apply(now, store.RevokeClientOf{Account: "ann", Client: "app's"})
	f.wantRevoked(now)
	f.apply(now, store.RevokeClientOf{Account: "ann", Client: "shop"})
	f.wantRevoked(now, "t")
	for id, ended := range map[string]bool{"f": true, "g": true, "bobs": false, "other": false} {
		if got := must(f.Family(f.Context(), id))(f).Revoked; got.IsZero() == ended {
			f.Errorf("%s ended at %v, want ended %v", id, got, ended)
		}
	}
	absent(f.Code(f.Context(), hash("waiting")))(f, "a code on its way")
	for _, name := range []string{"spent", "bobs", "other"} {
		must(f.Code(f.Context(), hash(name)))(f)
	}
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

// signInsAddedUp is what a person sees of the apps that they are signed in to.
func signInsAddedUp(f *fixture) {
	f.ann()
	f.apply(now, store.PutAccount{Account: store.Account{ID: "bob", State: store.Active}})
	begin := func(account, client string, after time.Duration, expires time.Time, scopes ...string) store.Write {
		return store.PutFamily{Family: store.Family{
			ID: fmt.Sprint(account, client, after, scopes), Account: account, Client: client, Scopes: scopes, Created: now.Add(after), Expires: expires,
		}}
	}
	later := now.Add(time.Hour)
	f.apply(now,
		begin("ann", "shop", 2, later, "openid"), begin("ann", "shop", 2*time.Second, later, "openid"), begin("ann", "shop", time.Second, later, "openid"),
		begin("ann", "shop", 0, later, "openid", "profile"), begin("ann", "app", 3*time.Second, later),
		begin("ann", "over", 0, now), begin("ann", "ended", 0, later), begin("bob", "shop", 9*time.Second, later, "openid"))
	f.apply(now, store.RevokeClientOf{Account: "ann", Client: "ended"})
	f.same("sign-ins", must(f.SignInsOf(f.Context(), now, "ann"))(f), []store.SignIns{
		{Client: "app", Scopes: []string{}, Last: now.Add(3 * time.Second)},
		{Client: "shop", Scopes: []string{"openid"}, Last: now.Add(2 * time.Second)},
		{Client: "shop", Scopes: []string{"openid", "profile"}, Last: now},
	})
}
