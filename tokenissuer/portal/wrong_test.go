package portal

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// refusals is a world with every kind of form, which counts those not taken.
func refusals(t *testing.T) (*world, *int) {
	t.Helper()
	sender, n := &codes{}, new(int)
	w := newWorld(t, func(o *Options) {
		o.Addresses, o.Codes = both{addresses{sender}}, sender
		o.NotTaken = func(*http.Request) { *n++ }
	})
	w.ask(func(r *Request) { r.Client = "own" })
	return w, n
}

// To load a page again, or to go back to it, sends no form a second time: what a
// browser has of the form is an address.
func TestFormThatIsNotTakenLeadsBackToItsPage(t *testing.T) {
	const secret = "no right password"
	w, counted := refusals(t)
	at := func(path string) *person {
		p := w.person().goes("/authorize")
		return p.goes(path + "?p_state=" + p.stateOf())
	}
	for _, c := range []struct {
		name, path string
		page       *person
		fields     []string
		says, kept string // which field keeps what was typed
	}{
		{"a wrong password", "/portal/login", at("/portal/login"), []string{"username", " ann ", "password", secret}, "not right", "username=ann"},
		{"no password", "/portal/login", at("/portal/login"), []string{"username", "ann"}, "Enter your password", "username=ann"},
		{"no address to reset", "/portal/reset", at("/portal/reset"), []string{"username", "nobody"}, "Enter your e-mail address or phone number", "username=nobody"},
		{"no address to sign up", "/portal/signup", at("/portal/signup"), []string{"username", "nobody"}, "Enter your e-mail address or phone number", "username=nobody"},
		{"a wrong code", "/portal/code", at("/portal/login").follows("/portal/login").submits("/portal/login", "username", "ann@example.com"), []string{"code", "9"}, "code is not right", ""},
		{"a short password after a reset", "/portal/reset/password", at("/portal/reset").submits("/portal/reset", "username", "ann@example.com"), []string{"code", "2", "new_password", "short"}, "at least 8", "code=2"},
		{"a short password at sign-up", "/portal/signup/account", at("/portal/signup").submits("/portal/signup", "username", "new@example.com"), []string{"code", "3", "new_password", "short"}, "at least 8", "code=3"},
		{"a wrong present password", "/portal/account/password", w.home("ann", right).goes("/portal/account/password"), []string{"old_password", secret, "new_password", secret}, "not right", ""},
		{"no time zone", "/portal/account", w.home("ann", right).goes("/portal/account"), []string{"name", "Ann", "zoneinfo", "Nowhere"}, "no time zone", "zoneinfo=Nowhere"},
		{"no new address", "/portal/account/email", w.home("ann", right).goes("/portal/account/email"), []string{"email", "x"}, "no e-mail address", "email=x"},
	} {
		*counted = 0
		form := c.page.filled(c.path, c.fields...)
		c.page.once(http.MethodPost, c.path, form)
		to, err := url.Parse(c.page.head.Get("Location"))
		if err != nil || c.page.status != http.StatusSeeOther || to.Path != c.path || *counted != 1 {
			t.Fatalf("%s: %d %s, counted %d", c.name, c.page.status, to, *counted)
		}
		for range 2 { // once more: loaded again
			c.page.goes(to.String()).sees(c.path, http.StatusBadRequest, c.says)
			field, typed, _ := strings.Cut(c.kept, "=")
			if got := c.page.value(field); got != typed {
				t.Errorf("%s: %s is %q", c.name, field, got)
			}
			if strings.Contains(c.page.body, secret) || strings.Contains(c.page.body, "short") {
				t.Errorf("%s: the page has a password", c.name)
			}
		}
		if *counted != 1 {
			t.Errorf("%s: to look at the page counts", c.name)
		}
	}

	p := w.home("ann", right).submits("/portal/account", "zoneinfo", "Nowhere")
	w.later(pendingFor) // it is not told for ever
	p.goes(p.at.String()).sees("/portal/account", http.StatusOK)
}

// Nobody puts words into our mouth: what is wrong is told to the browser that sent
// the form, on its page, to whom it was told.
func TestWhatIsWrongIsSealed(t *testing.T) {
	w, _ := refusals(t)
	p := w.person().goes("/authorize").submits("/portal/login", "username", "ann", "password", "wrong")
	p.sees("/portal/login", http.StatusBadRequest, "not right")
	wrong := p.at.Query().Get(wrongParam)
	state := p.stateOf()
	for name, address := range map[string]string{
		"changed":         "/portal/login?p_state=" + state + "&wrong=" + wrong[1:],
		"a p_state":       "/portal/login?p_state=" + state + "&wrong=" + state,
		"not base64":      "/portal/login?p_state=" + state + "&wrong=%25%25",
		"on another page": "/portal/reset?p_state=" + state + "&wrong=" + wrong,
	} {
		if p.goes(address); p.status != http.StatusOK || strings.Contains(p.body, `role="alert"`) {
			t.Errorf("%s: %d %s", name, p.status, p.body)
		}
	}
	if p.goes("/portal/login?p_state=" + wrong); p.status != http.StatusBadRequest || !strings.Contains(p.body, "p_state_of_another_browser") {
		t.Errorf("as a p_state: %d %s", p.status, p.body)
	}
	stranger := w.person().goes("/authorize")
	if stranger.goes("/portal/login?p_state=" + stranger.stateOf() + "&wrong=" + wrong); strings.Contains(stranger.body, `role="alert"`) {
		t.Error("another browser is told")
	}

	ann := w.home("ann", right).goes("/portal/account").submits("/portal/account", "nickname", "annie", "zoneinfo", "Nowhere")
	address := ann.at.String()
	if ann.value("nickname") != "annie" {
		t.Fatal(ann.body)
	}
	w.create("bob", "another password")
	ann.goes("/portal/logout").submits("/portal/logout")
	bob := ann.goes("/portal/account").submits("/portal/login", "username", "bob", "password", "another password")
	if bob.goes(address); bob.status != http.StatusOK || bob.value("nickname") != "" {
		t.Errorf("the next person sees %q", bob.value("nickname"))
	}
}

// Who has signed in since, and goes back, is not told of the mistake before.
func TestMistakeIsOverWithTheSignIn(t *testing.T) {
	w := newWorld(t, nil)
	p := w.person().goes("/portal").submits("/portal/login", "username", "ann", "password", "wrong")
	mistake := p.at.String()
	w.later(time.Second)
	p.submits("/portal/login", "password", right).sees("/portal/account", http.StatusOK)
	p.goes(mistake).sees("/portal/account", http.StatusOK)
}

// Nor is who goes back after an account was opened, or an address was changed.
func TestMistakeIsOverWithTheRightCode(t *testing.T) {
	w, _ := refusals(t)
	p := w.person().goes("/authorize")
	p.goes("/portal/signup?p_state="+p.stateOf()).submits("/portal/signup", "username", "new@example.com")
	p.submits("/portal/signup/account", "code", "9", "new_password", "a new password").sees("/portal/signup/account", http.StatusBadRequest, "code is not right")
	mistake := p.at.String()
	w.later(time.Second)
	p.once(http.MethodPost, "/portal/signup/account", p.filled("/portal/signup/account", "code", "1", "new_password", "a new password"))
	if p.goes(mistake); p.status != http.StatusSeeOther && strings.Contains(p.body, "not right") || p.form("/portal/signup/account") != nil {
		t.Errorf("signed up, and back: %d %s", p.status, textOf(p.page))
	}

	p = w.home("ann", right).goes("/portal/account/email").submits("/portal/account/email", "email", "ann@example.net")
	p.submits("/portal/account/email/code", "code", "9").sees("/portal/account/email/code", http.StatusBadRequest, "not right")
	mistake = p.at.String()
	p.submits("/portal/account/email/code", "code", "2").sees("/portal/account", http.StatusOK)
	p.goes(mistake).sees("/portal/account", http.StatusOK)
}

// Where the address has no room the page is the answer, as it was.
func TestLongFormIsAnsweredAtOnce(t *testing.T) {
	w, counted := refusals(t)
	p := w.person().goes("/authorize")
	p.once(http.MethodPost, "/portal/login", p.filled("/portal/login", "username", strings.Repeat("a", 10_000), "password", "wrong"))
	if p.status != http.StatusBadRequest || *counted != 0 || !strings.Contains(textOf(p.page), "not right") {
		t.Errorf("%d, counted %d: %.300s", p.status, *counted, p.body)
	}
}

// Somebody else who wants to sign in, and mistypes, is not taken for who is there.
func TestMistakeOfSomebodyElseKeepsTheirForm(t *testing.T) {
	w := newWorld(t, nil)
	w.create("bob", "another password")
	p := w.person().signsIn("ann", right)
	p.follows("/portal/login").submits("/portal/login", "username", "bob", "password", "wrong").sees("/portal/login", http.StatusBadRequest, "not right")
	p.follows("/portal/login").sees("/portal/login", http.StatusOK) // 中文
	if p.submits("/portal/login", "username", "bob", "password", "another password"); !strings.Contains(textOf(p.page), "bob") {
		t.Error(p.body)
	}

	// In one tab ann is signed in; the other one was open before.
	q := w.person().goes("/authorize")
	form := q.filled("/portal/login", "username", "bob", "password", "wrong")
	q.signsIn("ann", right)
	w.later(time.Second)
	q.send(http.MethodPost, "/portal/login", form).sees("/portal/login", http.StatusBadRequest, "not right")
}

// Who wants another code need not type the address again, and can mend it.
func TestAnotherCodeIsAskedForWithTheSameAddress(t *testing.T) {
	w, _ := refusals(t)
	for _, c := range []struct {
		page              *person
		form, field, code string
	}{
		{w.person().goes("/authorize").follows("/portal/reset"), "/portal/reset", "username", "/portal/reset/password"},
		{w.person().goes("/authorize").follows("/portal/signup"), "/portal/signup", "username", "/portal/signup/account"},
		{w.home("ann", right).goes(emailPath), emailPath, "email", emailPath + codePath},
	} {
		c.page.submits(c.form, c.field, "new@example.com").sees(c.code, http.StatusOK)
		if c.page.follows(c.form).sees(c.form, http.StatusOK); c.page.value(c.field) != "new@example.com" {
			t.Errorf("%s begins with %q", c.form, c.page.value(c.field))
		}
		c.page.submits(c.form, c.field, "newer@example.com").sees(c.code, http.StatusOK, "newer@example.com")
	}
	// The address of one account page is not that of another.
	p := w.home("ann", right).goes(emailPath).submits(emailPath, "email", "new@example.com")
	if p.goes(phonePath + "?p_state=" + p.stateOf()); p.value("phone_number") != "" {
		t.Error("the e-mail address stands in the field for a number")
	}
}
