package tokenissuer_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Whichever comes first, a freeze and an unlock leave the account frozen: an
// unlock that read "locked" must not undo the freeze that came after.
func TestUnlockDoesNotUndoAFreezeOfTheSameMoment(t *testing.T) {
	s := start(t, tokenissuer.Config{
		Sources: []tokenissuer.Source{{ID: "staff", Type: "password", Identifiers: []string{"username"}}},
		Clients: []tokenissuer.Client{{ID: "spa", Type: "spa", Grants: []string{"password"}, Scopes: []string{"openid"}, Sources: []string{"staff"}}},
	})
	s.user("alice", "alice@example.com")
	set := func(to, unless store.AccountState) error {
		_, err := s.issuer.SetUserState(t.Context(), "alice", to, unless)
		return err
	}
	refused := 0
	for range 100 {
		if err := set(store.Locked, ""); err != nil {
			t.Fatal(err)
		}
		var freeze, unlock error
		var both sync.WaitGroup
		both.Go(func() { freeze = set(store.Frozen, "") })
		both.Go(func() { unlock = set(store.Active, store.Frozen) })
		both.Wait()
		if errors.Is(unlock, tokenissuer.ErrState) {
			refused++
		} else if unlock != nil {
			t.Fatal(unlock)
		}
		user, err := s.issuer.User(t.Context(), "alice")
		if err != nil || freeze != nil || user.State != string(store.Frozen) {
			t.Fatalf("%s, %v, freeze %v, unlock %v", user.State, err, freeze, unlock)
		}
	}
	t.Logf("%d of 100 unlocks came second", refused)
}

// TestNumberThatNoCodeReachesIsNoUsers: an operator is held to what /otp/send and
// /signup take, or the person waits for codes that never come.
func TestNumberThatNoCodeReachesIsNoUsers(t *testing.T) {
	t.Parallel()
	s := start(t, tokenissuer.Config{})
	for _, c := range []struct {
		number string
		taken  bool
	}{
		{"13612345678", true},
		{"+86 137 1234 5678", true},
		{"+4915112345678", true},
		{"12345", false},
		{"+8612345", false},
		{"02112345678", false},
		{"+1", false},
		{"call me", false},
	} {
		_, err := s.issuer.AddUser(t.Context(), tokenissuer.NewUser{PhoneNumber: c.number})
		switch {
		case c.taken && err != nil:
			t.Errorf("%s: %v", c.number, err)
		case !c.taken && (!errors.Is(err, tokenissuer.ErrInvalid) || !strings.Contains(err.Error(), "phone_number cannot be sent a code: expected + and the number with its country, such as +8613800138000 (without + it is read as one of CN)")):
			t.Errorf("%s: %v", c.number, err)
		}
	}
}
