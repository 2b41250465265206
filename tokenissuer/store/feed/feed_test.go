package feed_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/feed"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 250e6, time.UTC)

func open(t testing.TB) *store.Store {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "issuer.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func follow(t testing.TB, st *store.Store, now time.Time) *feed.Revocations {
	t.Helper()
	r, err := feed.Open(t.Context(), st, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func apply(t testing.TB, st *store.Store, now time.Time, writes ...store.Write) {
	t.Helper()
	if err := st.Apply(t.Context(), now, writes...); err != nil {
		t.Fatal(err)
	}
}

func TestRevokedIsRefusedBeforeApplyReturns(t *testing.T) {
	st := open(t)
	r := follow(t, st, now)
	generation := r.Generation()
	if r.Revoked("t1", "shop", now.Unix()) {
		t.Fatal("t1 is refused before it is revoked")
	}
	apply(t, st, now, store.RevokeToken{ID: "t1", Expires: now.Add(time.Minute)})
	if !r.Revoked("t1", "shop", now.Unix()) {
		t.Error("t1 is good after it was revoked")
	}
	if r.Revoked("t2", "shop", now.Unix()) {
		t.Error("t2 is refused with t1")
	}
	if r.Generation() == generation {
		t.Error("the generation stood still")
	}
}

func TestFamilyTakesItsTokensAlong(t *testing.T) {
	st := open(t)
	r := follow(t, st, now)
	apply(t, st, now,
		store.PutAccount{Account: store.Account{ID: "ann", State: store.Active}},
		store.PutFamily{Family: store.Family{ID: "f", Account: "ann", Expires: now.Add(time.Hour)}},
		store.PutToken{Token: store.Token{ID: "t1", Family: "f", Expires: now.Add(time.Minute)}},
		store.PutToken{Token: store.Token{ID: "t2", Family: "f", Expires: now.Add(2 * time.Minute)}})
	apply(t, st, now.Add(time.Minute), store.RevokeFamily{Family: "f"})
	if r.Len() != 1 || !r.Revoked("t2", "", 0) {
		t.Errorf("held %d revocations, t2 revoked %v; want t2 alone, t1 has expired", r.Len(), r.Revoked("t2", "", 0))
	}
}

func TestRevocationsSurviveARestart(t *testing.T) {
	st := open(t)
	apply(t, st, now,
		store.RevokeToken{ID: "t1", Expires: now.Add(time.Minute)},
		store.RefuseClient{Client: "shop", Longest: time.Hour})
	r := follow(t, st, now.Add(time.Second))
	if !r.Revoked("t1", "other", now.Unix()) || !r.Revoked("t9", "shop", now.Unix()) {
		t.Error("a revocation from before the restart is forgotten")
	}
	if late := follow(t, st, now.Add(2*time.Hour)); late.Len() != 0 {
		t.Errorf("%d expired revocations were read", late.Len())
	}
}

func TestClientIsRefusedUpToTheSecondOfItsRevocation(t *testing.T) {
	st := open(t)
	r := follow(t, st, now)
	apply(t, st, now, store.RefuseClient{Client: "shop", Longest: time.Hour})
	for _, c := range []struct {
		client   string
		issuedAt int64
		want     bool
	}{
		{"shop", now.Unix() - 100, true},
		{"shop", now.Unix(), true}, // iat has no fractions: it may have been before
		{"shop", now.Unix() + 1, false},
		{"other", now.Unix() - 100, false},
		{"", now.Unix() - 100, false},
	} {
		if got := r.Revoked("t", c.client, c.issuedAt); got != c.want {
			t.Errorf("client %q, iat %+d s: revoked %v, want %v", c.client, c.issuedAt-now.Unix(), got, c.want)
		}
	}
	apply(t, st, now.Add(-time.Minute), store.RefuseClient{Client: "shop", Longest: time.Hour})
	if !r.Revoked("t", "shop", now.Unix()) {
		t.Error("a clock that was set back gave revoked tokens their life again")
	}
}

func TestEntriesLeaveWhenTheyExpire(t *testing.T) {
	st := open(t)
	r := follow(t, st, now)
	apply(t, st, now,
		store.RevokeToken{ID: "short", Expires: now.Add(time.Minute)},
		store.RevokeToken{ID: "long", Expires: now.Add(time.Hour)},
		store.RefuseClient{Client: "shop", Longest: time.Minute})
	r.Sweep(now.Add(time.Minute))
	if r.Len() != 1 || !r.Revoked("long", "", 0) {
		t.Errorf("%d entries are left, want the long one", r.Len())
	}
	r.Sweep(now.Add(time.Hour))
	if r.Len() != 0 {
		t.Errorf("%d entries are left, want none", r.Len())
	}
}

func TestSizeFollowsWhatIsLive(t *testing.T) {
	st := open(t)
	r := follow(t, st, now)
	at, most := now, 0
	for minute := range 20 {
		at = at.Add(time.Minute)
		var revoke []store.Write
		for i := range 1000 {
			revoke = append(revoke, store.RevokeToken{ID: fmt.Sprint(minute, "/", i), Expires: at.Add(time.Minute)})
		}
		apply(t, st, at, revoke...)
		most = max(most, r.Len())
	}
	// 1,000 are live at a time; twice that and 16 a shard is when to sweep.
	if most > 2*1000+64*17 {
		t.Errorf("held up to %d entries of 1,000 live ones, without a sweep", most)
	}
}

func TestLookingAllocatesNothing(t *testing.T) {
	st := open(t)
	r := follow(t, st, now)
	apply(t, st, now, store.RevokeToken{ID: "t1", Expires: now.Add(time.Hour)}, store.RefuseClient{Client: "gone", Longest: time.Hour})
	if n := testing.AllocsPerRun(1000, func() { r.Revoked("t2", "shop", now.Unix()) }); n != 0 {
		t.Errorf("%v allocations in a look-up", n)
	}
}

func BenchmarkRevoked(b *testing.B) {
	st := open(b)
	r := follow(b, st, now)
	apply(b, st, now, store.RevokeToken{ID: "t1", Expires: now.Add(time.Hour)}, store.RefuseClient{Client: "gone", Longest: time.Hour})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.Revoked("3f8e3c1e-9d1b-4f5c-8a53-7c1b1d1f2a3b", "shop", 1795255200)
		}
	})
}
