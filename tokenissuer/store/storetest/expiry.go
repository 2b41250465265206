package storetest

import (
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func codeExpires(f *fixture) {
	f.apply(now,
		store.PutCode{Code: store.Code{Hash: hash("a"), Expires: now.Add(time.Minute)}},
		store.PutCode{Code: store.Code{Hash: hash("b"), Expires: now.Add(time.Minute)}})
	f.apply(now.Add(time.Minute-time.Millisecond), store.SpendCode{Hash: hash("a"), Family: "f"})
	f.conflict("a minute later", now.Add(time.Minute), store.SpendCode{Hash: hash("b"), Family: "g"})
	f.conflict("an unknown code", now, store.SpendCode{Hash: hash("c"), Family: "h"})
	f.conflict("a code that exists", now, store.PutCode{Code: store.Code{Hash: hash("a"), Expires: now.Add(time.Hour)}})
}

func oneTimeCodeExpires(f *fixture) {
	put := func(name string) {
		f.Helper()
		f.apply(now, store.PutOneTimeCode{Code: store.OneTimeCode{
			Hash: hash(name), Sent: true, CodeExpires: now.Add(time.Minute), Expires: now.Add(2 * time.Minute),
		}})
	}
	put("a")
	put("b")
	f.apply(now.Add(time.Minute-time.Millisecond), store.SpendOneTimeCode{Hash: hash("a"), Most: 1})
	f.conflict("the code has expired", now.Add(time.Minute), store.SpendOneTimeCode{Hash: hash("b"), Most: 1})
	f.apply(now.Add(time.Minute), store.FailOneTimeCode{Hash: hash("b"), Most: 1})
	put("c")
	f.conflict("its token has expired", now.Add(2*time.Minute), store.FailOneTimeCode{Hash: hash("c"), Most: 1})
	f.conflict("unknown", now, store.FailOneTimeCode{Hash: hash("d"), Most: 1})
}

func sessionExpires(f *fixture) {
	f.ann()
	f.apply(now, store.PutSession{Session: store.Session{Hash: hash("a"), ID: "a", Account: "ann", Expires: now.Add(time.Minute)}})
	f.apply(now, store.RenewSession{Old: hash("a"), New: hash("b")})
	absent(f.Session(f.Context(), hash("a")))(f, "the old cookie")
	f.conflict("the old cookie again", now, store.RenewSession{Old: hash("a"), New: hash("c")})
	f.conflict("an expired session", now.Add(time.Minute), store.RenewSession{Old: hash("b"), New: hash("c")})
	if got := must(f.Session(f.Context(), hash("b")))(f).Account; got != "ann" {
		f.Errorf("the renewed session is %q's", got)
	}
	f.apply(now, store.EndSessionByID{ID: "a", Account: "ann"})
	absent(f.Session(f.Context(), hash("b")))(f, "the ended session")
}
