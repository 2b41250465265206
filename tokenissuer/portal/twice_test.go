package portal

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// losesTheAnswer sends a form whose answer, with its cookie, the browser drops:
// the button was pressed again before it came.
func (p *person) losesTheAnswer(action string, form url.Values) {
	p.t.Helper()
	r := httptest.NewRequest(http.MethodPost, p.server.URL+action, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.RemoteAddr = "127.0.0.1:1" // as that of the other requests
	for _, c := range p.http.Jar.Cookies(p.at) {
		r.AddCookie(c)
	}
	answer := httptest.NewRecorder()
	p.serve(answer, r)
	if answer.Code != http.StatusSeeOther {
		p.t.Fatalf("%d %s", answer.Code, answer.Body)
	}
}

// Each form spends what it proves: the code, or the present password.
func TestFormThatIsPressedTwiceIsAnsweredTwice(t *testing.T) {
	for _, c := range []struct {
		name, action string
		open         func(*world, *person)
		fill         []string
		check        func(*testing.T, *world, *person)
	}{
		{
			"a sign-in by code", "/portal/code",
			func(w *world, p *person) {
				w.ask(func(r *Request) { r.Client, r.Source = "own", "mail" })
				p.goes("/authorize").submits("/portal/login", "username", "ann@example.com")
			},
			[]string{"code", "1"},
			func(_ *testing.T, w *world, p *person) { p.arrives("code", w.ann.ID) },
		},
		{
			"a sign-up", "/portal/signup/account",
			func(w *world, p *person) {
				w.ask(func(r *Request) { r.Client = "own" })
				p.goes("/authorize").goes("/portal/signup?p_state="+p.stateOf()).submits("/portal/signup", "username", "new@example.com")
			},
			[]string{"code", "1", "new_password", "a new password"},
			func(_ *testing.T, _ *world, p *person) { p.arrives("code", "") },
		},
		{
			"a forgotten password", "/portal/reset/password",
			func(_ *world, p *person) {
				p.goes("/authorize").goes("/portal/reset?p_state="+p.stateOf()).submits("/portal/reset", "username", "ann@example.com")
			},
			[]string{"code", "1", "new_password", "a new password"},
			func(_ *testing.T, w *world, p *person) {
				p.sees("/portal/login", 200, "The password is set")
				p.submits("/portal/login", "username", "ann", "password", "a new password").sees("/portal/consent", 200)
			},
		},
		{
			"a changed password", "/portal/account/password",
			func(_ *world, p *person) {
				p.goes("/portal").submits("/portal/login", "username", "ann", "password", right).goes("/portal/account/password")
			},
			[]string{"old_password", right, "new_password", "a new password"},
			func(_ *testing.T, _ *world, p *person) {
				p.sees("/portal/account/password", 200, "The new password is set")
			},
		},
		{
			"a first password", "/portal/account/password",
			func(w *world, p *person) {
				p.goes("/portal").submits("/portal/login", "username", "ann", "password", right)
				w.apply(store.SetPassword{Account: w.ann.ID, Old: w.ann.PasswordHash, New: ""})
				p.goes("/portal/account/password")
			},
			[]string{"new_password", "a new password"},
			func(_ *testing.T, _ *world, p *person) {
				p.sees("/portal/account/password", 200, "The new password is set")
			},
		},
		{
			"an expired password", "/portal/expired",
			func(w *world, p *person) {
				w.apply(store.ExpirePassword{Account: w.ann.ID})
				p.signsIn("ann", right).sees("/portal/expired", 200)
			},
			[]string{"old_password", right, "new_password", "a new password"},
			func(_ *testing.T, _ *world, p *person) { p.sees("/portal/consent", 200) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			sender := &codes{who: map[string]store.Account{}}
			w := newWorld(t, func(o *Options) { o.Codes, o.Addresses = sender, addresses{sender} })
			sender.who["ann@example.com"], sender.once = w.ann, w.st
			p := w.person()
			c.open(w, p)
			form := p.filled(c.action, c.fill...)
			before := p.cookie("__Host-gatehouse")
			p.losesTheAnswer(c.action, form)
			if p.cookie("__Host-gatehouse") != before {
				t.Fatal("the browser has the answer")
			}
			p.send("POST", c.action, form).refresh()
			c.check(t, w, p)
			for _, who := range []string{"ann@example.com", "new@example.com"} {
				if a, err := w.st.FindAccount(t.Context(), store.ByEmail, who); err == nil && len(w.sessions(a.ID)) > 1 {
					t.Errorf("%d sessions of %s", len(w.sessions(a.ID)), who)
				}
			}
		})
	}
}

// Soon afterwards, and with what was proved, and not otherwise.
func TestFormIsAnsweredAgainForAMomentOnly(t *testing.T) {
	sender := &codes{who: map[string]store.Account{}}
	w := newWorld(t, func(o *Options) { o.Codes = sender })
	sender.who["ann@example.com"], sender.once = w.ann, w.st
	w.ask(func(r *Request) { r.Client, r.Source = "own", "mail" })
	p := w.person().goes("/authorize").submits("/portal/login", "username", "ann@example.com")
	form := p.filled("/portal/code", "code", "1")
	p.losesTheAnswer("/portal/code", form)
	other := p.filled("/portal/code", "code", "2")
	p.send("POST", "/portal/code", other).sees("/portal/code", 400, "code is not right")
	w.later(repeatFor)
	p.send("POST", "/portal/code", form).sees("/portal/code", 400, "no longer good")
	if strings.Contains(p.body, "is good for") {
		t.Error("the page says that it is good")
	}
	if p.cookie("__Host-gatehouse") != "" {
		t.Error("signed in")
	}
}
