package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func nothingForDeadFamily(f *fixture) {
	f.ann("revoked", "expired", "locked")
	f.apply(now, store.RevokeFamily{Family: "revoked"})
	mint := func(why, family string, at time.Time) {
		f.Helper()
		f.conflict("a refresh token: "+why, at, putRefresh(family, 1))
		f.conflict("an access token: "+why, at, putToken("t-"+family, family, at.Add(time.Minute)))
	}
	mint("the family is revoked", "revoked", now)
	mint("the family has expired", "expired", now.Add(time.Hour))
	mint("there is no such family", "unknown", now)
	f.apply(now, store.SetState{Account: "ann", State: store.Locked})
	mint("the account is locked", "locked", now)
	f.apply(now, store.SetState{Account: "ann", State: store.Frozen})
	mint("the account is frozen", "locked", now)
	f.apply(now, store.SetState{Account: "ann", State: store.Active})
	f.apply(now.Add(time.Hour-time.Millisecond), putRefresh("locked", 1), putToken("t", "locked", now.Add(2*time.Hour)))
	f.apply(now, store.RemoveAccount{Account: "ann"})
	mint("the account is gone", "locked", now)
}

func noSignInUnlessActive(f *fixture) {
	f.conflict("no such account", now, putFamily("f"))
	f.ann()
	for _, state := range []store.AccountState{store.Locked, store.Frozen} {
		f.apply(now, store.SetState{Account: "ann", State: state})
		f.conflict(string(state), now, putFamily("f"))
	}
	f.apply(now, store.SetState{Account: "ann", State: store.Active})
	f.apply(now, putFamily("f"))
	f.conflict("the family exists", now, putFamily("f"))
}

// revocations lists what is on record as revoked.
func (f *fixture) revocations(at time.Time) (all []store.Revocation) {
	f.Helper()
	if err := f.Revocations(f.Context(), at, func(some []store.Revocation) { all = append(all, some...) }); err != nil {
		f.Fatal(err)
	}
	return all
}

// revoked lists the tokens that are on record as revoked, in order.
func (f *fixture) revoked(at time.Time) []string {
	f.Helper()
	var tokens []string
	for _, r := range f.revocations(at) {
		tokens = append(tokens, r.Token)
	}
	slices.Sort(tokens)
	return tokens
}

func (f *fixture) wantRevoked(at time.Time, want ...string) {
	f.Helper()
	if got := f.revoked(at); !slices.Equal(got, want) {
		f.Errorf("revoked %q, want %q", got, want)
	}
}

func familyRevoked(f *fixture) {
	f.ann("f", "g")
	f.apply(now,
		putToken("old", "f", now.Add(time.Minute)),
		putToken("t1", "f", now.Add(10*time.Minute)),
		putToken("t2", "f", now.Add(20*time.Minute)),
		putToken("other", "g", now.Add(10*time.Minute)))
	var heard []string
	f.Follow(func(_ time.Time, revoked []store.Revocation) {
		for _, r := range revoked {
			heard = append(heard, r.Token)
		}
	})
	at := now.Add(time.Minute)
	f.apply(at, store.RevokeFamily{Family: "f"})
	f.wantRevoked(at, "t1", "t2")
	f.wantRevoked(now.Add(10*time.Minute), "t2")
	if family := must(f.Family(f.Context(), "f"))(f); !family.Revoked.Equal(at) {
		f.Errorf("revoked at %v, want %v", family.Revoked, at)
	}
	if family := must(f.Family(f.Context(), "g"))(f); !family.Revoked.IsZero() {
		f.Error("the other family is revoked too")
	}
	f.apply(at.Add(time.Second), store.RevokeFamily{Family: "f"}, store.RevokeFamily{Family: "unknown"})
	if family := must(f.Family(f.Context(), "f"))(f); !family.Revoked.Equal(at) {
		f.Error("the second revocation moved the first")
	}
	f.apply(at, store.RevokeToken{ID: "m2m", Expires: at.Add(time.Hour)}, store.RevokeToken{ID: "t1", Expires: at.Add(time.Hour)})
	f.apply(at, store.RevokeToken{ID: "over", Expires: at})
	f.wantRevoked(at, "m2m", "t1", "t2")
	slices.Sort(heard)
	if f.Shared() { // who was first may have been another process: then nobody here has heard
		heard = slices.Compact(heard)
	}
	if want := []string{"m2m", "t1", "t2"}; !slices.Equal(heard, want) {
		f.Errorf("heard of %q, want %q: each once, and none that has expired", heard, want)
	}
}

func accountRevoked(f *fixture) {
	f.ann("f", "g")
	f.apply(now,
		store.PutAccount{Account: store.Account{ID: "bob", State: store.Active}},
		putToken("t1", "f", now.Add(time.Minute)), putToken("t2", "g", now.Add(time.Minute)),
		store.PutSession{Session: store.Session{Hash: hash("ann's"), ID: "ann's", Account: "ann", Expires: now.Add(time.Hour)}},
		store.PutSession{Session: store.Session{Hash: hash("bob's"), ID: "bob's", Account: "bob", Expires: now.Add(time.Hour)}},
		store.PutCode{Code: store.Code{Hash: hash("good"), Account: "ann", Expires: now.Add(time.Minute)}},
		store.PutCode{Code: store.Code{Hash: hash("spent"), Account: "ann", Expires: now.Add(time.Minute)}},
		store.SpendCode{Hash: hash("spent"), Family: "f"})
	f.apply(now, store.RevokeTokensOf{Account: "ann"})
	f.wantRevoked(now, "t1", "t2")
	if n := len(must(f.FamiliesOf(f.Context(), now, "ann"))(f)); n != 2 {
		f.Errorf("%d sign-ins go on, want both", n)
	}
	f.apply(now, putToken("t3", "f", now.Add(time.Minute)))
	f.apply(now, store.RevokeAccount{Account: "ann"}, store.SetState{Account: "ann", State: store.Frozen})
	f.wantRevoked(now, "t1", "t2", "t3")
	if n := len(must(f.FamiliesOf(f.Context(), now, "ann"))(f)); n != 0 {
		f.Errorf("%d sign-ins are left", n)
	}
	absent(f.Session(f.Context(), hash("ann's")))(f, "the session")
	absent(f.Code(f.Context(), hash("good")))(f, "the code")
	must(f.Session(f.Context(), hash("bob's")))(f)
	must(f.Code(f.Context(), hash("spent")))(f) // its second use must be recognised
}

func clientRevoked(f *fixture) {
	f.ann("f")
	f.apply(now, store.RefuseClient{Client: "shop", Longest: time.Hour})
	f.apply(now.Add(-time.Minute), store.RefuseClient{Client: "shop", Longest: time.Hour}) // the clock was set back
	want := []store.Revocation{{Client: "shop", NotBefore: now, Expires: now.Add(time.Hour)}}
	if got := f.revocations(now); !slices.Equal(got, want) {
		f.Errorf("%+v, want %+v", got, want)
	}
	if got := f.revocations(now.Add(time.Hour)); len(got) != 0 {
		f.Errorf("%+v after the longest token", got)
	}
	if !must(f.Family(f.Context(), "f"))(f).Revoked.IsZero() {
		f.Error("a family has ended of which only the tokens were refused")
	}
	f.apply(now, store.RevokeClient{Client: "shop"})
	if must(f.Family(f.Context(), "f"))(f).Revoked.IsZero() {
		f.Error("a family of the client is alive")
	}
}

// clientRevokedFromAhead is a token of a node whose clock is ahead: the client's end, which
// counts times, is before it. It is refused all the same, then and when its account ends.
func clientRevokedFromAhead(f *fixture) {
	f.ann("f", "g")
	ahead := now.Add(2 * time.Second)
	f.apply(ahead, putToken("t1", "f", ahead.Add(time.Minute)), putToken("t2", "g", ahead.Add(time.Minute)))
	f.apply(now, store.RevokeFamily{Family: "g"})
	f.apply(now, store.RefuseClient{Client: "shop", Longest: time.Hour}, store.RevokeClient{Client: "shop"})
	f.wantRevoked(now, "", "t1", "t2") // the first is the client
	f.apply(now, store.RevokeAccount{Account: "ann"})
	f.wantRevoked(now, "", "t1", "t2") // the first is the client
}

// mintRacesRevocation: whatever comes first, no token is left that is neither
// revoked nor refused.
func mintRacesRevocation(f *fixture) {
	f.ann()
	for round := range 20 {
		family := fmt.Sprint("f", round)
		f.apply(now, putFamily(family))
		var wg sync.WaitGroup
		var minted [8]bool
		for i := range minted {
			wg.Go(func() {
				err := f.Apply(f.Context(), now, putToken(fmt.Sprint(family, "/", i), family, now.Add(time.Hour)))
				minted[i] = err == nil
				if err != nil && !errors.Is(err, store.ErrConflict) {
					f.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := f.Apply(f.Context(), now, store.RevokeFamily{Family: family}); err != nil {
				f.Error(err)
			}
		})
		wg.Wait()
		revoked := f.revoked(now)
		for i, ok := range minted {
			if _, found := slices.BinarySearch(revoked, fmt.Sprint(family, "/", i)); ok != found {
				f.Fatalf("round %d: token %d minted %v, revoked %v", round, i, ok, found)
			}
		}
	}
}

func followersKnow(f *fixture) {
	f.ann("f")
	f.apply(now, putToken("t1", "f", now.Add(time.Minute)))
	var heard []store.Revocation
	f.Follow(func(at time.Time, revoked []store.Revocation) {
		if !at.Equal(now) {
			f.Errorf("told at %v, want %v", at, now)
		}
		if family, err := f.Family(f.Context(), "f"); err != nil || family.Revoked.IsZero() {
			f.Errorf("told before the commit: %+v, %v", family, err)
		}
		heard = append(heard, revoked...)
	})
	f.apply(now,
		store.RevokeFamily{Family: "f"},
		store.RevokeToken{ID: "t2", Expires: now.Add(time.Hour)},
		store.RefuseClient{Client: "shop", Longest: time.Hour})
	want := []store.Revocation{
		{Token: "t1", Expires: now.Add(time.Minute)},
		{Token: "t2", Expires: now.Add(time.Hour)},
		{Client: "shop", NotBefore: now, Expires: now.Add(time.Hour)},
	}
	if !slices.Equal(heard, want) {
		f.Errorf("heard %+v, want %+v", heard, want)
	}
}

func followersHearNoFailure(f *fixture) {
	f.ann("f")
	f.apply(now, putToken("t1", "f", now.Add(time.Minute)))
	f.Follow(func(_ time.Time, revoked []store.Revocation) { f.Errorf("heard of %+v", revoked) })
	f.conflict("the second write", now, store.RevokeFamily{Family: "f"}, store.RemoveAccount{Account: "nobody"})
	f.apply(now, putRefresh("f", 1))
}
