package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// anns is a session of ann's for an hour.
func anns(id string) store.Session {
	return store.Session{
		Hash: hash(id), ID: id, Device: "Firefox on Linux", Account: "ann", Source: "staff",
		AMR: []string{"pwd"}, AuthTime: now, Created: now, Seen: now, Expires: now.Add(time.Hour),
	}
}

func oneRenewsSession(f *fixture) {
	f.ann()
	f.apply(now, store.PutSession{Session: anns("s")})
	winner := f.oneWinner(func(i int) []store.Write {
		return []store.Write{store.RenewSession{Old: hash("s"), New: hash("cookie", i)}}
	})
	got := must(f.Session(f.Context(), hash("cookie", winner)))(f)
	want := anns("s")
	want.Hash = hash("cookie", winner)
	f.same("the renewed session", got, want)

	f.oneWinner(func(i int) []store.Write {
		return []store.Write{store.ProveSession{
			Old: want.Hash, New: hash("proven", i), Account: "ann",
			Source: "sms", AMR: []string{"otp"}, AuthTime: now, Expires: now.Add(time.Hour),
		}}
	})
	f.oneWinner(func(int) []store.Write {
		return []store.Write{store.EndSessionByID{ID: "s", Account: "ann"}}
	})
}

func sessionProvenAgain(f *fixture) {
	f.ann()
	f.apply(now, store.PutSession{Session: anns("s")})
	later := now.Add(10 * time.Minute)
	prove := store.ProveSession{
		Old: hash("s"), New: hash("new"), Account: "ann", Source: "sms", AMR: []string{"otp", "mfa"},
		AuthTime: later, Expires: later.Add(time.Hour),
	}
	foreign := prove
	foreign.Account = "bob"
	f.conflict("bob signs in over ann's session", later, foreign)
	f.conflict("it has expired", now.Add(time.Hour), prove)
	f.apply(later, prove)
	want := anns("s")
	want.Hash, want.Source, want.AMR = prove.New, prove.Source, prove.AMR
	want.AuthTime, want.Seen, want.Expires = later, later, prove.Expires
	f.same("the session", must(f.SessionByID(f.Context(), "s"))(f), want)
	absent(f.Session(f.Context(), hash("s")))(f, "the old cookie")
}

func sessionsListed(f *fixture) {
	f.conflict("no such account", now, store.PutSession{Session: anns("early")})
	f.ann()
	f.apply(now, store.SetState{Account: "ann", State: store.Frozen})
	f.conflict("the account is frozen", now, store.PutSession{Session: anns("frozen")})
	f.apply(now, store.SetState{Account: "ann", State: store.Active},
		store.PutAccount{Account: store.Account{ID: "bob", State: store.Active}})
	for _, id := range []string{"a", "b", "c"} {
		f.apply(now, store.PutSession{Session: anns(id)})
	}
	over, bobs := anns("over"), anns("bob's")
	over.Expires, bobs.Account = now.Add(time.Minute), "bob"
	f.apply(now, store.PutSession{Session: over}, store.PutSession{Session: bobs})
	f.conflict("the id exists", now, store.PutSession{Session: store.Session{Hash: hash("x"), ID: "a", Account: "ann"}})

	seen := func(want time.Time) {
		f.Helper()
		if got := must(f.SessionByID(f.Context(), "b"))(f).Seen; !got.Equal(want) {
			f.Errorf("seen at %v, want %v", got, want)
		}
	}
	f.apply(now.Add(time.Minute-time.Millisecond), store.TouchSession{Hash: hash("b")}, store.TouchSession{Hash: hash("unknown")})
	seen(now)
	at := now.Add(time.Minute)
	f.apply(at, store.TouchSession{Hash: hash("b")})
	seen(at)
	f.apply(now.Add(time.Hour), store.TouchSession{Hash: hash("b")}) // it has expired
	seen(at)

	list := func(want ...string) {
		f.Helper()
		var got []string
		for _, s := range must(f.SessionsOf(f.Context(), at, "ann"))(f) {
			got = append(got, s.ID)
		}
		if !slices.Equal(got, want) {
			f.Errorf("sessions %q, want %q", got, want)
		}
	}
	list("b", "c", "a")
	f.conflict("ann ends bob's session", at, store.EndSessionByID{ID: "bob's", Account: "ann"})
	f.conflict("an unknown session", at, store.EndSessionByID{ID: "x", Account: "ann"})
	f.apply(at, store.EndSessionByID{ID: "c", Account: "ann"})
	list("b", "a")
	absent(f.SessionByID(f.Context(), "c"))(f, "the ended session")
	must(f.SessionByID(f.Context(), "bob's"))(f)
}

// inSession begins a sign-in of a client in a session, with a token; the other
// code of the client is not spent.
func (f *fixture) inSession(session, client string) {
	f.Helper()
	id := session + "/" + client
	code := store.Code{Hash: hash(id), Client: client, Account: "ann", Session: session, Expires: now.Add(time.Minute)}
	waiting := code
	waiting.Hash = hash(id, "waiting")
	f.apply(now, store.PutCode{Code: code}, store.PutCode{Code: waiting},
		store.SpendCode{Hash: code.Hash, Family: id},
		store.PutFamily{Family: store.Family{ID: id, Account: "ann", Client: client, Session: session, Expires: now.Add(time.Hour)}},
		putToken("t/"+id, id, now.Add(time.Minute)))
}

func (f *fixture) familiesOfSession(session string) (ids []string) {
	f.Helper()
	for _, family := range must(f.FamiliesOf(f.Context(), now, "ann"))(f) {
		if family.Session == session {
			ids = append(ids, family.ID)
		}
	}
	return ids
}

func sessionRevoked(f *fixture) {
	f.ann("none") // a sign-in of no session
	f.apply(now, putToken("t/none", "none", now.Add(time.Minute)),
		store.PutSession{Session: anns("s")}, store.PutSession{Session: anns("other")})
	for _, client := range []string{"app", "shop", "wiki"} {
		f.inSession("s", client)
	}
	f.inSession("other", "shop")
	want := func(revoked []string, families ...string) {
		f.Helper()
		f.wantRevoked(now, revoked...)
		f.same("families of the session", f.familiesOfSession("s"), families)
	}
	for _, nothing := range []store.RevokeSession{
		{ID: "s"},
		{ID: "s", Clients: []string{}},
		{ID: "s", Clients: []string{""}},
		{ID: "s", Clients: []string{"stranger"}},
		{ID: "", All: true},
		{ID: "", Clients: []string{"shop"}},
		{ID: "unknown", All: true},
	} {
		f.apply(now, nothing)
		want(nil, "s/app", "s/shop", "s/wiki")
	}

	f.apply(now, store.EndSessionByID{ID: "s", Account: "ann"})
	want(nil, "s/app", "s/shop", "s/wiki")
	f.apply(now, store.RevokeSession{ID: "s", Clients: []string{"shop"}})
	want([]string{"t/s/shop"}, "s/app", "s/wiki")
	f.conflict("a code of a sign-out", now, store.SpendCode{Hash: hash("s/shop", "waiting"), Family: "late"})
	must(f.Code(f.Context(), hash("s/shop")))(f) // its second use must be recognised
	must(f.Code(f.Context(), hash("s/app", "waiting")))(f)

	f.apply(now, store.RevokeSession{ID: "s", All: true})
	want([]string{"t/s/app", "t/s/shop", "t/s/wiki"})
	for _, id := range []string{"none", "other/shop"} {
		if !must(f.Family(f.Context(), id))(f).Revoked.IsZero() {
			f.Errorf("%s is revoked too", id)
		}
	}
	must(f.Code(f.Context(), hash("other/shop", "waiting")))(f)
}

// signOutRacesCode: whatever comes first, nothing lives on that began in the
// session.
func signOutRacesCode(f *fixture) {
	f.ann()
	for round := range 20 {
		session := fmt.Sprint("s", round)
		end := store.RevokeSession{ID: session, All: round%2 == 0}
		if !end.All {
			end.Clients = []string{"another", "shop"}
		}
		f.apply(now, store.PutSession{Session: anns(session)})
		var codes [8]store.Hash
		for i := range codes {
			codes[i] = hash(session, i)
			f.apply(now, store.PutCode{Code: store.Code{Hash: codes[i], Client: "shop", Account: "ann", Session: session, Expires: now.Add(time.Minute)}})
		}
		var wg sync.WaitGroup
		var spent [8]bool
		for i, code := range codes {
			wg.Go(func() {
				id := fmt.Sprint(session, "/", i)
				err := f.Apply(f.Context(), now, store.SpendCode{Hash: code, Family: id},
					store.PutFamily{Family: store.Family{ID: id, Account: "ann", Client: "shop", Session: session, Expires: now.Add(time.Hour)}},
					putToken(id, id, now.Add(time.Hour)))
				spent[i] = err == nil
				if err != nil && !errors.Is(err, store.ErrConflict) {
					f.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := f.Apply(f.Context(), now, end); err != nil {
				f.Error(err)
			}
		})
		wg.Wait()
		if got := f.familiesOfSession(session); got != nil {
			f.Fatalf("round %d: %q live on", round, got)
		}
		revoked := f.revoked(now)
		for i, ok := range spent {
			if _, found := slices.BinarySearch(revoked, fmt.Sprint(session, "/", i)); ok != found {
				f.Fatalf("round %d: token %d minted %v, revoked %v", round, i, ok, found)
			}
		}
	}
}

// clientsRemembered for as long as the session is there, whatever becomes of the
// sign-in.
func clientsRemembered(f *fixture) {
	f.ann("none")
	want := func(session string, clients ...string) {
		f.Helper()
		if got := must(f.ClientsOfSession(f.Context(), session))(f); !slices.Equal(got, clients) {
			f.Errorf("clients of %s: %q, want %q", session, got, clients)
		}
	}
	again := func(session, id string) store.Write {
		return store.PutFamily{Family: store.Family{ID: id, Account: "ann", Client: "shop", Session: session, Expires: now.Add(time.Minute)}}
	}
	f.apply(now, store.PutAccount{Account: store.Account{ID: "bob", State: store.Active}})
	for _, id := range []string{"s", "id", "account", "over"} {
		v := anns(id)
		if id == "over" {
			v.Expires = now.Add(time.Minute)
		}
		f.apply(now, store.PutSession{Session: v})
		want(id)
		f.inSession(id, "shop")
		f.inSession(id, "app")
		want(id, "app", "shop")
	}
	bobs := anns("bobs")
	bobs.Account = "bob"
	f.apply(now, store.PutSession{Session: bobs},
		store.PutFamily{Family: store.Family{ID: "bobs", Account: "bob", Client: "shop", Session: "bobs", Expires: now.Add(time.Hour)}})
	want("")
	want("unknown")
	f.apply(now, again("s", "again"), again("unknown", "late"), store.RevokeFamily{Family: "s/app"}, store.RevokeSession{ID: "s", All: true})
	f.swept(now.Add(2*time.Minute), 1+4*4) // the session that is over, a code and a token of each sign-in
	f.swept(now.Add(12*time.Minute), 2)    // and two sign-ins
	want("s", "app", "shop")
	want("over")

	f.apply(now, store.RequireClients{Session: "s", Count: 2}, store.RenewSession{Old: hash("s"), New: hash("new cookie")})
	f.conflict("there is one more", now, store.RequireClients{Session: "s", Count: 1})
	f.conflict("the session is over", now, store.RequireClients{Session: "over"})
	want("s", "app", "shop")
	f.apply(now, store.RevokeClientOf{Account: "ann", Client: "shop"})
	want("s", "app")
	want("bobs", "shop")
	f.apply(now, again("s", "anew"))
	want("s", "app", "shop")
	f.apply(now, store.EndSessionByID{ID: "id", Account: "ann"})
	want("id")
	want("account", "app")
	f.apply(now, store.RevokeAccount{Account: "ann"})
	want("account")
	want("s")
	want("bobs", "shop")
}

func codeOfSession(f *fixture) {
	f.ann()
	over := anns("over")
	over.Expires = now.Add(time.Minute)
	f.apply(now, store.PutSession{Session: anns("s")}, store.PutSession{Session: over},
		store.PutSession{Session: anns("ended")}, store.EndSessionByID{ID: "ended", Account: "ann"})
	put := func(session, account string) store.PutCode {
		return store.PutCode{Code: store.Code{Hash: hash("code", session), Account: account, Session: session, Expires: now.Add(time.Hour)}}
	}
	f.conflict("the session has ended", now, put("ended", "ann"))
	f.conflict("the session has expired", now.Add(time.Minute), put("over", "ann"))
	f.conflict("the session is ann's", now, put("s", "bob"))
	f.apply(now, put("s", "ann"), put("", "ann"))
	f.conflict("the hash exists", now, put("s", "ann"))
}

func codeBurnt(f *fixture) {
	f.ann()
	for _, name := range []string{"burnt", "spent"} {
		f.apply(now, store.PutCode{Code: store.Code{Hash: hash(name), Account: "ann", Expires: now.Add(time.Minute)}})
	}
	f.apply(now, store.SpendCode{Hash: hash("spent"), Family: "f"})
	later := now.Add(time.Second)
	for _, name := range []string{"burnt", "spent", "unknown", "burnt"} {
		f.apply(later, store.BurnCode{Hash: hash(name)})
	}
	f.conflict("it is burnt", later, store.SpendCode{Hash: hash("burnt"), Family: "g"})
	if c := must(f.Code(f.Context(), hash("burnt")))(f); c.Family != "" || !c.Spent.Equal(later) {
		f.Errorf("the burnt code: %+v", c)
	}
	if c := must(f.Code(f.Context(), hash("spent")))(f); c.Family != "f" || !c.Spent.Equal(now) {
		f.Errorf("the spent code does not lead to what it began any more: %+v", c)
	}
}
