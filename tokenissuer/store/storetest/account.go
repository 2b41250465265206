package storetest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func accountsFound(f *fixture) {
	want := store.Account{
		ID: "1", Username: "ann", Email: "ann@example.com", Phone: "+8613800000000", Name: "Ann", Nickname: "A",
		ZoneInfo: "Asia/Shanghai", Locale: "zh", EmailVerified: true,
		Attributes:   map[string]string{"城市": "上海", "note": `"quoted" <b>`},
		PasswordHash: "$argon2id$", PasswordSet: now, PasswordExpire: true,
		State: store.Active, Created: now.Add(-time.Hour), Updated: now,
	}
	f.apply(now, store.PutAccount{Account: want}, store.PutAccount{Account: store.Account{ID: "2", State: store.Active}})
	for kind, value := range map[store.IdentifierKind]string{
		store.ByUsername: want.Username, store.ByEmail: want.Email, store.ByPhone: want.Phone,
	} {
		f.same("by "+string(kind), must(f.FindAccount(f.Context(), kind, value))(f), want)
		absent(f.FindAccount(f.Context(), kind, "unknown"))(f, string(kind))
		absent(f.FindAccount(f.Context(), kind, ""))(f, "no "+string(kind)) // account 2 has none
	}
	absent(f.FindAccount(f.Context(), "shoe size", "42"))(f, "an unknown kind")
	absent(f.Account(f.Context(), "3"))(f, "an unknown id")

	want.EmailVerified, want.PhoneVerified, want.Attributes = false, true, nil
	want.Username, want.Email, want.Name, want.Updated = "", "a@example.com", "Ann B", now.Add(time.Hour)
	changed := want
	changed.PasswordHash, changed.State = "stolen", store.Frozen // not this write's business
	f.apply(want.Updated, store.UpdateAccount{Account: changed})
	f.same("updated", must(f.Account(f.Context(), "1"))(f), want)
	f.conflict("an unknown account", now, store.UpdateAccount{Account: store.Account{ID: "3"}})
}

// updatesOnOneState: of changes made to what each had read, one wins.
func updatesOnOneState(f *fixture) {
	was := store.Account{ID: "1", Username: "ann", Email: "ann@example.com", Attributes: map[string]string{"b": "2", "a": "1"}, State: store.Active}
	f.apply(now, store.PutAccount{Account: was})
	next := was
	next.Nickname = "A"
	for what, change := range map[string]func(*store.Account){
		"username":       func(a *store.Account) { a.Username = "bob" },
		"e-mail":         func(a *store.Account) { a.Email = "" },
		"phone":          func(a *store.Account) { a.Phone = "+1" },
		"name":           func(a *store.Account) { a.Name = "x" },
		"nickname":       func(a *store.Account) { a.Nickname = "x" },
		"zone":           func(a *store.Account) { a.ZoneInfo = "x" },
		"locale":         func(a *store.Account) { a.Locale = "x" },
		"e-mail's proof": func(a *store.Account) { a.EmailVerified = true },
		"phone's proof":  func(a *store.Account) { a.PhoneVerified = true },
		"attributes":     func(a *store.Account) { a.Attributes = map[string]string{"a": "1"} },
		"account":        func(a *store.Account) { a.ID = "2" },
	} {
		stale := was
		change(&stale)
		f.conflict("another "+what, now, store.UpdateAccount{Account: next, Was: &stale})
	}
	f.apply(now, store.UpdateAccount{Account: next, Was: &was})
	f.conflict("a second change of the same", now, store.UpdateAccount{Account: next, Was: &was})
	f.apply(now, store.UpdateAccount{Account: was, Was: &next})
	f.apply(now, store.RequireAttributes{Account: was.ID, Attributes: was.Attributes})
	f.apply(now, store.RequireAttributes{Account: was.ID, Attributes: map[string]string{"a": "1", "operator/c": ""}}) // b is nobody's business
	f.conflict("another value", now, store.RequireAttributes{Account: was.ID, Attributes: map[string]string{"a": "1", "b": "1"}})
	f.conflict("one that is not there", now, store.RequireAttributes{Account: was.ID, Attributes: map[string]string{"operator/a": "1"}})
	f.conflict("one that is there", now, store.RequireAttributes{Account: was.ID, Attributes: map[string]string{"a": ""}})
	f.conflict("gone", now, store.RequireAttributes{Account: "2", Attributes: was.Attributes})
}

func identifiersTaken(f *fixture) {
	f.apply(now,
		store.PutAccount{Account: store.Account{ID: "1", Username: "ann", Email: "ann@example.com", Phone: "+1", State: store.Active}},
		store.PutAccount{Account: store.Account{ID: "2", Username: "bob", State: store.Active}},
		store.PutAccount{Account: store.Account{ID: "3", State: store.Active}}, // having none is nothing to share
		store.PutAccount{Account: store.Account{ID: "4", State: store.Active}})
	for _, taken := range []store.Account{
		{ID: "2", Username: "ann"}, {ID: "2", Email: "ann@example.com"}, {ID: "2", Phone: "+1"},
	} {
		f.conflict(fmt.Sprintf("update to %+v", taken), now, store.UpdateAccount{Account: taken})
		taken.ID = "5"
		f.conflict(fmt.Sprintf("new %+v", taken), now, store.PutAccount{Account: taken})
	}
	f.conflict("an id that exists", now, store.PutAccount{Account: store.Account{ID: "1"}})
	f.apply(now, store.UpdateAccount{Account: store.Account{ID: "1"}}, store.UpdateAccount{Account: store.Account{ID: "2", Username: "ann"}})
}

func accountsPaged(f *fixture) {
	var want []string
	for i := range 25 {
		id := fmt.Sprintf("%02d", i)
		want = append(want, id)
		f.apply(now, store.PutAccount{Account: store.Account{ID: id, State: store.Active}})
	}
	var got []string
	for after := ""; ; {
		page := must(f.Accounts(f.Context(), after, 10))(f)
		if len(page) == 0 {
			break
		}
		for _, a := range page {
			got = append(got, a.ID)
		}
		after = page[len(page)-1].ID
	}
	if !slices.Equal(got, want) {
		f.Errorf("%q, want %q", got, want)
	}
}

func passwordReplaced(f *fixture) {
	f.apply(now, store.PutAccount{Account: store.Account{ID: "ann", State: store.Active, PasswordHash: "old", PasswordSet: now}})
	check := func(hash string, set time.Time, expire bool) {
		f.Helper()
		a := must(f.Account(f.Context(), "ann"))(f)
		if a.PasswordHash != hash || !a.PasswordSet.Equal(set) || a.PasswordExpire != expire {
			f.Errorf("%q of %v, expired %v; want %q of %v, %v", a.PasswordHash, a.PasswordSet, a.PasswordExpire, hash, set, expire)
		}
	}
	later := now.Add(time.Hour)
	f.apply(later, store.ExpirePassword{Account: "ann"})
	f.apply(later, store.SetPassword{Account: "ann", Old: "old", New: "rehashed", Keep: true})
	check("rehashed", now, true)
	f.conflict("the old hash is gone", later, store.SetPassword{Account: "ann", Old: "old", New: "x"})
	f.conflict("the old hash is gone", later, store.SetPassword{Account: "ann", Old: "old", New: "x", Keep: true})
	f.apply(later, store.SetPassword{Account: "ann", Old: "rehashed", New: "new"})
	check("new", later, false)
	f.apply(now, store.SetPassword{Account: "ann", Old: "*", New: "operator's"})
	check("operator's", now, false)
	f.conflict("no such account", now, store.SetPassword{Account: "bob", Old: "*", New: "x"})
	f.conflict("no such account", now, store.ExpirePassword{Account: "bob"})
	f.conflict("no such account", now, store.SetState{Account: "bob", State: store.Locked})
	f.apply(now, store.SetState{Account: "ann", State: store.Frozen})
	f.conflict("another state", now, store.SetState{Account: "ann", From: store.Locked, State: store.Active})
	f.apply(now, store.SetState{Account: "ann", From: store.Frozen, State: store.Active})
}

func accountRemoved(f *fixture) {
	f.ann("f")
	f.apply(now, putToken("t", "f", now.Add(time.Minute)), store.PutKnownAddress{Account: "ann", Address: hash("home")},
		store.PutConsent{Account: "ann", Client: "shop", Scopes: []string{"openid"}},
		store.SetPassword{Account: "ann", Old: "*", New: "1", Remember: 1}, store.SetPassword{Account: "ann", Old: "1", New: "2", Remember: 1})
	f.apply(now, store.RevokeAccount{Account: "ann"}, store.RemoveAccount{Account: "ann"})
	absent(f.Consent(f.Context(), "ann", "shop"))(f, "what it consented to")
	if got := must(f.PasswordHistory(f.Context(), "ann", 10))(f); len(got) != 0 {
		f.Errorf("its passwords are remembered: %q", got)
	}
	absent(f.Account(f.Context(), "ann"))(f, "the account")
	f.wantRevoked(now, "t")
	f.conflict("it is gone", now, store.RemoveAccount{Account: "ann"})
	bobs := anns("bob's")
	bobs.Account = "bob"
	f.apply(now, store.PutAccount{Account: store.Account{ID: "bob", State: store.Active}}, store.PutSession{Session: bobs},
		store.RemoveAccount{Account: "bob"}) // without the revocation
	absent(f.Session(f.Context(), bobs.Hash))(f, "the session of an account that is gone")
	if must(f.KnownAddress(f.Context(), now, "ann", hash("home")))(f) {
		f.Error("its address is still known")
	}
	f.apply(now, store.PutAccount{Account: store.Account{ID: "ann2", Username: "ann", State: store.Active}}) // the name is free
}

// attempt returns what is on record under one key.
func (f *fixture) attempt(at time.Time, key store.Hash) store.Attempt {
	f.Helper()
	attempts := must(f.Attempts(f.Context(), at, key))(f)
	switch len(attempts) {
	case 0:
		return store.Attempt{}
	case 1:
		return attempts[0]
	}
	f.Fatalf("%d entries under one key", len(attempts))
	return store.Attempt{}
}

func failuresLock(f *fixture) {
	fail := store.PutAttempt{Key: hash("ann"), Most: 3, Window: 10 * time.Minute, Lock: 15 * time.Minute}
	for i, step := range []struct {
		at       time.Duration
		failures int
		since    time.Duration
		until    time.Duration // 0: not locked
	}{
		{0, 1, 0, 0},
		{9 * time.Minute, 2, 0, 0},
		{10 * time.Minute, 1, 10 * time.Minute, 0}, // the window is over
		{11 * time.Minute, 2, 10 * time.Minute, 0},
		{12 * time.Minute, 3, 10 * time.Minute, 27 * time.Minute},
		{13 * time.Minute, 3, 10 * time.Minute, 27 * time.Minute}, // refused, and prolongs nothing
		{26 * time.Minute, 3, 10 * time.Minute, 27 * time.Minute},
		{27 * time.Minute, 1, 27 * time.Minute, 0}, // the lock is over
	} {
		if at := now.Add(step.at); f.attempt(at, fail.Key).Until.After(at) {
			f.conflict("a failure while it is locked", at, fail)
		} else {
			f.apply(at, fail)
		}
		want := store.Attempt{Key: fail.Key, Failures: step.failures, Since: now.Add(step.since)}
		if step.until > 0 {
			want.Until = now.Add(step.until)
		}
		if got := f.attempt(now.Add(step.at), fail.Key); got != want {
			f.Errorf("step %d: %+v, want %+v", i, got, want)
		}
	}
	if got := f.attempt(now.Add(37*time.Minute), fail.Key); got.Failures != 0 {
		f.Errorf("remembered after its window: %+v", got)
	}
	// A lock that ends inside its window ends the count with it.
	short := store.PutAttempt{Key: hash("bob"), Most: 1, Window: time.Hour, Lock: time.Minute}
	f.apply(now, short)
	if got := f.attempt(now, short.Key); !got.Until.Equal(now.Add(time.Minute)) {
		f.Errorf("one of one: %+v", got)
	}
	short.Most = 2
	f.apply(now.Add(time.Minute), short)
	if got := f.attempt(now.Add(time.Minute), short.Key); got.Failures != 1 || !got.Until.IsZero() {
		f.Errorf("after the lock: %+v", got)
	}
	both := must(f.Attempts(f.Context(), now.Add(27*time.Minute), hash("ann"), hash("bob"), hash("nobody")))(f)
	if len(both) != 2 {
		f.Errorf("%d of two keys found: %+v", len(both), both)
	}
	for _, network := range []string{"home", "work"} {
		f.apply(now, store.PutAttempt{Key: hash("cat at " + network), Name: hash("cat"), Most: 3, Window: time.Hour, Lock: time.Hour})
	}
	f.apply(now, store.ClearName{Name: hash("cat")})
	if left := must(f.Attempts(f.Context(), now, hash("cat at home"), hash("cat at work")))(f); len(left) != 0 {
		f.Errorf("counted under a name that was cleared: %+v", left)
	}
	f.apply(now, store.ClearAttempt{Key: hash("ann")}, store.ClearAttempt{Key: hash("nobody")})
	if got := f.attempt(now.Add(27*time.Minute), hash("ann")); got.Failures != 0 {
		f.Errorf("after it was cleared: %+v", got)
	}
}

// floodKeepsCounter is the attack: fail once under each of many other names, so
// that the victim's counter is pushed out and counting starts anew. Here every
// other name falls beside the victim's, which an attacker cannot arrange.
func floodKeepsCounter(f *fixture) {
	beside := func(i uint64) store.Hash {
		var key store.Hash // the first eight bytes choose the place
		binary.BigEndian.PutUint64(key[24:], i)
		return key
	}
	fail := func(at time.Time, key store.Hash) store.PutAttempt {
		return store.PutAttempt{Key: key, Most: 3, Window: time.Hour, Lock: time.Hour}
	}
	victim, locked := beside(1<<40), beside(1<<41)
	for range 2 {
		f.apply(now, fail(now, victim))
	}
	f.apply(now, store.PutAttempt{Key: locked, Most: 1, Window: time.Hour, Lock: time.Hour})
	at := now.Add(time.Minute)
	var flood []store.Write
	for i := range uint64(500) {
		flood = append(flood, fail(at, beside(i)))
	}
	f.apply(at, flood...)
	if got := f.attempt(at, victim); got.Failures != 2 {
		f.Errorf("the victim's failures: %d, want 2", got.Failures)
	}
	if got := f.attempt(at, locked); !got.Until.Equal(now.Add(time.Hour)) {
		f.Errorf("the locked name is free: %+v", got)
	}
	kept := 0
	for i := range uint64(500) {
		kept += f.attempt(at, beside(i)).Failures
	}
	if kept != 6 {
		f.Errorf("%d counters of the flood are kept, want 6 beside the other two", kept)
	}
	if f.attempt(at, beside(499)).Failures != 1 {
		f.Error("the newest name does not count: a full neighbourhood gives it unlimited tries")
	}
	// What is over gives way first: the victim's and the locked name's counters
	// for two new ones, none of the flood's, which run a minute longer.
	late := now.Add(time.Hour)
	f.apply(late, fail(late, beside(1000)), fail(late, beside(1001)))
	for _, i := range []uint64{494, 499, 1000, 1001} {
		if got := f.attempt(late, beside(i)).Failures; got != 1 {
			f.Errorf("name %d counts %d failures, want 1", i, got)
		}
	}
}

func addressesKnown(f *fixture) {
	f.ann()
	known := func(at time.Time, i int) bool {
		f.Helper()
		return must(f.KnownAddress(f.Context(), at, "ann", hash("address", i)))(f)
	}
	if known(now, 0) {
		f.Error("an address is known before any sign-in")
	}
	at := now
	for i := range 20 {
		at = at.Add(2 * time.Hour)
		f.apply(at, store.PutKnownAddress{Account: "ann", Address: hash("address", i)})
		if i < 10 {
			f.apply(at, store.PutKnownAddress{Account: "ann", Address: hash("address", 0)})
		}
	}
	for i := range 20 {
		// Sixteen stay. Address 0 is the oldest, but was seen with number 9 again.
		if want := i == 0 || i >= 5; known(at, i) != want {
			f.Errorf("address %d known: %v, want %v", i, !want, want)
		}
	}
	if must(f.KnownAddress(f.Context(), at, "bob", hash("address", 19)))(f) {
		f.Error("bob is known at ann's address")
	}
	if known(at.Add(90*24*time.Hour), 19) {
		f.Error("an address is known without a sign-in for 90 days")
	}
}

func identifierVerified(f *fixture) {
	f.apply(now, store.PutAccount{Account: store.Account{ID: "ann", Email: "ann@x.example", Phone: "+8613612345678", State: store.Active}})
	f.apply(now, store.VerifyIdentifier{Account: "ann", Kind: store.ByPhone, Value: "+8613612345678"})
	if got := must(f.Account(f.Context(), "ann"))(f); !got.PhoneVerified || got.EmailVerified {
		f.Errorf("verified: phone %v, e-mail %v", got.PhoneVerified, got.EmailVerified)
	}
	f.conflict("it has another address by now", now, store.VerifyIdentifier{Account: "ann", Kind: store.ByEmail, Value: "old@x.example"})
	f.conflict("there is no such account", now, store.VerifyIdentifier{Account: "bob", Kind: store.ByEmail, Value: "ann@x.example"})
	f.conflict("a username needs no proof", now, store.VerifyIdentifier{Account: "ann", Kind: store.ByUsername, Value: ""})
	f.apply(now, store.VerifyIdentifier{Account: "ann", Kind: store.ByEmail, Value: "ann@x.example"})
	if got := must(f.Account(f.Context(), "ann"))(f); !got.EmailVerified {
		f.Error("the e-mail address is not verified")
	}
	f.apply(now.Add(time.Hour), store.VerifyIdentifier{Account: "ann", Kind: store.ByEmail, Value: "ann@x.example"})
	if got := must(f.Account(f.Context(), "ann"))(f); !got.Updated.Equal(now) {
		f.Errorf("shown once more, the account changed at %v", got.Updated)
	}
}
