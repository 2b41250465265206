package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// beside runs all at once. An Apply among them may be refused by ErrConflict, and by
// nothing else; it says which went through.
func (f *fixture) beside(applies ...[]store.Write) (through []bool) {
	f.Helper()
	through = make([]bool, len(applies))
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i, writes := range applies {
		wg.Go(func() {
			<-start
			err := f.Apply(f.Context(), now, writes...)
			through[i] = err == nil
			if err != nil && !errors.Is(err, store.ErrConflict) {
				f.Errorf("%T …: %v", writes[0], err)
			}
		})
	}
	close(start)
	wg.Wait()
	return through
}

// freezeRacesSignIn: a sign-in by password has no code and no session that an
// operator's freeze could wait for. Whatever comes first, nothing of it lives.
func freezeRacesSignIn(f *fixture) {
	for round := range 20 {
		account := fmt.Sprint("a", round)
		f.apply(now, store.PutAccount{Account: store.Account{ID: account, State: store.Active}})
		applies := [][]store.Write{{store.RevokeAccount{Account: account}, store.SetState{Account: account, State: store.Frozen}}}
		for i := range 8 {
			id := fmt.Sprint(account, "/", i)
			session := anns(id)
			session.Account = account
			applies = append(applies, []store.Write{
				store.PutFamily{Family: store.Family{ID: id, Account: account, Client: "shop", Expires: now.Add(time.Hour)}},
				putToken(id, id, now.Add(time.Hour)), putRefresh(id, 0),
				store.PutSession{Session: session},
			})
		}
		through := f.beside(applies...)
		if got := must(f.FamiliesOf(f.Context(), now, account))(f); !through[0] || len(got) != 0 {
			f.Fatalf("round %d: frozen %v, %d sign-ins live on", round, through[0], len(got))
		}
		if got := must(f.SessionsOf(f.Context(), now, account))(f); len(got) != 0 {
			f.Fatalf("round %d: %d sessions live on", round, len(got))
		}
		revoked := f.revoked(now)
		for i, minted := range through[1:] {
			if _, found := slices.BinarySearch(revoked, fmt.Sprint(account, "/", i)); minted != found {
				f.Fatalf("round %d: token %d minted %v, revoked %v", round, i, minted, found)
			}
		}
	}
}

// endRacesCode: the end of a session takes what is about to begin in it, or that
// is refused.
func endRacesCode(f *fixture) {
	f.ann()
	for round := range 10 {
		id := fmt.Sprint("s", round)
		f.apply(now, store.PutSession{Session: anns(id)})
		applies := [][]store.Write{{
			store.RequireClients{Session: id, Count: 0}, store.EndSessionByID{ID: id, Account: "ann"}, store.RevokeSession{ID: id, All: true},
		}}
		for i := range 4 {
			code := store.Code{Hash: hash(id, i), Client: "shop", Account: "ann", Session: id, Expires: now.Add(time.Minute)}
			late := code
			late.Hash = hash(id, "late", i)
			f.apply(now, store.PutCode{Code: code})
			family := store.Family{ID: fmt.Sprint(id, "/", i), Account: "ann", Client: "shop", Session: id, Expires: now.Add(time.Hour)}
			applies = append(applies, []store.Write{store.PutCode{Code: late}},
				[]store.Write{store.SpendCode{Hash: code.Hash, Family: family.ID}, store.PutFamily{Family: family}})
		}
		if !f.beside(applies...)[0] {
			continue // a client got a sign-in first: whoever ends it looks again
		}
		if got := f.familiesOfSession(id); got != nil {
			f.Fatalf("round %d: %q live on", round, got)
		}
		for i := range 4 {
			absent(f.Code(f.Context(), hash(id, "late", i)))(f, "a code of an ended session")
		}
	}
}

// removalRacesConsent: nothing is kept of an account that is gone.
func removalRacesConsent(f *fixture) {
	for round := range 20 {
		account := fmt.Sprint("a", round)
		f.apply(now, store.PutAccount{Account: store.Account{ID: account, State: store.Active, PasswordHash: "1"}})
		applies := [][]store.Write{{store.RevokeAccount{Account: account}, store.RemoveAccount{Account: account}}}
		for i := range 6 {
			applies = append(applies, []store.Write{store.PutConsent{Account: account, Client: fmt.Sprint("c", i), Scopes: []string{"openid"}}})
		}
		applies = append(applies, []store.Write{store.SetPassword{Account: account, Old: "*", New: "2", Remember: 2}})
		if !f.beside(applies...)[0] {
			f.Fatalf("round %d: the account was not removed", round)
		}
		if got := must(f.ConsentsOf(f.Context(), account))(f); len(got) != 0 {
			f.Fatalf("round %d: %d consents are kept", round, len(got))
		}
		if got := must(f.PasswordHistory(f.Context(), account, 10))(f); len(got) != 0 {
			f.Fatalf("round %d: %d passwords are kept", round, len(got))
		}
	}
}

// fiftySetPasswords at once, as operators do: each one replaced is remembered once.
func fiftySetPasswords(f *fixture) {
	f.apply(now, store.PutAccount{Account: store.Account{ID: "ann", State: store.Active, PasswordHash: "first"}})
	set := f.race(func(i int) []store.Write {
		return []store.Write{store.SetPassword{Account: "ann", Old: "*", New: fmt.Sprint(i), Remember: rivals}}
	})
	history := must(f.PasswordHistory(f.Context(), "ann", 2*rivals))(f)
	all := append(slices.Clone(history), must(f.Account(f.Context(), "ann"))(f).PasswordHash)
	slices.Sort(all)
	if different := len(slices.Compact(all)); len(set) != rivals || len(history) != rivals || different != rivals+1 {
		f.Errorf("%d set, %d remembered, %d different with the present one; want %d, %d, %d", len(set), len(history), different, rivals, rivals, rivals+1)
	}
}

// fiftyReturnQuotas at once: what is left is what was not returned.
func fiftyReturnQuotas(f *fixture) {
	take := store.TakeQuota{Key: hash("q"), Most: 2 * rivals, Window: time.Hour}
	f.race(func(int) []store.Write { return []store.Write{take} })
	f.apply(now, take)
	back := func(int) []store.Write { return []store.Write{store.ReturnQuota{Key: take.Key}} }
	f.race(back)
	f.same("the quota", must(f.Quota(f.Context(), now, take.Key))(f), store.Quota{Taken: 1, Ends: now.Add(time.Hour)})
	f.race(back)
	f.same("the quota", must(f.Quota(f.Context(), now, take.Key))(f), store.Quota{})
}

// sweepRacesNextWindow: a window that begins beside a sweep of the one before is
// not swept with it.
func sweepRacesNextWindow(f *fixture) {
	const most = 3
	for round := range 20 {
		key := hash("q", round)
		f.apply(now.Add(-time.Hour), store.TakeQuota{Key: key, Most: most, Window: time.Minute})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := f.Sweep(f.Context(), now, 100); err != nil {
					f.Error(err)
				}
			})
		}
		var applies [][]store.Write
		for range 2 * most {
			applies = append(applies, []store.Write{store.TakeQuota{Key: key, Most: most, Window: time.Minute}})
		}
		through := f.beside(applies...)
		wg.Wait()
		taken := 0
		for _, ok := range through {
			if ok {
				taken++
			}
		}
		if got := must(f.Quota(f.Context(), now, key))(f).Taken; taken != most || got != most {
			f.Fatalf("round %d: %d took, %d counted, want %d", round, taken, got, most)
		}
	}
}
