package storetest

import (
	"errors"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// waiting is how many unused codes an account has at one client.
const waiting = 20

func aCode(account, client string, n int) store.PutCode {
	return store.PutCode{Code: store.Code{Hash: hash(account, client, n), Account: account, Client: client, Expires: now.Add(time.Minute)}}
}

// there counts the first codes of an account at a client that are still known.
func (f *fixture) there(account, client string, of int) (n int) {
	f.Helper()
	for i := range of {
		switch _, err := f.Code(f.Context(), hash(account, client, i)); {
		case err == nil:
			n++
		case !errors.Is(err, store.ErrNotFound):
			f.Fatal(err)
		}
	}
	return n
}

// codesBounded is a signed-in browser that asks for one code after the other: it
// takes nothing from other clients and people, nor from what its account redeemed.
func codesBounded(f *fixture) {
	f.ann()
	f.apply(now, aCode("ann", "shop", -1), store.SpendCode{Hash: hash("ann", "shop", -1), Family: "f"})
	f.apply(now, aCode("ann", "shop", -2), store.BurnCode{Hash: hash("ann", "shop", -2)})
	f.apply(now, aCode("ann", "wiki", 0), aCode("bob", "shop", 0))
	for n := range waiting - 1 {
		f.apply(now, aCode("ann", "shop", n))
	}
	must(f.Code(f.Context(), hash("ann", "shop", -2)))(f) // with it they are as many as may wait
	const more = 200
	for n := waiting - 1; n < more; n++ {
		f.apply(now, aCode("ann", "shop", n))
	}
	if got := f.there("ann", "shop", more); got != waiting {
		f.Errorf("%d codes wait, want %d", got, waiting)
	}
	absent(f.Code(f.Context(), hash("ann", "shop", -2)))(f, "the burnt code, the oldest")
	f.conflict("it gave way", now, store.SpendCode{Hash: hash("ann", "shop", more-waiting-1), Family: "g"})
	f.apply(now, store.SpendCode{Hash: hash("ann", "shop", more-waiting), Family: "g"})
	f.apply(now, store.SpendCode{Hash: hash("ann", "shop", more-1), Family: "h"})
	must(f.Code(f.Context(), hash("ann", "shop", -1)))(f) // for its second use
	f.apply(now, store.SpendCode{Hash: hash("ann", "wiki", 0), Family: "i"}, store.SpendCode{Hash: hash("bob", "shop", 0), Family: "j"})
}

func codesBoundedAtOnce(f *fixture) {
	f.ann()
	stored := f.race(func(rival int) []store.Write { return []store.Write{aCode("ann", "shop", rival)} })
	if got := f.there("ann", "shop", rivals); len(stored) != rivals || got != waiting {
		f.Errorf("%d codes were stored and %d wait, want %d and %d", len(stored), got, rivals, waiting)
	}
}
