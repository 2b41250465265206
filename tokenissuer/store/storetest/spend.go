package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// rivals is how many want the same thing at the same time.
const rivals = 50

// race lets the rivals apply at once. The losers must lose by ErrConflict:
// anything else would be answered as an outage.
func (f *fixture) race(writes func(rival int) []store.Write) (winners []int) {
	f.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range rivals {
		wg.Go(func() {
			<-start
			err := f.Apply(f.Context(), now, writes(i)...)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				winners = append(winners, i)
			case !errors.Is(err, store.ErrConflict):
				f.Errorf("rival %d: %v", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
	return winners
}

func (f *fixture) oneWinner(writes func(rival int) []store.Write) int {
	f.Helper()
	winners := f.race(writes)
	if len(winners) != 1 {
		f.Fatalf("%d of %d won, want one", len(winners), rivals)
	}
	return winners[0]
}

func oneSpendsRefresh(f *fixture) {
	f.ann("f")
	winner := f.oneWinner(func(i int) []store.Write {
		return []store.Write{
			store.SpendRefresh{Hash: hash("f", 0)},
			store.PutRefresh{Refresh: store.Refresh{Hash: hash("rival", i), Family: "f", N: 1}},
			putToken(fmt.Sprint("t", i), "f", now.Add(time.Minute)),
		}
	})
	for i := range rivals {
		_, err := f.Token(f.Context(), fmt.Sprint("t", i))
		if won := err == nil; won != (i == winner) {
			f.Errorf("rival %d has a token: %v, the winner is %d", i, won, winner)
		}
	}
	if !must(f.Refresh(f.Context(), hash("f", 0)))(f).Spent.Equal(now) {
		f.Error("the spent token does not say when")
	}
	f.conflict("it was spent before", now, store.SpendRefresh{Hash: hash("f", 0)})
	f.conflict("the spent token was required to be good", now, store.RequireUnspent{Hash: hash("f", 0)})
	f.apply(now, store.RequireUnspent{Hash: hash("rival", winner)})
	f.apply(now, store.SpendRefresh{Hash: hash("rival", winner)})
	f.conflict("an unknown token was spent", now, store.SpendRefresh{Hash: hash("nobody's")})
	f.conflict("an unknown token was required to be good", now, store.RequireUnspent{Hash: hash("nobody's")})
}

func oneSpendsCode(f *fixture) {
	f.ann()
	f.apply(now, store.PutCode{Code: store.Code{Hash: hash("code"), Account: "ann", Expires: now.Add(time.Minute)}})
	winner := f.oneWinner(func(i int) []store.Write {
		family := fmt.Sprint("f", i)
		return []store.Write{store.SpendCode{Hash: hash("code"), Family: family}, putFamily(family)}
	})
	code := must(f.Code(f.Context(), hash("code")))(f)
	if want := fmt.Sprint("f", winner); code.Family != want || !code.Spent.Equal(now) {
		f.Errorf("the code began %s at %v, want %s at %v", code.Family, code.Spent, want, now)
	}
	if n := len(must(f.FamiliesOf(f.Context(), now, "ann"))(f)); n != 1 {
		f.Errorf("%d sign-ins of one code", n)
	}
}

func oneSpendsOneTimeCode(f *fixture) {
	f.apply(now, store.PutOneTimeCode{Code: store.OneTimeCode{
		Hash: hash("otp"), Sent: true, CodeExpires: now.Add(time.Minute), Expires: now.Add(time.Minute),
	}})
	f.oneWinner(func(int) []store.Write {
		return []store.Write{store.SpendOneTimeCode{Hash: hash("otp"), Most: 5}}
	})
}

func guessesAreCounted(f *fixture) {
	f.apply(now, store.PutOneTimeCode{Code: store.OneTimeCode{
		Hash: hash("otp"), Sent: true, CodeExpires: now.Add(time.Minute), Expires: now.Add(time.Minute),
	}})
	const most = 5
	counted := f.race(func(int) []store.Write {
		return []store.Write{store.FailOneTimeCode{Hash: hash("otp"), Most: most}}
	})
	if len(counted) != most {
		f.Errorf("%d wrong tries were allowed, want %d", len(counted), most)
	}
	if n := must(f.OneTimeCode(f.Context(), hash("otp")))(f).Failures; n != most {
		f.Errorf("%d failures on record, want %d", n, most)
	}
	f.conflict("the right code after too many wrong ones", now, store.SpendOneTimeCode{Hash: hash("otp"), Most: most})
}

func oneTakesName(f *fixture) {
	f.oneWinner(func(i int) []store.Write {
		return []store.Write{store.PutAccount{Account: store.Account{ID: fmt.Sprint(i), Username: "ann", State: store.Active}}}
	})
}

func oneRetiresKey(f *fixture) {
	f.apply(now, store.PutKey{Key: store.Key{ID: "k1", Material: []byte{1}}})
	f.oneWinner(func(i int) []store.Write {
		return []store.Write{
			store.RetireKey{ID: "k1", Expires: now.Add(time.Hour)},
			store.PutKey{Key: store.Key{ID: fmt.Sprint("new", i), Material: []byte{2}}},
		}
	})
	if n := len(must(f.Keys(f.Context()))(f)); n != 2 {
		f.Errorf("%d keys after one rotation, want 2", n)
	}
}

func oneMakesTheNextKey(f *fixture) {
	for round, newest := range []string{"", "between"} {
		f.oneWinner(func(i int) []store.Write {
			key := store.Key{ID: fmt.Sprint("made", round, "-", i), Use: "sig", Material: []byte{1}}
			return []store.Write{store.PutNextKey{Key: key, Newest: newest}}
		})
		if n := len(must(f.Keys(f.Context()))(f)); n != 3*round+1 {
			f.Errorf("%d keys in round %d", n, round)
		}
		if round == 0 {
			// A key of another use is none of those that follow each other.
			f.apply(now, store.PutKey{Key: store.Key{ID: "between", Use: "sig", Material: []byte{1}}},
				store.PutKey{Key: store.Key{ID: "other", Use: "derive", Material: []byte{1}}})
		}
	}
}

func allOrNothing(f *fixture) {
	f.ann("f")
	heard := 0
	f.Follow(func(time.Time, []store.Revocation) { heard++ })
	f.conflict("the last write of eight", now,
		store.SpendRefresh{Hash: hash("f", 0)},
		putRefresh("f", 1),
		putToken("t1", "f", now.Add(time.Minute)),
		store.PutAccount{Account: store.Account{ID: "bob", State: store.Active}},
		store.RevokeToken{ID: "t9", Expires: now.Add(time.Minute)},
		store.PutEvent{Event: store.Event{At: now, Action: "x"}},
		store.PutKey{Key: store.Key{ID: "k", Material: []byte{1}}},
		store.RemoveClient{ID: "no such client"})

	f.apply(now, store.RequireUnspent{Hash: hash("f", 0)})
	absent(f.Refresh(f.Context(), hash("f", 1)))(f, "the successor")
	absent(f.Token(f.Context(), "t1"))(f, "the access token")
	absent(f.Account(f.Context(), "bob"))(f, "the account")
	if n := len(f.revocations(now)); n != 0 || heard != 0 {
		f.Errorf("%d revocations stored, %d heard of", n, heard)
	}
	if n := len(must(f.Events(f.Context(), now, 10))(f)); n != 0 {
		f.Errorf("%d events stored", n)
	}
	if n := len(must(f.Keys(f.Context()))(f)); n != 0 {
		f.Errorf("%d keys stored", n)
	}
	f.apply(now) // nothing is something that can be done
}

// readsOwnWrites asks on all connections at once: an answer that depends on
// which one it comes from would make a fresh token unknown.
func readsOwnWrites(f *fixture) {
	f.ann("f")
	for n := range 20 {
		f.apply(now, putRefresh("f", n+1))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := f.Refresh(f.Context(), hash("f", n+1)); err != nil {
					f.Errorf("token %d right after its Apply: %v", n+1, err)
				}
			})
		}
		wg.Wait()
	}
}

func closedIsUnavailable(f *fixture) {
	f.ann("f")
	if err := f.Close(); err != nil {
		f.Fatal(err)
	}
	if err := f.Apply(f.Context(), now, store.SpendRefresh{Hash: hash("f", 0)}); !errors.Is(err, store.ErrUnavailable) {
		f.Errorf("Apply: %v", err)
	}
	if _, err := f.Account(f.Context(), "ann"); !errors.Is(err, store.ErrUnavailable) {
		f.Errorf("Account: %v", err)
	}
	if _, err := f.Keys(f.Context()); !errors.Is(err, store.ErrUnavailable) {
		f.Errorf("Keys: %v", err)
	}
	if _, err := f.Sweep(f.Context(), now, 1); !errors.Is(err, store.ErrUnavailable) {
		f.Errorf("Sweep: %v", err)
	}
}

func endedContextIsUnavailable(f *fixture) {
	f.ann("f")
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	err := f.Apply(ctx, now, store.SpendRefresh{Hash: hash("f", 0)})
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		f.Errorf("Apply: %v, want ErrUnavailable for context.Canceled", err)
	}
	if _, err := f.Account(ctx, "ann"); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		f.Errorf("Account: %v, want ErrUnavailable for context.Canceled", err)
	}
	f.apply(now, store.RequireUnspent{Hash: hash("f", 0)})
}
