package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// tokensBounded is a client that refreshes in a loop.
func tokensBounded(f *fixture) {
	f.ann("loop", "other")
	first := now.Add(time.Minute)
	f.apply(now, putToken("first", "loop", first))
	for n := range 999 {
		f.apply(now, putToken(fmt.Sprint(n), "loop", first.Add(time.Minute)))
	}
	for _, w := range []store.Write{
		putToken("more", "loop", first),
		store.PutOpaque{Opaque: store.Opaque{Hash: hash("more"), ID: "more", Account: "ann", Family: "loop", Expires: first}},
	} {
		err := f.Apply(f.Context(), now, w)
		full, ok := errors.AsType[*store.Crowded](err)
		if !ok || !errors.Is(err, store.ErrConflict) || !full.Until.Equal(first) {
			f.Fatalf("the thousand and first token: %v", err)
		}
	}
	f.apply(now, putToken("another's", "other", first))
	f.apply(first, putToken("in the place of the first", "loop", first.Add(time.Minute)))
	f.apply(first, store.RevokeFamily{Family: "loop"})
	err := f.Apply(f.Context(), first.Add(time.Hour), putToken("of the dead", "loop", first.Add(2*time.Hour)))
	if _, full := errors.AsType[*store.Crowded](err); full || !errors.Is(err, store.ErrConflict) {
		f.Errorf("a dead family: %v", err)
	}
}

// spentForgotten: what is spent may be forgotten, and nothing else.
func spentForgotten(f *fixture) {
	f.ann("f", "g")
	f.apply(now, store.SpendRefresh{Hash: hash("f", 0)}, putRefresh("f", 1))
	f.apply(now, store.SpendRefresh{Hash: hash("f", 1)}, putRefresh("f", 2), store.SpendRefresh{Hash: hash("g", 0)}, putRefresh("g", 1))
	for _, n := range []int{-1, 0, 1, 2, 3} {
		f.apply(now, store.DropSpentRefresh{Family: "f", N: n})
	}
	must(f.Refresh(f.Context(), hash("f", 0)))(f)
	absent(f.Refresh(f.Context(), hash("f", 1)))(f, "the one that was spent")
	must(f.Refresh(f.Context(), hash("f", 2)))(f)
	must(f.Refresh(f.Context(), hash("g", 1)))(f)
}
