package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// signIns is how many sign-ins of one client a browser session has.
const signIns = 100

// signInsBounded is a signed-in browser that redeems one code after the other: the
// oldest sign-in ends, with its tokens, and leaves no row. Other clients, other
// sessions and sign-ins by API lose nothing.
func signInsBounded(f *fixture) {
	f.ann("by API")
	f.apply(now, store.PutSession{Session: anns("s")}, store.PutSession{Session: anns("other")})
	begin := func(session, client string, n any) string {
		f.Helper()
		id := fmt.Sprint(session, "/", client, "/", n)
		code := store.Code{Hash: hash(id), Client: client, Account: "ann", Session: session, Expires: now.Add(time.Minute)}
		f.apply(now, store.PutCode{Code: code}, store.SpendCode{Hash: hash(id), Family: id},
			store.PutFamily{Family: store.Family{ID: id, Account: "ann", Client: client, Session: session, Created: now, Expires: now.Add(time.Hour)}},
			store.PutRefresh{Refresh: store.Refresh{Hash: hash(id, "refresh"), Family: id}},
			store.PutOpaque{Opaque: store.Opaque{Hash: hash(id, "t"), ID: "t/" + id, Client: client, Account: "ann", Family: id, Expires: now.Add(time.Minute)}})
		return id
	}
	kept := []string{"by API", begin("s", "wiki", 0), begin("other", "shop", 0)}
	oldest, revoked := begin("s", "shop", "oldest"), begin("s", "shop", "revoked")
	f.apply(now, store.RevokeFamily{Family: revoked})
	for n := range signIns - 2 {
		kept = append(kept, begin("s", "shop", n))
	}
	f.wantRevoked(now, "t/"+revoked)
	must(f.Family(f.Context(), oldest))(f) // they are as many as there may be
	f.apply(now, putToken("a JWT", oldest, now.Add(time.Minute)))
	var heard []string
	f.Follow(func(_ time.Time, revoked []store.Revocation) {
		for _, r := range revoked {
			heard = append(heard, r.Token)
		}
	})

	kept = append(kept, begin("s", "shop", signIns))
	// Both forms are refused for as long as they could be good: gates remember what an opaque
	// token stands for, and one that was away reads all that is revoked.
	f.wantRevoked(now, "a JWT", "t/"+oldest, "t/"+revoked)
	if !slices.Contains(heard, "t/"+oldest) || !slices.Contains(heard, "a JWT") {
		f.Errorf("heard of %q", heard)
	}
	absent(f.Family(f.Context(), oldest))(f, "the oldest sign-in")
	absent(f.Refresh(f.Context(), hash(oldest, "refresh")))(f, "its refresh token")
	absent(f.Token(f.Context(), "t/"+oldest))(f, "the way from its access token")
	absent(f.Opaque(f.Context(), hash(oldest, "t")))(f, "its opaque access token")
	absent(f.Code(f.Context(), hash(oldest)))(f, "its code")
	kept = append(kept, begin("s", "shop", signIns+1))
	absent(f.Family(f.Context(), revoked))(f, "one that had ended")
	f.wantRevoked(now, "a JWT", "t/"+oldest, "t/"+revoked)
	for _, id := range kept {
		if got := must(f.Family(f.Context(), id))(f); !got.Revoked.IsZero() {
			f.Errorf("%s has ended", id)
		}
	}
	must(f.Code(f.Context(), hash(kept[len(kept)-1])))(f) // for its second use
}

// givenWayBounded is a client that asks again and again: what must be remembered of the
// sign-ins that gave way does not grow without end.
func givenWayBounded(f *fixture) {
	f.ann()
	f.apply(now, store.PutSession{Session: anns("s")}, store.PutSession{Session: anns("other")})
	hour := now.Add(time.Hour)
	begin := func(at time.Time, session, client string, n, tokens int) error {
		f.Helper()
		id := fmt.Sprint(session, "/", client, "/", n)
		writes := []store.Write{store.PutFamily{Family: store.Family{ID: id, Account: "ann", Client: client, Session: session, Created: at, Expires: at.Add(9 * time.Hour)}}}
		for m := range tokens {
			writes = append(writes, putToken(fmt.Sprint(id, "/", m), id, hour.Add(time.Hour)))
		}
		return f.Apply(f.Context(), at, writes...)
	}
	last := 0
	for ; last < 2*signIns; last++ {
		tokens := 0
		if last < 6 {
			tokens = 1000 // as many as a sign-in has
		}
		if err := begin(now, "s", "shop", last, tokens); err != nil {
			full, ok := errors.AsType[*store.Crowded](err)
			if !ok || !errors.Is(err, store.ErrConflict) || !full.Until.Equal(hour) {
				f.Fatalf("sign-in %d: %v", last, err)
			}
			break
		}
	}
	if gave := last - signIns; gave != 5 {
		f.Errorf("%d sign-ins of a thousand tokens gave way", gave)
	}
	if n := len(f.revocations(now)); n != 5000 {
		f.Errorf("%d revocations are remembered", n)
	}
	if err := begin(now, "s", "wiki", 0, 1); err != nil {
		f.Errorf("another client: %v", err)
	}
	if err := begin(now, "other", "shop", 0, 1); err != nil {
		f.Errorf("another session: %v", err)
	}
	if err := begin(hour, "s", "shop", last, 1); err != nil {
		f.Errorf("an hour later: %v", err)
	}
}

func signInsBoundedAtOnce(f *fixture) {
	f.ann()
	f.apply(now, store.PutSession{Session: anns("s")})
	for round := range 3 {
		f.race(func(rival int) []store.Write {
			return []store.Write{store.PutFamily{Family: store.Family{ID: fmt.Sprint(round, "/", rival), Account: "ann", Client: "shop", Session: "s", Expires: now.Add(time.Hour)}}}
		})
	}
	if got := len(f.familiesOfSession("s")); got != signIns {
		f.Errorf("%d sign-ins, want %d", got, signIns)
	}
}
