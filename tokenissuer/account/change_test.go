package account

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// change is ChangePassword from home, applied.
func (w world) change(now time.Time, src Source, id, before, after string) oauth.Reason {
	w.t.Helper()
	writes, err := w.ChangePassword(w.t.Context(), now, src, id, before, after, home)
	if err != nil {
		if writes != nil {
			w.t.Errorf("writes beside the error %v", err)
		}
		return reason(err)
	}
	w.apply(now, writes)
	return ""
}

func remembering(n int) Source {
	src := staff
	src.History = n
	return src
}

func TestHistoryIsAsLongAsItSays(t *testing.T) {
	w := newWorld(t, Options{})
	password := func(n int) string { return fmt.Sprintf("password number %d", n) }
	for _, length := range []int{0, 1, 2, 5} {
		id := w.create(Create{Username: fmt.Sprintf("alice%d", length), Password: password(0)}).ID
		src := remembering(length)
		for n := range 8 {
			// The present one is refused as such; of those before, History-1 are.
			w.want(oauth.SamePassword, w.change(noon, src, id, password(n), password(n)))
			for back := 1; back <= n; back++ {
				var want oauth.Reason
				if back < length {
					want = oauth.FormerPassword
				}
				_, err := w.ChangePassword(t.Context(), noon, src, id, password(n), password(n-back), home)
				if reason(err) != want {
					t.Errorf("history %d, %d back of %d: %q, want %q", length, back, n, reason(err), want)
				}
			}
			w.want("", w.change(noon, src, id, password(n), password(n+1)))
		}
	}
}

// A password typed on another keyboard is the same password, before and after
// this one, and whoever hashed it.
func TestFormerPasswordIsKnownInEverySpelling(t *testing.T) {
	w := newWorld(t, Options{})
	imported := w.create(Create{Username: "bob", Hash: "$2b$04$abcdefghijklmnopqrstuu5Lr8KsbV0a7VhJ4iG1sY6vmhCHm2SVq"})
	writes, err := w.SetPassword(t.Context(), noon, "operator", remembering(3), imported, "bob's first password")
	if err != nil {
		t.Fatal(err)
	}
	w.apply(noon, writes)
	alice := w.create(Create{Username: "alice", Password: "caf\u00e9 au lait"})
	w.want(oauth.SamePassword, w.change(noon, remembering(3), alice.ID, "caf\u00e9 au lait", "cafe\u0301 au lait"))
	w.want("", w.change(noon, remembering(3), alice.ID, "cafe\u0301 au lait", right))
	w.want(oauth.FormerPassword, w.change(noon, remembering(3), alice.ID, right, "cafe\u0301 au lait"))
}

func TestChangeIsRefusedInThisOrder(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.create(Create{Username: "alice", Password: right}).ID
	other := w.create(Create{Username: "bob"}).ID // without a password
	w.want(oauth.WrongOld, w.change(noon, staff, id, "wrong", "wrong"))
	w.want(oauth.SamePassword, w.change(noon, staff, id, right, right))
	w.want(oauth.UnfitPassword, w.change(noon, staff, id, right, "short"))
	w.want(oauth.WrongOld, w.change(noon, staff, other, "", right))
	for _, state := range []store.AccountState{store.Locked, store.Frozen} {
		w.apply(noon, []store.Write{store.SetState{Account: id, State: state}})
		want := oauth.UserLocked
		if state == store.Frozen {
			want = oauth.UserFrozen
		}
		w.want(want, w.change(noon, staff, id, right, "short"))
		w.want(want, w.change(noon, staff, id, "wrong", "short"))
		account, err := w.st.Account(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.ResetPassword(t.Context(), noon, staff, account, "another good one"); reason(err) != want {
			t.Errorf("reset: %v", err)
		}
	}
	if _, err := w.ChangePassword(t.Context(), noon, staff, "nobody", right, right, home); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

// Whoever guesses the old password is under the lock-out of the sign-in, and uses
// up its tries.
func TestOldPasswordCountsAsSignIn(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.create(Create{Username: "alice", Email: "alice@example.com", Password: right}).ID
	w.fail(2, noon, "alice", home)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			switch _, err := w.ChangePassword(t.Context(), noon, staff, id, "wrong", "another good one", home); reason(err) {
			case oauth.WrongOld, oauth.UserLocked:
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.want(oauth.UserLocked, w.change(noon, staff, id, right, "another good one"))
	w.want(oauth.AccountLocked, w.try(noon, "alice", right, home))
	w.want("", w.try(noon, "alice@example.com", right, home))
	later := noon.Add(staff.Lock)
	w.want("", w.change(later, staff, id, right, "another good one"))
	w.want("", w.try(later, "alice", "another good one", home))
}

// A change that was decided on the old hash loses to one that was applied.
func TestChangeHoldsOnlyForThePasswordItProved(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.create(Create{Username: "alice", Password: right}).ID
	first, err := w.ChangePassword(t.Context(), noon, staff, id, right, "the first to come", home)
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.ChangePassword(t.Context(), noon, staff, id, right, "the second to come", home)
	if err != nil {
		t.Fatal(err)
	}
	w.apply(noon, first)
	if err := w.st.Apply(t.Context(), noon, second...); !errors.Is(err, store.ErrConflict) {
		t.Fatal(err)
	}
	w.want("", w.try(noon, "alice", "the first to come", home))
}

func TestProfileTextsAreBounded(t *testing.T) {
	for _, a := range []store.Account{
		{Nickname: "a\nb"}, {Attributes: map[string]string{"department": strings.Repeat("x", 257)}}, {ZoneInfo: "\xff"},
	} {
		if _, unfit := errors.AsType[*InputError](CheckProfile(a)); !unfit {
			t.Errorf("%+v", a)
		}
	}
	if err := CheckProfile(store.Account{Name: strings.Repeat("é", 128), Attributes: map[string]string{"city": "上海"}}); err != nil {
		t.Error(err)
	}
}

func TestPlacesHaveTheirShape(t *testing.T) {
	for text, good := range map[string]bool{
		"": true, "UTC": true, "Asia/Shanghai": true, "America/Argentina/Buenos_Aires": true, "Etc/GMT+8": true,
		"Asia/": false, "/etc/passwd": false, "../x": false, "a b": false, "a/b/c/d": false, "+08:00": false,
	} {
		if got := CheckPlace(store.Account{ZoneInfo: text}) == nil; got != good {
			t.Errorf("zone %q: %v", text, got)
		}
	}
	for text, good := range map[string]bool{
		"": true, "zh": true, "zh-CN": true, "zh_CN": true, "zh-Hant-TW": true, "de-AT-1996": true,
		"z": false, "zh-": false, "中文": false, "en US": false, "<b>": false, "en--US": false,
	} {
		if got := CheckPlace(store.Account{Locale: text}) == nil; got != good {
			t.Errorf("locale %q: %v", text, got)
		}
	}
}
