package portal

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// both are addresses that are proved by codes, e-mail and phone.
type both struct{ addresses }

func (both) Kinds() []store.IdentifierKind {
	return []store.IdentifierKind{store.ByEmail, store.ByPhone}
}

func reachable(t *testing.T) (*world, *codes) {
	t.Helper()
	sender := &codes{}
	return newWorld(t, func(o *Options) { o.Addresses = both{addresses{sender}} }), sender
}

func TestPersonChangesTheEmailAddress(t *testing.T) {
	w, sender := reachable(t)
	p := w.home("ann", right)
	p.sees("/portal/account", 200, "ann@example.com", "not confirmed", "Change", "Add")
	p.goes("/portal/account/email").sees("/portal/account/email", 200, "Change the e-mail address", "Current: ann@example.com")
	for bad, says := range map[string]string{"": "Enter your e-mail address", "new": "no e-mail address", "+8613800138000": "no e-mail address"} {
		p.submits("/portal/account/email", "email", bad).sees("/portal/account/email", 400, says)
	}
	p.submits("/portal/account/email", "email", " new@example.com ").sees("/portal/account/email/code", 200, "We have sent a code to new@example.com")
	for code, says := range map[string]string{"": "Enter the code", "9": "code is not right"} {
		p.submits("/portal/account/email/code", "code", code).sees("/portal/account/email/code", 400, says)
	}
	if a, _ := w.st.Account(t.Context(), w.ann.ID); a.Email != "ann@example.com" {
		t.Errorf("changed without a code: %s", a.Email)
	}
	form := p.filled("/portal/account/email/code", "code", "1")
	p.send("POST", "/portal/account/email/code", form).sees("/portal/account", 200, "Your changes are saved", "new@example.com")
	sender.sent[0].Usage = "" // the code is spent, and the button was pressed twice
	p.send("POST", "/portal/account/email/code", form).sees("/portal/account", 200, "Your changes are saved")
	sender.sent[0].Usage = account.ForUserinfo
	a, err := w.st.Account(t.Context(), w.ann.ID)
	if err != nil || a.Email != "new@example.com" || !a.EmailVerified || a.Phone != "" || a.Username != "ann" {
		t.Errorf("%+v %v", a, err)
	}
	if strings.Contains(p.body, "not confirmed") {
		t.Error("it is confirmed")
	}
	if d := sender.sent[0]; d.Usage != account.ForUserinfo || d.Kind != store.ByEmail || d.Client != "" {
		t.Errorf("sent %+v", d)
	}
	p.goes("/portal/account/email").submits("/portal/account/email", "email", "new@example.com").sees("/portal/account/email", 400, "already")
}

func TestPersonAddsAPhoneNumber(t *testing.T) {
	w, _ := reachable(t)
	p := w.home("ann", right).goes("/portal/account/phone")
	p.sees("/portal/account/phone", 200, "Add a phone number")
	p.submits("/portal/account/phone", "phone_number", "+8613800138000").submits("/portal/account/phone/code", "code", "1")
	p.sees("/portal/account", 200, "+8613800138000")
	if a, err := w.st.Account(t.Context(), w.ann.ID); err != nil || a.Phone != "+8613800138000" || !a.PhoneVerified || a.Email != "ann@example.com" {
		t.Errorf("%+v %v", a, err)
	}
}

// An address that an operator wrote down is confirmed by its owner.
func TestPersonConfirmsTheAddress(t *testing.T) {
	w, _ := reachable(t)
	p := w.home("ann", right).goes("/portal/account/email")
	p.submits("/portal/account/email", "email", "ann@example.com").submits("/portal/account/email/code", "code", "1").sees("/portal/account", 200)
	if a, err := w.st.Account(t.Context(), w.ann.ID); err != nil || a.Email != "ann@example.com" || !a.EmailVerified {
		t.Errorf("%+v %v", a, err)
	}
}

// That somebody else has the address is told to who reads what is sent there.
func TestTakenAddressIsNotToldToStrangers(t *testing.T) {
	w, _ := reachable(t)
	w.create("bob", "another password")
	p := w.home("ann", right)
	page := func(to string) string {
		p.goes("/portal/account/email").submits("/portal/account/email", "email", to).sees("/portal/account/email/code", 200)
		return strings.ReplaceAll(still(p.body), to, "x")
	}
	if free, taken := page("new@example.com"), page("bob@example.com"); free != taken {
		t.Errorf("the pages differ:\n%s\n%s", free, taken)
	}
	p.submits("/portal/account/email/code", "code", "2").sees("/portal/account/email", 400, "Another account has bob@example.com")
	if a, _ := w.st.Account(t.Context(), w.ann.ID); a.Email != "ann@example.com" {
		t.Errorf("%+v", a)
	}
}

// The person who went away left the browser open: reading is one thing, another
// mailbox for new passwords is one more.
func TestAddressIsChangedSoonAfterTheSignIn(t *testing.T) {
	w, _ := reachable(t)
	p := w.home("ann", right).goes("/portal/account/email")
	form := p.filled("/portal/account/email", "email", "new@example.com")
	w.later(freshFor)
	p.send("POST", "/portal/account/email", form).sees("/portal/login", 200, "Sign in once more")
	p.goes("/portal/account/email?lang=en").sees("/portal/login", 200, "Sign in once more")
	if p.filled("/portal/login").Get("username") != "ann" {
		t.Error("the name should be there")
	}
	p.submits("/portal/login", "username", "ann", "password", right).sees("/portal/account/email", 200, "Current: ann@example.com")
	if p.at.Query().Get("lang") != "en" {
		t.Errorf("the language is lost: %s", p.at)
	}
	p.submits("/portal/account/email", "email", "new@example.com")
	w.later(freshFor)
	p.submits("/portal/account/email/code", "code", "1").sees("/portal/login", 200, "Sign in once more")
	if a, _ := w.st.Account(t.Context(), w.ann.ID); a.Email != "ann@example.com" {
		t.Errorf("%+v", a)
	}
}

// Ann asks for a code, Bob sits down before it is typed.
func TestCodeForOneAccountMovesNoOther(t *testing.T) {
	w, _ := reachable(t)
	bob := w.create("bob", "another password")
	p := w.home("ann", right).goes("/portal/account/email").submits("/portal/account/email", "email", "new@example.com")
	page := p.at.String()
	p.goes("/portal/logout").submits("/portal/logout")
	p.goes("/portal").submits("/portal/login", "username", "bob", "password", "another password")
	p.goes(page).sees("/portal/account/email/code", 400, "start again")
	if a, _ := w.st.Account(t.Context(), bob.ID); a.Email != "bob@example.com" {
		t.Errorf("%+v", a)
	}
	// Nor is a code for another kind, or for another thing, any good here.
	state := strings.SplitN(page, "?", 2)[1]
	p.goes("/portal/logout").submits("/portal/logout")
	p.goes("/portal").submits("/portal/login", "username", "ann", "password", right)
	p.goes(page).sees("/portal/account/email/code", 200)
	p.goes("/portal/account/phone/code?"+state).sees("/portal/account/phone/code", 400, "start again")
	other := w.person().goes("/authorize")
	other.goes("/portal/reset?p_state="+other.stateOf()).submits("/portal/reset", "username", "ann@example.com")
	state = other.at.RawQuery
	other.goes("/portal").submits("/portal/login", "username", "ann", "password", right)
	other.goes("/portal/account/email/code?"+state).sees("/portal/account/email/code", 400, "start again")
}

// While the code is looked at somebody else takes the address, or the profile is
// changed in another window: the write sees it.
func TestAddressIsFreeAtTheWrite(t *testing.T) {
	w, sender := reachable(t)
	p := w.home("ann", right).goes("/portal/account/email").submits("/portal/account/email", "email", "new@example.com")
	w.p.o.Addresses = racing{both{addresses{sender}}, new(sync.Once), func() {
		carl := w.create("carl", "a third password")
		moved := carl
		moved.Email = "new@example.com"
		w.apply(store.UpdateAccount{Account: moved})
	}}
	p.submits("/portal/account/email/code", "code", "1").sees("/portal/account/email", 400, "Another account")

	w, sender = reachable(t)
	p = w.home("ann", right).goes("/portal/account/email").submits("/portal/account/email", "email", "new@example.com")
	w.p.o.Addresses = racing{both{addresses{sender}}, new(sync.Once), func() {
		named := w.ann
		named.Nickname = "Annie"
		w.apply(store.UpdateAccount{Account: named})
	}}
	p.submits("/portal/account/email/code", "code", "1").sees("/portal/account", 200)
	if a, _ := w.st.Account(t.Context(), w.ann.ID); a.Email != "new@example.com" || a.Nickname != "Annie" {
		t.Errorf("%+v", a)
	}
}

// racing does something the first time that a code is taken.
type racing struct {
	both
	first     *sync.Once
	meanwhile func()
}

func (r racing) Prove(ctx context.Context, now time.Time, d Destination, token, code string) (string, []store.Write, error) {
	r.first.Do(r.meanwhile)
	return r.both.Prove(ctx, now, d, token, code)
}

func TestAddressesWithoutASenderAreShownAlone(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Addresses = addresses{&codes{}} })
	p := w.home("ann", right)
	p.goes("/portal/account/phone").sees("/portal/account/phone", 404)
	without := newWorld(t, nil)
	p = without.home("ann", right)
	p.sees("/portal/account", 200, "ann@example.com")
	if strings.Contains(p.body, "/portal/account/email") || strings.Contains(p.body, "not confirmed") {
		t.Error("a link without an end")
	}
	p.goes("/portal/account/email").sees("/portal/account/email", 404)
}

func TestPersonSeesDeclaredAttributes(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Attributes = func(who *store.Account) [][2]string { return [][2]string{{"department", who.Attributes["department"]}} }
	})
	ann := w.ann
	ann.Attributes = map[string]string{"department": "<b>Sales</b>", "note": "not for ann"}
	w.apply(store.UpdateAccount{Account: ann})
	p := w.home("ann", right)
	p.sees("/portal/account", 200, "department", "<b>Sales</b>")
	if strings.Contains(p.body, "not for ann") {
		t.Errorf("more than what is declared and there:\n%s", p.body)
	}
	form := p.filled("/portal/account", "department", "Board")
	p.send("POST", "/portal/account", form).sees("/portal/account", 400)
	p.goes("/portal/account").submits("/portal/account", "nickname", "A").sees("/portal/account", 200, "<b>Sales</b>")
}

// Once for each change, after it is written; what is typed wrong changes nothing.
func TestChangeOfAnAddressIsTold(t *testing.T) {
	var told []string
	w := newWorld(t, func(o *Options) {
		o.Addresses = both{addresses{&codes{}}}
		o.Moved = func(_ time.Time, was, next store.Account, locale string) {
			told = append(told, was.Email+" "+next.Email+" "+next.Phone+" "+locale)
		}
	})
	p := w.home("ann", right).goes("/portal/account/email?lang=zh").submits("/portal/account/email", "email", "new@example.com")
	p.submits("/portal/account/email/code", "code", "9")
	form := p.filled("/portal/account/email/code", "code", "1")
	p.send("POST", "/portal/account/email/code", form)
	p.send("POST", "/portal/account/email/code", form).sees("/portal/account", 200)                                                 // pressed twice
	p.goes("/portal/account/email").submits("/portal/account/email", "email", "NEW@example.com").sees("/portal/account/email", 400) // what it is already
	p.goes("/portal/account/phone").submits("/portal/account/phone", "phone_number", "+8613800138000").submits("/portal/account/phone/code", "code", "2")
	if want := []string{"ann@example.com new@example.com  zh-Hans", "new@example.com new@example.com +8613800138000 en"}; !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
}

// The page to confirm an address has it in the field already.
func TestUnconfirmedAddressHasALinkToConfirmIt(t *testing.T) {
	w, _ := reachable(t)
	p := w.home("ann", right)
	if !strings.Contains(p.body, `href="/portal/account/email?confirm=1"`) {
		t.Fatal(p.body)
	}
	p.goes("/portal/account/email?confirm=1").sees("/portal/account/email", 200, "Confirm the e-mail address")
	if text := textOf(p.page); strings.Contains(text, "New e-mail address") || strings.Contains(text, "Current:") {
		t.Errorf("the page is about another address: %s", text)
	}
	p.submits("/portal/account/email").sees("/portal/account/email/code", 200, "Confirm the e-mail address", "ann@example.com")
	p.submits("/portal/account/email/code", "code", "1").sees("/portal/account", 200)
	if strings.Contains(p.body, "confirm=1") {
		t.Error("it is confirmed")
	}
}

// Whoever signed in by code signs in once more by code, with the address.
func TestSignInOnceMoreOffersTheWayOfTheSession(t *testing.T) {
	sender := &codes{who: map[string]store.Account{}}
	w := newWorld(t, func(o *Options) {
		o.Codes, o.Addresses, o.Order = sender, both{addresses{sender}}, []string{"staff", "mail", "sms"}
	})
	sender.who["ann@example.com"] = w.ann
	p := w.person().goes("/portal")
	p.goes("/portal/login?source=mail&p_state="+p.stateOf()).submits("/portal/login", "username", "ann@example.com")
	p.submits("/portal/code", "code", "1").sees("/portal/account", 200)
	w.later(freshFor)
	p.goes("/portal/account/email").sees("/portal/login", 200, "Sign in once more", "Send me a code")
	if got := p.filled("/portal/login").Get("username"); got != "ann@example.com" {
		t.Errorf("the field has %q", got)
	}
	p.goes("/portal/login?source=staff&p_state=" + p.stateOf())
	if got := p.filled("/portal/login").Get("username"); got != "ann" {
		t.Errorf("with a password the field has %q", got)
	}
	p.goes("/portal/login?source=sms&p_state=" + p.stateOf())
	if got := p.filled("/portal/login").Get("username"); got != "" {
		t.Errorf("by phone the field has %q", got)
	}
	if strings.Contains(p.body, "switch=") {
		t.Error("an empty parameter")
	}
	p.goes("/portal/login?source=mail&p_state="+p.stateOf()).submits("/portal/login").submits("/portal/code", "code", "2").sees("/portal/account/email", 200)
}
