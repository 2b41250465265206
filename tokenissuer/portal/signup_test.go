package portal

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func TestPersonOpensAnAccount(t *testing.T) {
	sender := &codes{}
	w := newWorld(t, func(o *Options) { o.Addresses = addresses{sender} })
	w.ask(func(r *Request) { r.Client = "own" })
	p := w.person().goes("/authorize")
	p.sees("/portal/login", 200, "Create an account")
	p.goes("/portal/signup?p_state="+p.stateOf()).sees("/portal/signup", 200, "E-mail address", "We send a code there")
	for bad, says := range map[string]string{"": "Enter your e-mail address", "new": "That is no e-mail address", "+8613800138000": "That is no e-mail address"} {
		p.submits("/portal/signup", "username", bad).sees("/portal/signup", 400, says)
	}
	p.submits("/portal/signup", "username", "new@example.com").sees("/portal/signup/account", 200, "new@example.com", "At least 8 characters")
	p.submits("/portal/signup/account", "new_password", "a new password").sees("/portal/signup/account", 400, "Enter the code")
	p.submits("/portal/signup/account", "code", "2", "new_password", "a new password").sees("/portal/signup/account", 400, "code is not right")
	p.submits("/portal/signup/account", "code", "1", "new_password", "new@example.com").sees("/portal/signup/account", 400, "not your name")
	if p.filled("/portal/signup/account").Get("code") != "1" {
		t.Error("the code should be kept")
	}
	form := p.filled("/portal/signup/account", "code", "1", "new_password", "a new password")
	p.once("POST", "/portal/signup/account", form)
	p.send("POST", "/portal/signup/account", form).refresh().arrives("code", "") // the button was pressed twice
	who, err := w.st.FindAccount(t.Context(), store.ByEmail, "new@example.com")
	if err != nil || !who.EmailVerified || who.State != store.Active {
		t.Fatalf("%+v %v", who, err)
	}
	if s := w.sessions(who.ID); len(s) != 1 || s[0].Source != "staff" || !slices.Equal(s[0].AMR, []string{"pwd", "otp"}) {
		t.Errorf("sessions: %+v", s)
	}
	w.person().signsIn("new@example.com", "a new password").arrives("code", who.ID)
	if d := sender.sent[0]; d.Usage != account.ForSignup || d.Kind != store.ByEmail || d.Client != "own" {
		t.Errorf("sent %+v", d)
	}
}

// That an address has an account is told to who reads what is sent there, and to
// nobody before.
func TestAddressOfAnAccountIsNotToldToStrangers(t *testing.T) {
	sender := &codes{}
	w := newWorld(t, func(o *Options) { o.Addresses = addresses{sender} })
	w.ask(func(r *Request) { r.Client = "own" })
	page := func(to string) *person {
		p := w.person().goes("/authorize")
		return p.goes("/portal/signup?p_state="+p.stateOf()).submits("/portal/signup", "username", to)
	}
	taken, free := page("ann@example.com"), page("new@example.com")
	if a, b := still(taken.body), strings.ReplaceAll(still(free.body), "new@", "ann@"); a != b {
		t.Errorf("the pages differ:\n%s\n%s", a, b)
	}
	// A form that can do nothing is not asked for once more, nor is it said that a code is on its way.
	taken.submits("/portal/signup/account", "code", "1", "new_password", "a new password").sees("/portal/signup/account", 200, "ann@example.com has an account already")
	if text := textOf(taken.page); strings.Contains(text, "We have sent") || taken.form("/portal/signup/account") != nil {
		t.Error(text)
	}
	stood := taken.at.String()
	for _, to := range []string{"/portal/signup", "/portal/reset", "/portal/login"} {
		if got := taken.follows(to).value("username"); got != "ann@example.com" {
			t.Errorf("%s begins with %q", to, got)
		}
		if to != "/portal/login" {
			taken.goes(stood)
		}
	}
	taken.submits("/portal/login", "password", right).arrives("code", w.ann.ID)
}

func TestAccountsAreOpenedOnlyWhereTheClientAllowsIt(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Addresses = addresses{&codes{}} })
	shop := w.person().goes("/authorize")
	home := w.person().goes("/portal")
	w.ask(func(r *Request) { r.Client, r.Source = "own", "staff" })
	own := w.person().goes("/authorize")
	for name, p := range map[string]*person{"a client without signup": shop, "the portal itself": home} {
		if strings.Contains(p.body, "/portal/signup") {
			t.Errorf("%s offers it", name)
		}
		p.goes("/portal/signup?p_state="+p.stateOf()).sees("/portal/signup", 400)
		p.goes("/portal/signup/account?p_state="+p.stateOf()).sees("/portal/signup/account", 400)
	}
	// Without a code on its way there is no second page.
	own.goes("/portal/signup/account?p_state="+own.stateOf()).sees("/portal/signup/account", 400, "start again")
	// Nor is any of it there where nobody sends codes.
	without := newWorld(t, nil)
	without.ask(func(r *Request) { r.Client = "own" })
	p := without.person().goes("/authorize")
	if strings.Contains(p.body, "/portal/signup") || strings.Contains(p.body, "/portal/reset") {
		t.Error("links without an end")
	}
	p.goes("/portal/signup?p_state="+p.stateOf()).sees("/portal/signup", 400)
}

// Whoever tries to sign in with a code and has no account has proved the address
// by then: the account is opened with the same code, and nobody waits for another.
func TestCodeOfASignInOpensAnAccount(t *testing.T) {
	sender := &codes{who: map[string]store.Account{}}
	w := newWorld(t, func(o *Options) { o.Codes, o.Addresses = sender, addresses{sender} })
	w.ask(func(r *Request) { r.Client = "own" })
	p := w.person().goes("/authorize")
	p.goes("/portal/login?source=mail&p_state="+p.stateOf()).submits("/portal/login", "username", "new@example.com")
	state := p.stateOf()
	if p.goes("/portal/signup?p_state=" + state); p.filled("/portal/signup").Get("username") != "new@example.com" {
		t.Error("the address has to be typed again")
	}
	p.goes("/portal/signup/account?p_state="+state).sees("/portal/signup/account", 400, "start again") // nothing is proved yet
	p.goes("/portal/code?p_state="+state).submits("/portal/code", "code", "9").sees("/portal/code", 400, "not right")
	sender.soon = true
	p.submits("/portal/code", "code", "1").sees("/portal/signup/account", 200, "Nobody has an account with new@example.com yet", "At least 8 characters")
	if p.filled("/portal/signup/account").Get("code") != "1" {
		t.Error("the code has to be typed again")
	}
	p.submits("/portal/signup/account", "code", "9", "new_password", "a new password").sees("/portal/signup/account", 400, "code is not right")
	p.submits("/portal/signup/account", "code", "1", "new_password", "short").sees("/portal/signup/account", 400, "at least 8")
	p.submits("/portal/signup/account", "new_password", "a new password").arrives("code", "")
	who, err := w.st.FindAccount(t.Context(), store.ByEmail, "new@example.com")
	if err != nil || !who.EmailVerified || len(sender.sent) != 1 {
		t.Errorf("%+v %v, %d messages", who, err, len(sender.sent))
	}
	// Where nobody can open one, it says that there is none.
	sender.soon, w.p.o.Order = false, []string{"mail"}
	w.person().goes("/portal").submits("/portal/login", "username", "other@example.com").submits("/portal/code", "code", "2").sees("/portal/code", 400, "Nobody has an account")
}
