package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// refusalMost is how many tokens one transaction refuses whose sign-ins go on.
const refusalMost = 500

// annsLoop is a program that signs in to ann's account for each of its calls, with two
// tokens each time. She is an administrator.
func (f *fixture) annsLoop(n int) (tokens []string) {
	f.Helper()
	f.apply(now, store.PutAccount{Account: store.Account{ID: "ann", State: store.Active, Attributes: map[string]string{"role": "admin"}}})
	return f.signIns(n, func(i int) store.Family {
		return store.Family{ID: fmt.Sprint("f", i), Account: "ann", Client: "shop", Expires: now.Add(time.Hour)}
	})
}

// reader is the change that makes ann one.
func (f *fixture) reader() []store.Write {
	f.Helper()
	was := must(f.Account(f.Context(), "ann"))(f)
	next := was
	next.Attributes = map[string]string{"role": "reader"}
	return []store.Write{store.UpdateAccount{Account: next, Was: &was}, store.RevokeTokensOf{Account: "ann"}}
}

// manyTokens is a role that is taken from an account with very many tokens.
func manyTokens(f *fixture) {
	tokens := f.annsLoop(700)
	f.apply(now, store.PutAccount{Account: store.Account{ID: "bob", State: store.Active}})
	f.signIns(20, func(i int) store.Family {
		return store.Family{ID: fmt.Sprint("bob", i), Account: "bob", Client: "shop", Expires: now.Add(time.Hour)}
	})
	f.apply(now, store.RevokeFamily{Family: "f1"}, store.RevokeToken{ID: "f2/1", Expires: now.Add(time.Minute)})
	steps, change := f.steps(), f.reader()
	f.apply(now, change...)
	if s := steps(); len(s) < 3 || slices.Max(s) > refusalMost {
		f.Errorf("refused in steps of %v tokens; want at least 3, none above %d", s, refusalMost)
	}
	f.wantRevoked(now, tokens...) // and none of bob's
	f.same("sign-ins that go on", len(must(f.FamiliesOf(f.Context(), now, "ann"))(f)), 699)
	f.apply(now, store.RequireAttributes{Account: "ann", Attributes: map[string]string{"role": "reader"}}, putToken("after", "f7", now.Add(time.Minute)))
	f.wantRevoked(now, tokens...)
	f.conflict("it is another's change by now", now, change...)
	f.wantRevoked(now, tokens...)
}

// manyTokensInterrupted is the end of a process between two steps: what it has refused
// is refused, nothing says that the role has changed, and the next one goes on.
func manyTokensInterrupted(f *fixture) {
	tokens := f.annsLoop(700)
	change := f.reader()
	ctx, cancel := context.WithCancel(f.Context())
	defer cancel()
	f.Follow(func(time.Time, []store.Revocation) { cancel() })
	if err := f.Apply(ctx, now, change...); !errors.Is(err, store.ErrUnavailable) {
		f.Errorf("ended between two steps: %v, want ErrUnavailable", err)
	}
	f.same("tokens that are refused", len(f.revoked(now)), refusalMost)
	f.same("the role", must(f.Account(f.Context(), "ann"))(f).Attributes["role"], "admin")
	f.apply(now, change...)
	f.wantRevoked(now, tokens...)
	f.same("the role", must(f.Account(f.Context(), "ann"))(f).Attributes["role"], "reader")
}

// changeRacesMint: tokens are made all the time while a role is taken in steps. None that
// says the old one is good when that is answered, and none that says the new one is
// refused.
func changeRacesMint(f *fixture) {
	f.annsLoop(600)
	const minters = 6
	var all, begun sync.WaitGroup
	var mu sync.Mutex
	says := map[string]string{}
	mint := func(id, family string) {
		role := must(f.Account(f.Context(), "ann"))(f).Attributes["role"]
		err := f.Apply(f.Context(), now, store.RequireAttributes{Account: "ann", Attributes: map[string]string{"role": role}},
			putToken(id, family, now.Add(time.Minute)))
		switch {
		case err == nil:
			mu.Lock()
			says[id] = role
			mu.Unlock()
		case !errors.Is(err, store.ErrConflict):
			f.Error(err)
		}
	}
	done := make(chan struct{})
	begun.Add(minters)
	for i := range minters {
		all.Go(func() {
			for n := 0; ; n++ {
				mint(fmt.Sprint("m", i, "/", n), fmt.Sprint("f", (i+n*minters)%600))
				if n == 0 {
					begun.Done()
				}
				select {
				case <-done:
					mint(fmt.Sprint("m", i, "/last"), fmt.Sprint("f", i))
					return
				default:
				}
			}
		})
	}
	begun.Wait()
	f.apply(now, f.reader()...)
	close(done)
	all.Wait()
	revoked, by := f.revoked(now), map[string]int{}
	for id, role := range says {
		by[role]++
		if _, refused := slices.BinarySearch(revoked, id); refused != (role == "admin") {
			f.Errorf("a token that says %s: refused %v", role, refused)
		}
	}
	if by["admin"] < minters || by["reader"] < minters {
		f.Errorf("minted %v: it tested nothing", by)
	}
}

// manySessionsOfAClient is a client that is taken from an account which has used it in
// very many browsers, by somebody who goes away in between. Its sign-ins there are over,
// and the sessions remember it.
func manySessionsOfAClient(f *fixture) {
	f.ann()
	const browsers = 250
	var writes []store.Write
	for i := range browsers {
		session := fmt.Sprint("s", i)
		writes = append(writes, store.PutSession{Session: anns(session)})
		for _, client := range []string{"shop", "app"} {
			writes = append(writes, store.PutFamily{Family: store.Family{ID: session + client, Account: "ann", Client: client, Session: session, Expires: now.Add(time.Hour)}})
		}
	}
	for i := range browsers {
		writes = append(writes, store.RevokeFamily{Family: fmt.Sprint("s", i, "shop")})
	}
	f.apply(now, writes...)
	ctx, cancel := context.WithCancel(f.Context())
	defer cancel()
	first := telling("first").(store.TellEnded)
	message := first.Message
	first.Message = func(session, client string) (store.Delivery, bool) {
		cancel()
		return message(session, client)
	}
	if err := f.Apply(ctx, now, store.RevokeClientOf{Account: "ann", Client: "shop"}, first); !errors.Is(err, store.ErrUnavailable) {
		f.Errorf("ended between two steps: %v, want ErrUnavailable", err)
	}
	f.same("sessions that were told of", len(f.told()), inOneStep)
	f.apply(now, store.RevokeClientOf{Account: "ann", Client: "shop"}, telling("second"))
	f.same("sessions that were told of, once more", len(f.told()), browsers-inOneStep)
	for _, session := range []string{"s0", "s249"} {
		f.same("clients of "+session, must(f.ClientsOfSession(f.Context(), session))(f), []string{"app"})
	}
	families := must(f.FamiliesOf(f.Context(), now, "ann"))(f)
	f.same("sign-ins that go on", len(families), browsers)
	f.same("their client", families[0].Client, "app")
}

// inOneStep is how many sign-ins or sessions one transaction ends.
const inOneStep = 100
