package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// stepMost is how many revocations one transaction may have, where each sign-in has
// two tokens.
const stepMost = 2 * inOneStep

// steps tells how many revocations each transaction had.
func (f *fixture) steps() func() []int {
	var steps []int
	f.Follow(func(_ time.Time, revoked []store.Revocation) { steps = append(steps, len(revoked)) })
	return func() []int {
		all := steps
		steps = nil
		return all
	}
}

// signIns begins n sign-ins with two tokens each.
func (f *fixture) signIns(n int, name func(int) store.Family) (tokens []string) {
	f.Helper()
	var writes []store.Write
	for i := range n {
		family := name(i)
		writes = append(writes, store.PutFamily{Family: family})
		for _, id := range []string{family.ID + "/1", family.ID + "/2"} {
			writes, tokens = append(writes, putToken(id, family.ID, now.Add(time.Minute))), append(tokens, id)
		}
	}
	for chunk := range slices.Chunk(writes, 500) {
		f.apply(now, chunk...)
	}
	slices.Sort(tokens)
	return tokens
}

func (f *fixture) small(what string, steps []int, least int) {
	f.Helper()
	if len(steps) < least || slices.Max(steps) > stepMost {
		f.Errorf("%s was ended in steps of %v revocations; want at least %d, none above %d", what, steps, least, stepMost)
	}
}

// manyEnd is an account that somebody has signed in to in a loop: with a session for
// each time, and without.
func manyEnd(f *fixture) {
	f.ann()
	f.apply(now, store.PutAccount{Account: store.Account{ID: "bob", State: store.Active}})
	steps := f.steps()
	var sessions []store.Write
	for i := range 150 {
		sessions = append(sessions, store.PutSession{Session: anns(fmt.Sprint("s", i))})
	}
	f.apply(now, sessions...)
	var want []string
	tokens := f.signIns(350, func(i int) store.Family {
		family := store.Family{ID: fmt.Sprint("f", i), Account: "ann", Client: "shop", Expires: now.Add(time.Hour)}
		if i < 250 { // the last hundred of those sessions have ended by themselves
			family.Session = fmt.Sprint("s", i)
			want = append(want, "all "+family.Session+" shop")
		}
		return family
	})
	f.signIns(120, func(i int) store.Family {
		return store.Family{ID: fmt.Sprint("bob", i), Account: "bob", Client: "shop", Expires: now.Add(time.Hour)}
	})
	// Each is told once, or its message would conflict.
	f.apply(now, store.RevokeAccount{Account: "ann"}, store.SetState{Account: "ann", State: store.Frozen}, telling("all"))
	f.small("the account", steps(), 4)
	f.wantRevoked(now, tokens...)
	slices.Sort(want)
	f.same("told", f.told(), want)
	f.same("sign-ins that are left", len(must(f.FamiliesOf(f.Context(), now, "ann"))(f)), 0)
	f.same("sessions that are left", len(must(f.SessionsOf(f.Context(), now, "ann"))(f)), 0)
	f.same("sign-ins of another account", len(must(f.FamiliesOf(f.Context(), now, "bob"))(f)), 120)
	f.conflict("it is frozen", now, putFamily("late"))
}

// manyRefused is an end of very much with a condition that does not hold: nothing of it
// has happened, and nobody has heard of it.
func manyRefused(f *fixture) {
	f.ann()
	f.apply(now, store.PutSession{Session: anns("s")})
	f.signIns(150, func(i int) store.Family {
		return store.Family{ID: fmt.Sprint("f", i), Account: "ann", Client: "shop", Expires: now.Add(time.Hour)}
	})
	for _, client := range []string{"one", "two"} {
		f.signIns(60, func(i int) store.Family {
			return store.Family{ID: fmt.Sprint(client, i), Account: "ann", Client: client, Session: "s", Expires: now.Add(time.Hour)}
		})
	}
	steps := f.steps()
	wrong := store.SetPassword{Account: "ann", Old: "another", New: "new"}
	for _, end := range []store.Write{
		store.RevokeAccount{Account: "ann"},
		store.RevokeClientOf{Account: "ann", Client: "shop"},
		store.RevokeClient{Client: "shop"},
		store.RevokeSession{ID: "s", All: true},
		store.RevokeSession{ID: "s", Clients: []string{"one", "two"}},
		store.RevokeTokensOf{Account: "ann"},
	} {
		f.conflict("before the end", now, wrong, end, telling("all"))
		f.conflict("behind the end", now, end, telling("all"), wrong)
		f.same("sign-ins that go on", len(must(f.FamiliesOf(f.Context(), now, "ann"))(f)), 270)
	}
	f.same("revocations", steps(), []int(nil))
	f.same("told", f.told(), []string(nil))
	f.apply(now, store.RevokeSession{ID: "s", All: true})
	f.small("the session", steps(), 2)
}

// manyOfOneEnd is manyEnd for a client of an account, for a client, and for a session.
func manyOfOneEnd(f *fixture) {
	f.ann()
	f.apply(now, store.PutSession{Session: anns("s")})
	steps := f.steps()
	for n, c := range []struct {
		what string
		end  store.Write
	}{
		{"a client of an account", store.RevokeClientOf{Account: "ann", Client: "shop"}},
		{"a client", store.RevokeClient{Client: "shop"}},
	} {
		name := func(client string) func(int) store.Family {
			return func(i int) store.Family {
				return store.Family{ID: fmt.Sprint(n, client, i), Account: "ann", Client: client, Expires: now.Add(time.Hour)}
			}
		}
		f.signIns(230, name("shop"))
		f.signIns(5, name("app"))
		f.apply(now, c.end)
		f.small(c.what, steps(), 3)
		for _, family := range must(f.FamiliesOf(f.Context(), now, "ann"))(f) {
			if family.Client != "app" {
				f.Fatalf("%s: %+v lives on", c.what, family)
			}
		}
	}
	f.same("sign-ins of another client", len(must(f.FamiliesOf(f.Context(), now, "ann"))(f)), 10)
	for _, client := range []string{"one", "two", "three"} { // of a hundred that each may have in a session
		f.signIns(90, func(i int) store.Family {
			return store.Family{ID: fmt.Sprint(client, i), Account: "ann", Client: client, Session: "s", Expires: now.Add(time.Hour)}
		})
	}
	f.apply(now, store.RevokeSession{ID: "s", Clients: []string{"one", "two", "another"}})
	f.small("two clients of a session", steps(), 2)
	left := f.familiesOfSession("s")
	f.same("sign-ins that are left in the session", len(left), 90)
	for _, id := range left {
		f.same("the client of "+id, must(f.Family(f.Context(), id))(f).Client, "three")
	}
	f.signIns(90, func(i int) store.Family {
		return store.Family{ID: fmt.Sprint("four", i), Account: "ann", Client: "four", Session: "s", Expires: now.Add(time.Hour)}
	})
	f.apply(now, store.RevokeSession{ID: "s", All: true})
	f.small("a session", steps(), 2)
	f.same("sign-ins of the session", f.familiesOfSession("s"), []string(nil))
}

// manySweep is four that sweep at once, as nodes do: each row is removed once, and
// none is left.
func manySweep(f *fixture) {
	f.ann("f")
	var writes []store.Write
	for i := range 2000 {
		writes = append(writes, store.RevokeToken{ID: fmt.Sprint("r", i), Expires: now.Add(time.Minute)})
	}
	f.apply(now, writes...)
	stores := []*store.Store{f.Store}
	if f.Shared() {
		for range 3 {
			stores = append(stores, opened(f.T, f.open))
		}
	}
	var wg sync.WaitGroup
	removed := make([]int, len(stores))
	at := now.Add(30 * time.Minute)
	for i, st := range stores {
		wg.Go(func() {
			for n := 300; n >= 300; removed[i] += n {
				var err error
				if n, err = st.Sweep(f.Context(), at, 300); err != nil {
					f.Error(err)
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range removed {
		sum += n
	}
	if f.Shared() { // who met another at it has left the rest to the other, and both may have stopped
		sum += must(f.Sweep(f.Context(), at, 10_000))(f)
	}
	f.same("rows removed", sum, 2000)
	f.same("rows left", f.revoked(now), []string(nil))
}
