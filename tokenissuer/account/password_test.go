package account

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func TestEveryNameOfAPersonSignsIn(t *testing.T) {
	w := newWorld(t, Options{})
	alice := w.create(Create{Username: "Alice", Email: "Alice@Bücher.Example", Phone: "138 0013 8000", Password: right})
	for _, name := range []string{"alice", "ALICE", "ａlice", "alice@xn--bcher-kva.example", "ALICE@BÜCHER.EXAMPLE", "13800138000", "+8613800138000"} {
		account, writes, err := w.Password(t.Context(), noon, staff, name, right, home)
		if err != nil || account.ID != alice.ID || account.PasswordHash != "" {
			t.Errorf("%s: %+v, %v", name, account, err)
		}
		w.apply(noon, writes)
	}
}

func TestKindOfNameHasToBeAllowed(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Email: "alice@example.com", Phone: "+8613800138000", Password: right})
	mail := Source{Identifiers: []store.IdentifierKind{store.ByEmail}}
	for name, want := range map[string]oauth.Reason{
		"alice@example.com": "", "alice": oauth.UnsupportedIdentifier, "13800138000": oauth.UnsupportedIdentifier,
		"nobody": oauth.UnsupportedIdentifier, "nobody@example.com": oauth.WrongCredentials,
	} {
		_, _, err := w.Password(t.Context(), noon, mail, name, right, home)
		w.want(want, reason(err))
	}
	// The zero source is of usernames and e-mail addresses.
	_, _, err := w.Password(t.Context(), noon, Source{}, "+8613800138000", right, home)
	w.want(oauth.UnsupportedIdentifier, reason(err))
}

// Who has no account, no password, a hash that cannot be read or a wrong
// password gets one answer, and each costs exactly one hash.
func TestUnknownNameCostsAHash(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: right})
	w.create(Create{Username: "bare"})
	broken := w.create(Create{Username: "broken", Password: right})
	w.apply(noon, []store.Write{store.SetPassword{Account: broken.ID, Old: "*", New: "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA"}})
	frozen := w.create(Create{Username: "frozen", Password: right})
	w.apply(noon, w.SetState(noon, "operator", frozen, store.Frozen))

	for _, name := range []string{"alice", "bare", "broken", "frozen", "nobody", "nobody@example.com", "a b", "@", "+", "*", "' OR 1=1 --", "alice)(uid=*", "alice\x00"} {
		for _, password := range []string{"wrong", "", "not\ttypeable", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA"} {
			before := w.Hashed()
			_, _, err := w.Password(t.Context(), noon, staff, name, password, home)
			e := oauth.AsError(err)
			if e.Code != oauth.InvalidGrant || e.Reason != oauth.WrongCredentials || e.Param != "" {
				t.Errorf("%q %q: %v", name, password, err)
			}
			if n := w.Hashed() - before; n != 1 {
				t.Errorf("%q %q: %d hashes", name, password, n)
			}
		}
	}
}

func TestLongPasswordIsWrongWithoutAHash(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: strings.Repeat("a", maxPassword)})
	w.want("", w.try(noon, "alice", strings.Repeat("a", maxPassword), home))
	before := w.Hashed()
	for range staff.Failures {
		w.want(oauth.WrongCredentials, w.try(noon, "alice", strings.Repeat("a", maxPassword+1), stranger))
	}
	if w.Hashed() != before {
		t.Error("hashed a megabyte for whoever asks")
	}
	w.want(oauth.AccountLocked, w.try(noon, "alice", right, stranger))
}

func TestPasswordIsOneOnEveryKeyboard(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "zoe", Password: "caf\u00e9 \u00e0 la carte"})
	w.want("", w.try(noon, "zoe", "cafe\u0301 a\u0300\u00a0la carte", home))
	w.want(oauth.WrongCredentials, w.try(noon, "zoe", "Caf\u00e9 \u00e0 la carte", home))
}

func TestFrozenIsToldToWhoKnowsThePassword(t *testing.T) {
	w := newWorld(t, Options{})
	alice := w.create(Create{Username: "alice", Password: right})
	w.apply(noon, w.SetState(noon, "operator", alice, store.Frozen))
	w.want(oauth.WrongCredentials, w.try(noon, "alice", "wrong", home))
	w.want(oauth.AccountFrozen, w.try(noon, "alice", right, home))
}

func TestExpiredIsToldToWhoKnowsThePassword(t *testing.T) {
	w := newWorld(t, Options{})
	alice := w.create(Create{Username: "alice", Password: right})
	aging := staff
	aging.MaxAge = 24 * time.Hour
	for at, want := range map[time.Time]oauth.Reason{
		noon.Add(aging.MaxAge - time.Second): "", noon.Add(aging.MaxAge): oauth.PasswordExpired,
	} {
		_, _, err := w.Password(t.Context(), at, aging, "alice", right, home)
		w.want(want, reason(err))
	}
	_, _, err := w.Password(t.Context(), noon.Add(aging.MaxAge), aging, "alice", "wrong", home)
	w.want(oauth.WrongCredentials, reason(err))

	w.apply(noon, []store.Write{store.ExpirePassword{Account: alice.ID}})
	w.want(oauth.PasswordExpired, w.try(noon, "alice", right, home))
	writes, err := w.SetPassword(t.Context(), noon, "operator", staff, alice, "another good one")
	if err != nil {
		t.Fatal(err)
	}
	w.apply(noon, writes)
	w.want("", w.try(noon, "alice", "another good one", home))
}

// A sign-in that proved the old password must not be written after the password
// was changed and every sign-in ended.
func TestSignInDoesNotOutliveAChangeOfPassword(t *testing.T) {
	w := newWorld(t, Options{})
	alice := w.create(Create{Username: "alice", Password: right})
	_, signIn, err := w.Password(t.Context(), noon, staff, "alice", right, stranger)
	if err != nil {
		t.Fatal(err)
	}
	change, err := w.SetPassword(t.Context(), noon, "operator", staff, alice, "the stranger is out")
	if err != nil {
		t.Fatal(err)
	}
	w.apply(noon, change)
	if err := w.st.Apply(t.Context(), noon, signIn...); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("the old password's sign-in: %v", err)
	}
}

func TestAccountOfTheSameNameIsAnother(t *testing.T) {
	w := newWorld(t, Options{})
	old := w.create(Create{Username: "alice", Password: right})
	w.want("", w.try(noon, "alice", right, home))
	w.apply(noon, w.Remove(noon, "operator", old))
	w.want(oauth.WrongCredentials, w.try(noon, "alice", right, home))
	fresh := w.create(Create{Username: "alice", Password: "another good one"})
	if fresh.ID == old.ID {
		t.Fatal("the same sub")
	}
	w.want(oauth.WrongCredentials, w.try(noon, "alice", right, home))
	// The old account's home is a stranger to the new one.
	w.fail(staff.Failures-2, noon, "alice", stranger)
	w.want(oauth.AccountLocked, w.try(noon, "alice", "another good one", home))
}

func TestBrokenStoreIsNoWrongPassword(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: right})
	if err := w.st.Close(); err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{right, "wrong"} {
		_, _, err := w.Password(t.Context(), noon, staff, "alice", password, home)
		if e := oauth.AsError(err); e.Code != oauth.TemporarilyUnavailable || e.Reason != oauth.StoreUnavailable {
			t.Errorf("%q: %v", password, err)
		}
	}
}

func TestNoErrorHoldsWhatWasTyped(t *testing.T) {
	w := newWorld(t, Options{})
	const hash = "$2b$99$abcdefghijklmnopqrstuuNhunter2hunter2hunter2hunter2hunt"
	alice := w.create(Create{Username: "alice", Password: right})
	w.apply(noon, []store.Write{store.SetPassword{Account: alice.ID, Old: "*", New: hash}})
	var errs []error
	for _, name := range []string{"alice", "mallory@example.com"} {
		for range staff.Failures + 1 {
			_, _, err := w.Password(t.Context(), noon, staff, name, "hunter2-typed", stranger)
			errs = append(errs, err)
		}
	}
	_, _, err := w.Create(t.Context(), noon, "operator", staff, Create{Username: "mallory", Password: "hunter2-\x00\x00\x00"})
	errs = append(errs, err)
	_, _, err = w.Create(t.Context(), noon, "operator", staff, Create{Username: "mallory", Hash: hash})
	errs = append(errs, err)
	_, _, err = w.Create(t.Context(), noon, "operator", staff, Create{Email: "mallory"})
	errs = append(errs, err)
	for _, err := range errs {
		if err == nil {
			t.Error("no error")
			continue
		}
		for _, private := range []string{"hunter2", "mallory", "alice", "$2b"} {
			if strings.Contains(err.Error(), private) {
				t.Errorf("%q in %v", private, err)
			}
		}
	}
}

func TestWhoLeavesIsNotAWrongPassword(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Password: right})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := w.Password(ctx, noon, staff, "alice", "wrong", home)
	if e := oauth.AsError(err); e.Code != oauth.TemporarilyUnavailable {
		t.Fatal(err)
	}
}

// To be compared by hand: the two must not differ. Names are drawn, because each
// hash leaves 19 MiB and the collector would meet every second one of a fixed order.
func BenchmarkRefusal(b *testing.B) {
	w := newWorld(b, Options{Memory: 19456, Passes: 2})
	w.create(Create{Username: "alice", Password: right})
	open := staff
	open.Failures = 1 << 30
	took := map[string][]time.Duration{}
	for b.Loop() {
		name := []string{"alice", "nobody"}[rand.IntN(2)]
		start := time.Now()
		if _, _, err := w.Password(b.Context(), noon, open, name, "wrong", home); reason(err) != oauth.WrongCredentials {
			b.Fatal(err)
		}
		took[name] = append(took[name], time.Since(start))
	}
	for name, all := range took {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds()), "us/"+name)
	}
}

func BenchmarkRightPassword(b *testing.B) {
	w := newWorld(b, Options{Memory: 19456, Passes: 2})
	w.create(Create{Username: "alice", Password: right})
	b.ReportAllocs()
	for b.Loop() {
		if got := w.try(noon, "alice", right, home); got != "" {
			b.Fatal(got)
		}
	}
}
