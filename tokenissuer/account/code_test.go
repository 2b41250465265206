package account

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

const number = "+8613612345678"

var login = Sending{Client: "shop", Source: "sms", Usage: ForLogin, Kind: store.ByPhone, To: number}

// sent stores a code as if it had been sent.
func (w world) sent(s Sending, lifetime time.Duration) (token, code string) {
	w.t.Helper()
	token, code, record, err := w.NewCode(noon, s, 6, lifetime, true)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.st.Apply(w.t.Context(), noon, record); err != nil {
		w.t.Fatal(err)
	}
	return token, code
}

// shows is the reason that a code is refused for, "" for none; what it would
// write is written.
func (w world) shows(at time.Time, s Sending, token, code string, from netip.Addr) oauth.Reason {
	w.t.Helper()
	_, writes, err := w.CheckCode(w.t.Context(), at, s, token, code, from)
	if err == nil {
		err = w.st.Apply(w.t.Context(), at, writes...)
	}
	if err != nil {
		return oauth.AsError(err).Reason
	}
	return ""
}

func other(code string) string {
	if strings.HasPrefix(code, "0") {
		return "1" + code[1:]
	}
	return "0" + code[1:]
}

// A code lives as long as its source says, the otp_token five minutes.
func TestCodeAndTokenExpire(t *testing.T) {
	w := newWorld(t, Options{})
	for _, c := range []struct {
		lifetime, after time.Duration
		want            oauth.Reason
	}{
		{time.Minute, time.Minute - time.Millisecond, ""},
		{time.Minute, time.Minute, oauth.WrongOTP},
		{time.Minute, 5*time.Minute - time.Millisecond, oauth.WrongOTP},
		{time.Minute, 5 * time.Minute, oauth.UnknownOTPToken},
		{300 * time.Second, 299 * time.Second, ""},
		{300 * time.Second, 300 * time.Second, oauth.UnknownOTPToken},
		{time.Second, 999 * time.Millisecond, ""},
		{time.Second, time.Second, oauth.WrongOTP},
	} {
		token, code := w.sent(login, c.lifetime)
		if got := w.shows(noon.Add(c.after), login, token, code, stranger); got != c.want {
			t.Errorf("%v of %v: %q, want %q", c.after, c.lifetime, got, c.want)
		}
	}
}

// The tries at one number come back after a day.
func TestTriesAtANumberComeBack(t *testing.T) {
	w := newWorld(t, Options{})
	guess := func(at time.Time, want oauth.Reason) {
		t.Helper()
		token, code := w.sent(login, time.Minute)
		if got := w.shows(at, login, token, other(code), stranger); got != want {
			t.Errorf("at %v: %q, want %q", at.Sub(noon), got, want)
		}
	}
	for range triesPerNetwork {
		guess(noon, oauth.WrongOTP)
	}
	guess(noon, oauth.UnknownOTPToken)
	token, code := w.sent(login, time.Minute)
	if got := w.shows(noon, login, token, code, stranger); got != oauth.UnknownOTPToken {
		t.Errorf("the right code: %q", got)
	}
	later := noon.Add(triesWindow)
	token, code, record, err := w.NewCode(later, login, 6, time.Minute, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.st.Apply(t.Context(), later, record); err != nil {
		t.Fatal(err)
	}
	if got := w.shows(later, login, token, code, stranger); got != "" {
		t.Errorf("a day later: %q", got)
	}
}

// Who guesses uses up the tries of the own network, and many networks those of all
// strangers; an address that the account knows is under neither.
func TestStrangersUseUpTheirOwnTries(t *testing.T) {
	w := newWorld(t, Options{})
	who := store.Account{ID: "ann", Phone: number, State: store.Active}
	if err := w.st.Apply(t.Context(), noon, store.PutAccount{Account: who}, store.PutKnownAddress{Account: who.ID, Address: w.addressKey(who.ID, home)}); err != nil {
		t.Fatal(err)
	}
	counted := func(from netip.Addr) (n int) {
		for range 2 * triesPerNetwork {
			token, code := w.sent(login, time.Minute)
			if w.shows(noon, login, token, other(code), from) == oauth.WrongOTP {
				n++
			}
		}
		return n
	}
	proves := func(from netip.Addr, want oauth.Reason) {
		t.Helper()
		token, code := w.sent(login, time.Minute)
		if got := w.shows(noon, login, token, code, from); got != want {
			t.Errorf("the right code from %v: %q, want %q", from, got, want)
		}
	}
	for n := range byte(triesOfStrangers / triesPerNetwork) {
		proves(netip.AddrFrom4([4]byte{203, n, 113, 7}), "") // nobody has guessed from here
		if got := counted(netip.AddrFrom4([4]byte{203, n, 113, 7})); got != triesPerNetwork {
			t.Errorf("network %d: %d tries, want %d", n, got, triesPerNetwork)
		}
		proves(netip.AddrFrom4([4]byte{203, n, 113, 8}), oauth.UnknownOTPToken)
	}
	proves(netip.MustParseAddr("192.0.2.1"), oauth.UnknownOTPToken) // nobody has guessed from there either
	proves(home, "")
	if got := counted(home); got != triesPerNetwork {
		t.Errorf("at home: %d tries, want %d", got, triesPerNetwork)
	}
	proves(home, oauth.UnknownOTPToken)
}

// A right code that was looked at before the tries were used up is refused when
// it is to be used.
func TestRightCodeLosesToTheLastTry(t *testing.T) {
	w := newWorld(t, Options{})
	token, code := w.sent(login, time.Minute)
	_, writes, err := w.CheckCode(t.Context(), noon, login, token, code, stranger)
	if err != nil {
		t.Fatal(err)
	}
	for range triesPerNetwork {
		guessed, right := w.sent(login, time.Minute)
		w.shows(noon, login, guessed, other(right), stranger)
	}
	if err := w.st.Apply(t.Context(), noon, writes...); !errors.Is(err, store.ErrConflict) {
		t.Errorf("applied: %v", err)
	}
}

// The log tells a lock from a freeze, whatever the client is told.
func TestStateOfWhoHasTheCodeIsTold(t *testing.T) {
	w := newWorld(t, Options{})
	for state, want := range map[store.AccountState]oauth.Reason{store.Locked: oauth.AccountLocked, store.Frozen: oauth.AccountFrozen, store.Active: ""} {
		s := login
		s.To = map[store.AccountState]string{store.Locked: "+8613600000001", store.Frozen: "+8613600000002", store.Active: number}[state]
		if err := w.st.Apply(t.Context(), noon, store.PutAccount{Account: store.Account{ID: string(state), Phone: s.To, State: state}}); err != nil {
			t.Fatal(err)
		}
		token, code := w.sent(s, time.Minute)
		who, _, err := w.SignIn(t.Context(), noon, s, token, code, true, stranger)
		if err != nil {
			if e := oauth.AsError(err); e.Reason != want || e.Who != string(state) {
				t.Errorf("%s: %v about %s", state, err, e.Who)
			}
			continue
		}
		if want != "" || who.ID != string(state) {
			t.Errorf("%s: signed in as %+v", state, who)
		}
	}
}

// What was sent for one thing is good for nothing else, and comes to no harm by
// it.
func TestCodeIsForWhatItWasSentFor(t *testing.T) {
	w := newWorld(t, Options{})
	token, code := w.sent(login, time.Minute)
	for name, change := range map[string]func(*Sending){
		"client": func(s *Sending) { s.Client = "other" }, "source": func(s *Sending) { s.Source = "" },
		"usage": func(s *Sending) { s.Usage = ForReset }, "number": func(s *Sending) { s.To = "+8613612345679" },
		"kind": func(s *Sending) { s.Kind, s.To = store.ByEmail, "ann@example.com" },
	} {
		s := login
		change(&s)
		for range 7 {
			if got := w.shows(noon, s, token, code, stranger); got != oauth.MismatchedOTP {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
	s := login
	s.To = "136 1234 5678"
	if got := w.shows(noon, s, token, code, stranger); got != "" {
		t.Errorf("the number in another spelling: %q", got)
	}
}

// A decoy answers as a code does, to the right one too.
func TestDecoyIsNeverRight(t *testing.T) {
	w := newWorld(t, Options{})
	token, code, record, err := w.NewCode(noon, login, 6, time.Minute, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.st.Apply(t.Context(), noon, record); err != nil {
		t.Fatal(err)
	}
	for range triesPerCode {
		if got := w.shows(noon, login, token, code, stranger); got != oauth.WrongOTP {
			t.Errorf("%q", got)
		}
	}
	if got := w.shows(noon, login, token, code, stranger); got != oauth.UnknownOTPToken {
		t.Errorf("then %q", got)
	}
}

// Whoever reads the store finds neither otp_token nor code in it, nor what the
// code can be tried out against.
func TestStoreHoldsNoCode(t *testing.T) {
	w := newWorld(t, Options{})
	token, code, record, err := w.NewCode(noon, login, 6, time.Minute, true)
	if err != nil {
		t.Fatal(err)
	}
	again := newWorld(t, Options{}).codeHash(token, code)
	if again == record.Code.CodeHash {
		t.Error("the hash of a code is the same under another key")
	}
	if w.codeHash("another token", code) == record.Code.CodeHash {
		t.Error("the hash of a code is the same for another otp_token")
	}
}

func TestCodesHaveTheirDigits(t *testing.T) {
	w := newWorld(t, Options{})
	seen := map[string]bool{}
	for digits := 1; digits <= 6; digits++ {
		for range 40 {
			_, code, _, err := w.NewCode(noon, login, digits, time.Minute, true)
			if err != nil || len(code) != digits || strings.Trim(code, "0123456789") != "" {
				t.Fatalf("%q of %d digits: %v", code, digits, err)
			}
			if digits == 1 {
				seen[code] = true
			}
		}
	}
	if len(seen) < 5 {
		t.Errorf("40 codes of one digit are %d different ones", len(seen))
	}
}

func TestOnlyWhatCanGetMessagesIsReachable(t *testing.T) {
	w := newWorld(t, Options{})
	for raw, want := range map[string]string{
		"13612345678": number, "+86 136 1234 5678": number, "008613612345678": number, "1361234567": "", "136123456789": "",
		"01012345678": "", "12345": "", "+12025550123": "+12025550123", "+1202555": "", "nobody": "", "": "",
	} {
		if got, _ := w.Reachable(store.ByPhone, raw); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
	for raw, want := range map[string]string{"Ann@Example.COM": "ann@example.com", "ann": "", "a@x.example, b@x.example": "", "Ann <ann@example.com>": "", "a@x.example\r\nBcc: b@x.example": ""} {
		if got, _ := w.Reachable(store.ByEmail, raw); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
	if _, ok := w.Reachable(store.ByUsername, "ann"); ok {
		t.Error("a username is reachable")
	}
}

// Between the code and the write the account gives the number up.
func TestCodeSignsInToNobodyWhoHasTheAddressNoMore(t *testing.T) {
	w := newWorld(t, Options{})
	ann := store.Account{ID: "ann", Phone: number, PhoneVerified: true, State: store.Active}
	if err := w.st.Apply(t.Context(), noon, store.PutAccount{Account: ann}); err != nil {
		t.Fatal(err)
	}
	token, code := w.sent(login, time.Minute)
	_, writes, err := w.SignIn(t.Context(), noon, login, token, code, false, stranger)
	if err != nil {
		t.Fatal(err)
	}
	ann.Phone = "+8613912345678"
	if err := w.st.Apply(t.Context(), noon, store.UpdateAccount{Account: ann}); err != nil {
		t.Fatal(err)
	}
	if err := w.st.Apply(t.Context(), noon, writes...); !errors.Is(err, store.ErrConflict) {
		t.Errorf("applied: %v", err)
	}
}
