package account

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func TestAccountIsStoredNormalised(t *testing.T) {
	w := newWorld(t, Options{})
	made := w.create(Create{Username: "Alice", Email: "Alice@Example.com", Phone: "13800138000", Name: "Alice B.", Password: right})
	for _, name := range []string{made.ID, "ALICE", "alice@EXAMPLE.com", "+8613800138000"} {
		got, err := w.Find(t.Context(), name)
		if err != nil || got.ID != made.ID || got.Username != "alice" || got.Name != "Alice B." || got.State != store.Active {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := w.Find(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	events, err := w.st.Events(t.Context(), noon, 10)
	if err != nil || len(events) != 1 || events[0].Action != "account.create" || events[0].Actor != "operator" || events[0].Subject != made.ID {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestIdentifierBelongsToOne(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Email: "alice@example.com"})
	for _, in := range []Create{{Username: "ALICE"}, {Username: "bob", Email: "Alice@example.com"}} {
		_, writes, err := w.Create(t.Context(), noon, "operator", staff, in)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.st.Apply(t.Context(), noon, writes...); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%v: %v", in, err)
		}
	}
}

func TestUnacceptableAccountsSayWhich(t *testing.T) {
	w := newWorld(t, Options{})
	for _, c := range []struct {
		field string
		in    Create
	}{
		{"account", Create{Name: "Alice"}},
		{"username", Create{Username: "a b"}},
		{"username", Create{Username: "13800138000"}},
		{"username", Create{Username: "alice@example.com"}},
		{"email", Create{Email: "alice"}},
		{"phone_number", Create{Phone: "110"}},
		{"name", Create{Username: "alice", Name: "a\r\nX-Admin: 1"}},
		{"locale", Create{Username: "alice", Locale: strings.Repeat("a", 300)}},
		{"password", Create{Username: "alice", Password: "short"}},
		{"password", Create{Username: "alice", Password: "1234567"}},
		{"password", Create{Username: "alice", Password: "tab\tinside"}},
		{"password", Create{Username: "alice", Password: strings.Repeat("a", maxPassword+1)}},
		{"password", Create{Username: "alice.bobson", Password: "ALICE.bobson"}},
		{"password", Create{Email: "alice.bobson@example.com", Password: "Alice.Bobson"}},
		{"password", Create{Username: "alice", Password: right, Hash: "$2b$"}},
		{"password hash", Create{Username: "alice", Hash: "hunter2"}},
	} {
		_, writes, err := w.Create(t.Context(), noon, "operator", staff, c.in)
		e, ok := errors.AsType[*InputError](err)
		if !ok || e.Field != c.field || writes != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := CheckPassword(Source{}, store.Account{Username: "alice"}, "八个字符的密码吧"); err != nil {
		t.Errorf("eight characters: %v", err)
	}
}

func TestStateChangesEndSignIns(t *testing.T) {
	w := newWorld(t, Options{})
	alice := w.create(Create{Username: "alice", Password: right})
	for _, c := range []struct {
		state  store.AccountState
		action string
		ends   bool
	}{
		{store.Locked, "account.lock", true},
		{store.Active, "account.unlock", false},
		{store.Frozen, "account.freeze", true},
		{store.Active, "account.unfreeze", false},
	} {
		writes := w.SetState(noon, "operator", alice, c.state)
		if ends := slices.Contains(writes, store.Write(store.RevokeAccount{Account: alice.ID})); ends != c.ends {
			t.Errorf("%s ends sign-ins: %v", c.action, ends)
		}
		w.apply(noon, writes)
		var err error
		if alice, err = w.st.Account(t.Context(), alice.ID); err != nil || alice.State != c.state {
			t.Fatalf("%+v, %v", alice, err)
		}
		if events, _ := w.st.Events(t.Context(), noon, 1); events[0].Action != c.action {
			t.Errorf("%s was recorded as %s", c.action, events[0].Action)
		}
	}
	writes, err := w.SetPassword(t.Context(), noon, "operator", staff, alice, "another good one")
	if err != nil || !slices.Contains(writes, store.Write(store.RevokeAccount{Account: alice.ID})) {
		t.Errorf("%v, %v", writes, err)
	}
	if !slices.Contains(w.Remove(noon, "operator", alice), store.Write(store.RevokeAccount{Account: alice.ID})) {
		t.Error("removal leaves sign-ins")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{{Region: "cn"}, {Region: "XX"}, {Key: []byte("short")}, {Memory: 1 << 30}, {Memory: 4}} {
		if _, err := New(nil, o); err == nil {
			t.Errorf("%+v", o)
		}
	}
}

func TestCreateHidesItsPassword(t *testing.T) {
	in := Create{Username: "alice", Password: "hunter2", Hash: "hunter2"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format, in); strings.Contains(s, "hunter2") {
			t.Errorf("%s: %s", format, s)
		}
	}
}
