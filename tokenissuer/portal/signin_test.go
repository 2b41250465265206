package portal

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func TestPersonSignsInConsentsAndReturnsToTheApp(t *testing.T) {
	w := newWorld(t, nil)
	p := w.person().goes("/authorize")
	p.sees("/portal/login", 200, "Sign in", "You will go on to The Shop.", "Username or e-mail address")
	p.submits("/portal/login", "username", "ann", "password", right)
	p.sees("/portal/consent", 200, "The Shop asks for access to your account, ann", "See your orders", "Know who you are", "app.example")
	p.allows().arrives("code", w.ann.ID)

	p.goes("/authorize").arrives("code", w.ann.ID) // both are remembered
	if s := w.sessions(w.ann.ID); len(s) != 1 || s[0].Device != "Firefox on Linux" || s[0].Source != "staff" || !slices.Equal(s[0].AMR, []string{"pwd"}) {
		t.Errorf("sessions: %+v", s)
	}
}

var changing = regexp.MustCompile(`(name="form_token" value|p_state(" value)?)="?[^"&]*`)

// still is a page without what differs each time.
func still(body string) string { return changing.ReplaceAllString(body, "") }

func TestWrongPasswordLooksLikeAnUnknownName(t *testing.T) {
	w := newWorld(t, nil)
	wrong := w.person().signsIn("ann", "not that one")
	wrong.sees("/portal/login", 400, "The name or the password is not right")
	unknown := w.person().signsIn("bob", "not that one")
	unknown.sees("/portal/login", 400)
	if a, b := still(wrong.body), strings.ReplaceAll(still(unknown.body), "bob", "ann"); a != b {
		t.Errorf("the pages differ:\n%s\n%s", a, b)
	}
	if a, b := wrong.head, unknown.head; a.Get("Set-Cookie") != "" || b.Get("Set-Cookie") != "" {
		t.Errorf("cookies: %q, %q", a.Get("Set-Cookie"), b.Get("Set-Cookie"))
	}
	for _, p := range []*person{wrong, unknown} {
		if strings.Contains(p.body, "not that one") {
			t.Error("the password is on the page")
		}
	}
	if got := wrong.filled("/portal/login").Get("username"); got != "ann" {
		t.Errorf("the name is %q, and should be kept", got)
	}
	wrong.submits("/portal/login", "password", right).sees("/portal/consent", 200)
	if want := []oauth.Reason{oauth.WrongCredentials, oauth.WrongCredentials}; !slices.Equal(w.refused, want) {
		t.Errorf("refusals told: %v", w.refused)
	}
}

func TestSignInSaysWhatTheMatterIs(t *testing.T) {
	w := newWorld(t, nil)
	change := func(name string, writes func(store.Account) []store.Write) {
		w.apply(writes(w.create(name, right))...)
	}
	change("frozen", func(a store.Account) []store.Write {
		return []store.Write{store.SetState{Account: a.ID, State: store.Frozen}}
	})
	change("expired", func(a store.Account) []store.Write {
		return []store.Write{store.ExpirePassword{Account: a.ID}}
	})
	change("locked", func(a store.Account) []store.Write {
		return []store.Write{store.SetState{Account: a.ID, State: store.Locked}}
	})
	for _, c := range []struct{ name, password, says string }{
		{"frozen", right, "not active"},
		{"frozen", "wrong", "name or the password is not right"},
		{"expired", "wrong", "name or the password is not right"},
		{"locked", right, "too many attempts"},
		{"locked", "wrong", "too many attempts"},
		{"+8613800138000", right, "Sign in with your username or e-mail address"},
		{"", right, "Enter your username or e-mail address"},
		{"ann", "", "Enter your password"},
		{"ann", strings.Repeat("x", 2000), "name or the password is not right"},
		{strings.Repeat("x", 2000), right, "name or the password is not right"},
	} {
		p := w.person().signsIn(c.name, c.password)
		p.sees("/portal/login", 400, c.says)
		if p.cookie("__Host-gatehouse") != "" {
			t.Errorf("%s: signed in", c.name)
		}
	}
}

func TestGuessingLocksTheName(t *testing.T) {
	w := newWorld(t, nil)
	p := w.person()
	for range 5 {
		p.signsIn("ann", "wrong").sees("/portal/login", 400, "not right")
	}
	p.signsIn("ann", right).sees("/portal/login", 400, "too many attempts")
	w.later(16 * time.Minute)
	p.signsIn("ann", right).sees("/portal/consent", 200)
}

func TestSessionCookieIsNewAtEverySignIn(t *testing.T) {
	w := newWorld(t, nil)
	p := w.person().goes("/authorize")
	at, err := url.Parse(w.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	planted := secret()
	p.http.Jar.SetCookies(at, []*http.Cookie{{Name: "__Host-gatehouse", Value: planted, Path: "/", Secure: true}})
	p.submits("/portal/login", "username", "ann", "password", right).sees("/portal/consent", 200)
	first := p.cookie("__Host-gatehouse")
	if first == "" || first == planted {
		t.Fatalf("the cookie is %q, planted was %q", first, planted)
	}
	id := w.sessions(w.ann.ID)[0].ID

	w.later(time.Minute)
	w.ask(func(r *Request) { r.Prompt = []string{"login"} })
	p.signsIn("ann", right).sees("/portal/consent", 200)
	s := w.sessions(w.ann.ID)
	if len(s) != 1 || s[0].ID != id || !s[0].AuthTime.Equal(noon.Add(time.Minute)) {
		t.Errorf("sessions after a second sign-in: %+v", s)
	}
	if p.cookie("__Host-gatehouse") == first {
		t.Error("the cookie stayed")
	}
	if s[0].Hash != hashOf(p.cookie("__Host-gatehouse")) {
		t.Error("the store has something else than the hash of the cookie")
	}
}

func TestAnotherAccountEndsTheSessionBeforeIt(t *testing.T) {
	w := newWorld(t, nil)
	bob := w.create("bob", "another password")
	p := w.person().signsIn("ann", right)
	id := w.sessions(w.ann.ID)[0].ID
	var other string
	for n := range p.page.Descendants() {
		if strings.Contains(attr(n, "href"), "switch=1") && strings.Contains(textOf(n), "somebody else") {
			other = attr(n, "href")
		}
	}
	p.goes(other).sees("/portal/login", 200)
	p.submits("/portal/login", "username", "bob", "password", "another password").sees("/portal/consent", 200, "bob")
	if len(w.sessions(w.ann.ID)) != 0 || len(w.sessions(bob.ID)) != 1 {
		t.Error("ann is signed in still, or bob is not")
	}
	if !slices.Equal(w.ended, []string{id}) {
		t.Errorf("ended: %v, want %s", w.ended, id)
	}
	p.allows().arrives("code", bob.ID)
}

func TestSessionEndsAfterItsLifetime(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.SessionLifetime = time.Hour })
	w.ask(func(r *Request) { r.Client = "own" })
	p := w.person().signsIn("ann", right)
	p.arrives("code", w.ann.ID)
	w.later(59 * time.Minute)
	p.goes("/authorize").arrives("code", w.ann.ID)
	w.later(time.Minute)
	p.goes("/authorize").sees("/portal/login", 200)
}

// The store counts milliseconds, and a clock does not.
func TestSignInAtTheMomentOfTheRequestIsNotBeforeIt(t *testing.T) {
	w := newWorld(t, nil)
	w.later(500 * time.Microsecond)
	w.ask(func(r *Request) { r.Prompt = []string{"login"} })
	w.person().signsIn("ann", right).sees("/portal/consent", 200)
}

func TestPromptNoneShowsNoPage(t *testing.T) {
	w := newWorld(t, nil)
	w.ask(func(r *Request) { r.Prompt = []string{"none"} })
	p := w.person().goes("/authorize")
	p.arrives("error", LoginRequired)

	w.ask(func(r *Request) { r.Prompt = nil })
	p.signsIn("ann", right)
	w.ask(func(r *Request) { r.Prompt = []string{"none"} })
	p.goes("/authorize").arrives("error", ConsentRequired)
}

func TestAppsThatCannotSignPeopleIn(t *testing.T) {
	w := newWorld(t, nil)
	for _, client := range []string{"unknown", "off"} {
		w.ask(func(r *Request) { r.Client = client })
		if p := w.person().goes("/authorize"); p.status != 418 || !strings.Contains(p.body, string(UnknownApp)) {
			t.Errorf("%s: %d %s", client, p.status, p.body)
		}
	}
	w.ask(func(r *Request) { r.Client = "nobody" })
	w.person().goes("/authorize").sees("/portal/login", 400, "no way to sign in")
	w.ask(func(r *Request) { r.Client, r.Source = "shop", "elsewhere" })
	w.person().goes("/authorize").sees("/portal/login", 400, "no way to sign in")
}

func TestSourceOfTheRequestIsTheOnlyOne(t *testing.T) {
	twin := account.Source{ID: "mail"}
	w := newWorld(t, func(o *Options) { o.Sources = append(o.Sources, twin) })
	w.ask(func(r *Request) { r.Client, r.Source = "own", "mail" })
	p := w.person().goes("/authorize")
	p.sees("/portal/login", 200)
	if strings.Contains(p.body, "staff") {
		t.Error("the other source is offered")
	}
	form := p.filled("/portal/login", "username", "ann", "password", right, "source", "staff")
	p.send("POST", "/portal/login", form).sees("/portal/login", 400)
	p.signsIn("ann", right).arrives("code", w.ann.ID)
	if s := w.sessions(w.ann.ID); len(s) != 1 || s[0].Source != "mail" {
		t.Errorf("sessions: %+v", s)
	}
	// A session of another source does not do.
	w.ask(func(r *Request) { r.Source = "staff" })
	p.goes("/authorize").sees("/portal/login", 200)
}

func TestSignInByCode(t *testing.T) {
	sender := &codes{who: map[string]store.Account{}}
	w := newWorld(t, func(o *Options) { o.Codes = sender })
	sender.who["ann@example.com"] = w.ann
	w.ask(func(r *Request) { r.Client = "own" })
	p := w.person().goes("/authorize")
	p.sees("/portal/login", 200, "Get a code by e-mail", "Get a code by text message")
	for n := range p.page.Descendants() {
		if strings.Contains(attr(n, "href"), "source=mail") {
			p.goes(attr(n, "href"))
			break
		}
	}
	p.sees("/portal/login", 200, "E-mail address", "Send me a code")
	p.submits("/portal/login").sees("/portal/login", 400, "Enter your e-mail address")
	p.submits("/portal/login", "username", "ann@example.com").sees("/portal/code", 200, "ann@example.com")
	p.submits("/portal/code").sees("/portal/code", 400, "Enter the code")
	p.submits("/portal/code", "code", "999999").sees("/portal/code", 400, "not right")
	again := p.send("POST", "/portal/login", url.Values{
		"form_token": {p.filled("/portal/login").Get("form_token")}, "p_state": {p.filled("/portal/login").Get("p_state")},
		"source": {"mail"}, "username": {"ann@example.com"},
	})
	again.sees("/portal/code", 200)
	again.submits("/portal/code", "code", "1").sees("/portal/code", 400) // the first token is not this page's
	again.submits("/portal/code", "code", "2").arrives("code", w.ann.ID)
	if s := w.sessions(w.ann.ID); len(s) != 1 || s[0].Source != "mail" || !slices.Equal(s[0].AMR, []string{"otp"}) {
		t.Errorf("sessions: %+v", s)
	}
	if d := sender.sent[0]; d.Client != "own" || d.Source != "mail" || d.Locale != "en" || !d.From.IsLoopback() {
		t.Errorf("sent: %+v", d)
	}
}

// Keyboards of phones put spaces where nobody sees them.
func TestSpacesAreNoMistake(t *testing.T) {
	sender := &codes{who: map[string]store.Account{}}
	w := newWorld(t, func(o *Options) { o.Codes, o.Addresses = sender, addresses{sender} })
	sender.who["13800138000"] = w.ann
	w.person().signsIn(" ann@example.com ", right).sees("/portal/consent", 200)
	w.person().signsIn("ann", " "+right).sees("/portal/login", 400) // of a password they are a part
	w.ask(func(r *Request) { r.Client = "own" })
	p := w.person().goes("/authorize")
	p.goes("/portal/reset?p_state="+p.stateOf()).submits("/portal/reset", "username", "\tann@example.com").sees("/portal/reset/password", 200, "ann@example.com")
	w.ask(func(r *Request) { r.Source = "sms" })
	p = w.person().goes("/authorize").submits("/portal/login", "username", " 138 0013\u00a08000")
	p.sees("/portal/code", 200, "13800138000")
	for range 9 {
		p.submits("/portal/login", "username", "13800138000")
	}
	p.submits("/portal/code", "code", " 1 1 ").arrives("code", w.ann.ID)
}

func TestSourcesOfCodesAreHiddenWhenNobodySends(t *testing.T) {
	w := newWorld(t, nil)
	w.ask(func(r *Request) { r.Client = "own" })
	p := w.person().goes("/authorize")
	if strings.Contains(p.body, "code") {
		t.Error("a code is offered")
	}
}

func TestExpiredPasswordIsReplacedAtTheSignIn(t *testing.T) {
	w := newWorld(t, nil)
	w.apply(store.ExpirePassword{Account: w.ann.ID})
	elsewhere := w.person()
	elsewhere.signsIn("ann", "wrong").sees("/portal/login", 400, "name or the password is not right")
	p := w.person().signsIn("ann", right)
	p.sees("/portal/expired", 200, "has expired", "Current password", "New password")
	if p.cookie("__Host-gatehouse") != "" {
		t.Fatal("signed in with an expired password")
	}
	address := p.at.String()
	elsewhere.goes(address).sees("/portal/expired", 400, "start again")
	for _, c := range []struct{ old, fresh, says string }{
		{"", "a new password", "Enter your password"},
		{"wrong", "a new password", "current password is not right"},
		{right, right, "is the current one"},
		{right, "short", "at least 8 characters"},
	} {
		p.submits("/portal/expired", "old_password", c.old, "new_password", c.fresh).sees("/portal/expired", 400, c.says)
	}
	p.submits("/portal/expired", "old_password", right, "new_password", "a new password").sees("/portal/consent", 200)
	p.allows().arrives("code", w.ann.ID)
	fresh := w.person().goes("/authorize")
	fresh.goes("/portal/expired?p_state="+fresh.stateOf()).sees("/portal/expired", 400)
	w.person().signsIn("ann", "a new password").arrives("code", w.ann.ID)
}

// The button is pressed once more while the answer is on its way, with the cookie
// that came with it.
func TestCodeThatIsSentTwiceSignsIn(t *testing.T) {
	sender := &codes{who: map[string]store.Account{}}
	w := newWorld(t, func(o *Options) { o.Codes, o.Addresses = sender, addresses{sender} })
	sender.who["ann@example.com"] = w.ann
	w.ask(func(r *Request) { r.Client = "own" })
	p := w.person().goes("/authorize")
	p.goes("/portal/login?source=mail&p_state="+p.stateOf()).submits("/portal/login", "username", "ann@example.com")
	form := p.filled("/portal/code", "code", "1")
	p.once("POST", "/portal/code", form)
	sender.sent[0].To = "" // the code is spent
	if p.send("POST", "/portal/code", form); p.status != 200 || p.at.Path != "/portal/continue" {
		t.Fatalf("at %s with %d", p.at, p.status)
	}
	p.refresh().arrives("code", w.ann.ID)
	w.ask(func(r *Request) { r.Prompt, r.Asked = []string{"login"}, w.now.Add(time.Second) })
	p.goes("/authorize")
	p.goes("/portal/login?source=mail&p_state="+p.stateOf()).submits("/portal/login", "username", "ann@example.com")
	p.submits("/portal/code", "code", "1").sees("/portal/code", 400, "not right") // the sign-in before is not the one asked for
}

// Ann's password has expired, and Bob left his session in the browser that she
// sits down at: his ends as it does when somebody else signs in.
func TestExpiredPasswordEndsTheSessionBefore(t *testing.T) {
	w := newWorld(t, nil)
	bob := w.create("bob", "another password")
	w.apply(store.ExpirePassword{Account: w.ann.ID})
	p := w.home("bob", "another password")
	his, cookie := w.sessions(bob.ID)[0], p.cookie("__Host-gatehouse")
	p.goes("/authorize").goes("/portal/login?switch=1&p_state="+p.stateOf()).submits("/portal/login", "username", "ann", "password", right)
	p.submits("/portal/expired", "old_password", right, "new_password", "a new password").sees("/portal/consent", 200, "ann")
	if left := w.sessions(bob.ID); len(left) != 0 || !slices.Equal(w.ended, []string{"all of " + w.ann.ID, his.ID}) {
		t.Errorf("left %v, ended %v", left, w.ended)
	}
	thief := w.person()
	thief.header.Set("Cookie", "__Host-gatehouse="+cookie)
	if thief.once("GET", "/portal/account", nil); thief.status != 303 {
		t.Errorf("the cookie before: %d", thief.status)
	}
}

func TestForgottenPasswordIsResetByCode(t *testing.T) {
	sender := &codes{who: map[string]store.Account{}}
	w := newWorld(t, func(o *Options) { o.Addresses = addresses{sender} })
	sender.who["ann@example.com"] = w.ann
	elsewhere := w.home("ann", right)
	p := w.person().goes("/authorize")
	p.sees("/portal/login", 200, "Forgot the password?")
	for n := range p.page.Descendants() {
		if strings.HasPrefix(attr(n, "href"), "/portal/reset") {
			p.goes(attr(n, "href"))
			break
		}
	}
	p.sees("/portal/reset", 200, "E-mail address", "We send a code there")
	for bad, says := range map[string]string{"": "Enter your e-mail address", "ann": "That is no e-mail address", "+8613800138000": "That is no e-mail address"} {
		p.submits("/portal/reset", "username", bad).sees("/portal/reset", 400, says)
	}
	p.submits("/portal/reset", "username", "ann@example.com").sees("/portal/reset/password", 200, "If ann@example.com belongs to an account", "At least 8 characters")
	unknown := w.person().goes("/authorize")
	unknown.goes("/portal/reset?p_state="+unknown.stateOf()).submits("/portal/reset", "username", "bob@example.com")
	if a, b := still(p.body), strings.ReplaceAll(still(unknown.body), "bob@", "ann@"); a != b {
		t.Errorf("the pages differ:\n%s\n%s", a, b)
	}

	p.submits("/portal/reset/password", "new_password", "a new password").sees("/portal/reset/password", 400, "Enter the code")
	p.submits("/portal/reset/password", "code", "9", "new_password", "a new password").sees("/portal/reset/password", 400, "code is not right")
	p.submits("/portal/reset/password", "code", "1", "new_password", "short").sees("/portal/reset/password", 400, "at least 8 characters")
	if p.filled("/portal/reset/password").Get("code") != "1" || strings.Contains(p.body, `value="short"`) {
		t.Error("the code should be kept, and the password not")
	}
	elsewhere.goes("/portal/account").sees("/portal/account", 200)
	p.submits("/portal/reset/password", "code", "1", "new_password", "a new password").sees("/portal/login", 200, "The password is set")
	if p.filled("/portal/login").Get("username") != "ann@example.com" || p.cookie("__Host-gatehouse") != "" {
		t.Error("the name should be there, and nobody signed in")
	}
	elsewhere.goes("/portal/account").sees("/portal/login", 200)
	p.submits("/portal/login", "username", "ann@example.com", "password", "a new password").sees("/portal/consent", 200)
	if d := sender.sent[0]; d.Kind != store.ByEmail || d.Client != "shop" || d.Source != "" {
		t.Errorf("sent %+v", d)
	}
	if !slices.Equal(w.ended, []string{"all of " + w.ann.ID}) {
		t.Errorf("ended %v", w.ended)
	}
}

// A code for one thing opens no page of the other.
func TestCodesForResetAndSignInAreKeptApart(t *testing.T) {
	sender := &codes{who: map[string]store.Account{}}
	w := newWorld(t, func(o *Options) { o.Codes, o.Addresses = sender, addresses{sender} })
	sender.who["ann@example.com"] = w.ann
	w.ask(func(r *Request) { r.Client = "own" })
	p := w.person().goes("/authorize")
	p.goes("/portal/reset?p_state="+p.stateOf()).submits("/portal/reset", "username", "ann@example.com").sees("/portal/reset/password", 200)
	p.goes("/portal/code?p_state="+p.stateOf()).sees("/portal/code", 400, "start again")
	p.goes("/authorize").goes("/portal/login?source=mail&p_state="+p.stateOf()).submits("/portal/login", "username", "ann@example.com").sees("/portal/code", 200)
	p.goes("/portal/reset/password?p_state="+p.stateOf()).sees("/portal/reset/password", 400, "start again")

	p.goes("/authorize").goes("/portal/signup?p_state="+p.stateOf()).submits("/portal/signup", "username", "new@example.com").sees("/portal/signup/account", 200)
	p.goes("/portal/reset/password?p_state="+p.stateOf()).sees("/portal/reset/password", 400, "start again")
	w.ask(func(r *Request) { r.Source = "mail" })
	p.goes("/authorize").goes("/portal/signup?p_state="+p.stateOf()).submits("/portal/signup", "username", "new@example.com").sees("/portal/signup/account", 200)
	p.goes("/portal/code?p_state="+p.stateOf()).sees("/portal/code", 400, "start again")
}

func TestFrozenAccountIsNotReset(t *testing.T) {
	sender := &codes{who: map[string]store.Account{}}
	w := newWorld(t, func(o *Options) { o.Addresses = addresses{sender} })
	w.apply(w.accounts.SetState(noon, "operator", w.ann, store.Frozen)...)
	p := w.person().goes("/authorize")
	p.goes("/portal/reset?p_state="+p.stateOf()).submits("/portal/reset", "username", "ann@example.com")
	p.submits("/portal/reset/password", "code", "1", "new_password", "a new password").sees("/portal/reset/password", 400, "not active")
	w.person().signsIn("ann", right).sees("/portal/login", 400, "not active")
}
