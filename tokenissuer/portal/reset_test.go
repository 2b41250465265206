package portal

import (
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// While the new password is hashed the account gets another address: whoever had
// the old mailbox has shown nothing about the account as it is now.
func TestResetWantsTheAddressToBeTheAccountsAtTheWrite(t *testing.T) {
	sender := &codes{who: map[string]store.Account{}}
	w := newWorld(t, func(o *Options) { o.Addresses = addresses{sender} })
	w.home("ann", right)
	p := w.person().goes("/authorize")
	p.goes("/portal/reset?p_state="+p.stateOf()).submits("/portal/reset", "username", "ann@example.com")
	w.p.o.Tell = func(time.Time, string) store.Write { // the last thing before the write
		moved := w.ann
		moved.Email = "new@example.com"
		w.apply(store.UpdateAccount{Account: moved})
		return store.TellEnded{Message: func(string, string) (store.Delivery, bool) { return store.Delivery{}, false }}
	}
	p.submits("/portal/reset/password", "code", "1", "new_password", "a new password").sees("/portal/reset/password", 400, "Nobody has an account")
	w.person().signsIn("ann", "a new password").sees("/portal/login", 400)
	w.person().signsIn("ann", right).allows().arrives("code", w.ann.ID)
}

func TestResetProvesTheAddress(t *testing.T) {
	sender := &codes{who: map[string]store.Account{}}
	w := newWorld(t, func(o *Options) { o.Addresses = addresses{sender} })
	p := w.person().goes("/authorize")
	p.goes("/portal/reset?p_state="+p.stateOf()).submits("/portal/reset", "username", "ann@example.com")
	p.submits("/portal/reset/password", "code", "1", "new_password", "a new password").sees("/portal/login", 200)
	if who, err := w.st.Account(t.Context(), w.ann.ID); err != nil || !who.EmailVerified {
		t.Errorf("%+v %v", who, err)
	}
}
