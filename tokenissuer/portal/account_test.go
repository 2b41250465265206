package portal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// home is a person who went to the account by herself.
func (w *world) home(name, password string) *person {
	w.t.Helper()
	p := w.person().goes("/portal")
	p.sees("/portal/login", 200)
	return p.submits("/portal/login", "username", name, "password", password)
}

func TestAccountAsksToSignInAndComesBack(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right)
	p.sees("/portal/account", 200, "My account", "ann@example.com")
	for _, path := range []string{"/portal/account", "/portal/account/password", "/portal/account/browsers", "/portal/account/apps"} {
		p.goes(path).sees(path, 200)
		w.person().goes(path).sees("/portal/login", 200)
	}
}

func TestPersonChangesTheProfile(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right)
	p.submits("/portal/account", "name", " Ann Example ", "nickname", "<b>A</b>", "zoneinfo", "Asia/Shanghai", "locale", "zh-CN")
	p.sees("/portal/account", 200, "Your changes are saved")
	got, err := w.st.Account(t.Context(), w.ann.ID)
	if err != nil || got.Name != "Ann Example" || got.Nickname != "<b>A</b>" || got.ZoneInfo != "Asia/Shanghai" || got.Locale != "zh-CN" || got.Email != "ann@example.com" {
		t.Errorf("%+v, %v", got, err)
	}
	p.goes("/portal/account/browsers").sees("/portal/account/browsers", 200, "2026-11-20 20:00 CST")
	for field, value := range map[string]string{"name": strings.Repeat("x", 257), "nickname": "a\x1bb"} {
		p.goes("/portal/account").submits("/portal/account", field, value).sees("/portal/account", 400, "too long")
	}
	for field, says := range map[string]string{"zoneinfo": "no time zone", "locale": "no language"} {
		p.goes("/portal/account").submits("/portal/account", field, "../etc/passwd").sees("/portal/account", 400, says)
	}
	p.goes("/portal/account").send("POST", "/portal/account", p.filled("/portal/account", "email", "x@example.com")).sees("/portal/account", 400)
	if again, _ := w.st.Account(t.Context(), w.ann.ID); again.Email != got.Email || again.Name != got.Name {
		t.Errorf("%+v", again)
	}
}

func TestPasswordChangeSignsOutEverywhereElse(t *testing.T) {
	w := newWorld(t, nil)
	elsewhere := w.home("ann", right)
	p := w.home("ann", right)
	before := p.cookie("__Host-gatehouse")
	w.apply(store.PutFamily{Family: store.Family{ID: "f", Account: w.ann.ID, Client: "shop", AuthTime: noon, Created: noon, Expires: noon.Add(time.Hour)}})
	p.goes("/portal/account/password")
	if p.filled("/portal/account/password").Get("username") != "ann" {
		t.Error("a password manager would not know whose password this is")
	}
	for _, c := range []struct{ old, fresh, says string }{
		{"", "a new password", "Enter your password"},
		{"wrong", "a new password", "current password is not right"},
		{right, "short", "at least 8 characters"},
		{right, "ann@example.com", "not your name"},
		{right, right, "is the current one"},
	} {
		p.submits("/portal/account/password", "old_password", c.old, "new_password", c.fresh).sees("/portal/account/password", 400, c.says)
		if strings.Contains(p.body, c.fresh) && c.fresh != "ann@example.com" {
			t.Errorf("%q is on the page", c.fresh)
		}
	}
	p.submits("/portal/account/password", "old_password", right, "new_password", "a new password").sees("/portal/account/password", 200, "The new password is set")
	if p.cookie("__Host-gatehouse") == before {
		t.Error("the cookie stayed")
	}
	p.goes("/portal/account").sees("/portal/account", 200)
	elsewhere.goes("/portal/account").sees("/portal/login", 200)
	if f, err := w.st.Family(t.Context(), "f"); err != nil || f.Revoked.IsZero() {
		t.Errorf("the app's sign-in goes on: %+v %v", f, err)
	}
	if !slices.Equal(w.ended, []string{"all of " + w.ann.ID}) {
		t.Errorf("ended %v", w.ended)
	}
	w.home("ann", right).sees("/portal/login", 400)
	w.home("ann", "a new password").sees("/portal/account", 200)
}

func TestGuessingThePresentPasswordLocks(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right).goes("/portal/account/password")
	for range 5 {
		p.submits("/portal/account/password", "old_password", "wrong", "new_password", "a new password").sees("/portal/account/password", 400, "not right")
	}
	p.submits("/portal/account/password", "old_password", right, "new_password", "a new password").sees("/portal/account/password", 400, "too many attempts")
}

// An account that was opened with a code gets its first password from who has
// signed in with one lately, and nobody is asked for a password that is not there.
func TestAccountWithoutPasswordGetsItsFirst(t *testing.T) {
	sender := &codes{who: map[string]store.Account{}}
	w := newWorld(t, func(o *Options) { o.Codes, o.Order = sender, []string{"mail", "staff"} })
	sender.who["ann@example.com"] = w.ann
	w.apply(store.SetPassword{Account: w.ann.ID, Old: "*", New: ""})
	signIn := func(p *person) *person {
		p.submits("/portal/login", "username", "ann@example.com")
		return p.submits("/portal/code", "code", strconv.Itoa(len(sender.sent)))
	}
	elsewhere := signIn(w.person().goes("/portal"))
	p := signIn(w.person().goes("/portal")).goes("/portal/account/password")
	p.sees("/portal/account/password", 200, "Set a password", "This account signs in with codes", "At least 8 characters")
	if strings.Contains(p.body, "old_password") || p.filled("/portal/account/password").Get("username") != "ann" {
		t.Error(p.body)
	}
	p.submits("/portal/account/password", "new_password", "short").sees("/portal/account/password", 400, "at least 8 characters")
	form := p.filled("/portal/account/password", "new_password", "a new password")

	w.later(freshFor)
	p.send("POST", "/portal/account/password", form).sees("/portal/login", 200, "Sign in once more")
	signIn(p).sees("/portal/account/password", 200)
	signedIn := w.now
	w.later(time.Minute)
	form = p.filled("/portal/account/password", "new_password", "a new password")
	p.send("POST", "/portal/account/password", form).sees("/portal/account/password", 200, "The new password is set", "Current password")
	if strings.Contains(textOf(p.page), "signs you out") {
		t.Error("what has happened is announced")
	}
	p.send("POST", "/portal/account/password", form).sees("/portal/account/password", 200, "The new password is set") // pressed twice
	if s := w.sessions(w.ann.ID); len(s) != 1 || s[0].Source != "mail" || !slices.Equal(s[0].AMR, []string{"otp"}) || !s[0].AuthTime.Equal(signedIn) {
		t.Errorf("the sign-in is that of before: %+v", s)
	}
	elsewhere.goes("/portal/account").sees("/portal/login", 200)
	q := w.person().goes("/portal")
	q.goes("/portal/login?source=staff&p_state="+q.stateOf()).submits("/portal/login", "username", "ann", "password", "a new password").sees("/portal/account", 200)
}

func TestAccountWithoutANameForPasswordsHasNone(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right)
	w.apply(store.UpdateAccount{Account: store.Account{ID: w.ann.ID, Phone: "+8613800138000"}})
	p.goes("/portal/account/password").sees("/portal/account/password", 200, "without a password")
	form := url.Values{"form_token": {p.goes("/portal/logout").filled("/portal/logout").Get("form_token")}, "new_password": {"a new password"}}
	p.send("POST", "/portal/account/password", form).sees("/portal/account/password", 200, "without a password")
}

func TestPersonEndsAnotherBrowser(t *testing.T) {
	w := newWorld(t, nil)
	w.create("bob", "another password")
	phone := w.person()
	phone.agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1"
	phone.goes("/portal").submits("/portal/login", "username", "ann", "password", right)
	lost := w.sessions(w.ann.ID)[0]
	bob := w.home("bob", "another password")

	p := w.home("ann", right).goes("/portal/account/browsers")
	p.sees("/portal/account/browsers", 200, "Safari on iPhone", "Firefox on Linux", "this browser")
	if n := strings.Count(p.body, `name="end"`); n != 1 {
		t.Errorf("%d buttons, want one: not for this browser", n)
	}
	// Bob cannot, though he knows the id.
	bob.goes("/portal/account")
	form := bob.filled("/portal/account")
	bob.send("POST", "/portal/account/browsers", map[string][]string{"form_token": form["form_token"], "end": {lost.ID}}).sees("/portal/account/browsers", 200)
	if !slices.ContainsFunc(w.sessions(w.ann.ID), func(s store.Session) bool { return s.ID == lost.ID }) {
		t.Fatal("he could")
	}

	own := w.sessions(w.ann.ID)
	i := slices.IndexFunc(own, func(s store.Session) bool { return s.ID != lost.ID })
	p.send("POST", "/portal/account/browsers", p.filled("/portal/account/browsers", "end", own[i].ID)).sees("/portal/account/browsers", 400)
	p.goes("/portal/account/browsers")

	phone.goes("/portal/account").sees("/portal/account", 200)
	p.submits("/portal/account/browsers", "end", lost.ID).sees("/portal/account/browsers", 200, "That browser is signed out")
	phone.goes("/portal/account").sees("/portal/login", 200)
	if !slices.Equal(w.ended, []string{lost.ID}) {
		t.Errorf("ended %v", w.ended)
	}
}

func TestPersonEndsAnApp(t *testing.T) {
	w := newWorld(t, nil)
	bob := w.create("bob", "another password")
	p := w.person().signsIn("ann", right).allows()
	session := w.sessions(w.ann.ID)[0].ID
	family := func(id, account, client string) store.Write {
		return store.PutFamily{Family: store.Family{
			ID: id, Account: account, Client: client, Scopes: []string{"openid", "email"}, AuthTime: noon, Created: noon, Expires: noon.Add(time.Hour),
		}}
	}
	w.apply(family("one", w.ann.ID, "shop"), family("two", w.ann.ID, "shop"), family("own", w.ann.ID, "own"), family("bobs", bob.ID, "shop"),
		store.PutCode{Code: store.Code{Hash: store.Hash{1}, Client: "shop", Account: w.ann.ID, Session: session, AuthTime: noon, Expires: noon.Add(time.Minute)}})

	p.goes("/portal/account/apps").sees("/portal/account/apps", 200, "The Shop", "Ours", "See your orders", "See your e-mail address")
	p.send("POST", "/portal/account/apps", p.filled("/portal/account/apps", "end", "shop")).sees("/portal/account/apps", 200, "no access any more")
	if strings.Contains(textOf(p.page), "The Shop") {
		t.Error("the app is still there")
	}
	for id, ended := range map[string]bool{"one": true, "two": true, "own": false, "bobs": false} {
		if f, err := w.st.Family(t.Context(), id); err != nil || f.Revoked.IsZero() == ended {
			t.Errorf("sign-in %s: ended %v, want %v (%v)", id, !f.Revoked.IsZero(), ended, err)
		}
	}
	if _, err := w.st.Code(t.Context(), store.Hash{1}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the code on its way: %v", err)
	}
	p.goes("/portal/account/apps")
	p.send("POST", "/portal/account/apps", p.filled("/portal/account/apps", "end", "shop")).sees("/portal/account/apps", 200, "has no access any more") // pressed twice
	p.goes("/authorize").sees("/portal/consent", 200)                                                                                                   // it has to ask again
}

func TestAppIsToldOfWhatItLoses(t *testing.T) {
	var told []string
	w := newWorld(t, func(o *Options) {
		o.Tell = func(_ time.Time, account string) store.Write {
			return store.TellEnded{Message: func(session, client string) (store.Delivery, bool) {
				told = append(told, session+" "+account+" "+client)
				return store.Delivery{}, false
			}}
		}
	})
	p := w.home("ann", right)
	for id, session := range map[string]string{"by API": "", "one": "long ago", "by API, too": ""} {
		w.apply(store.PutFamily{Family: store.Family{ID: id, Account: w.ann.ID, Client: "shop", Session: session, AuthTime: noon, Created: noon, Expires: noon.Add(time.Hour)}})
	}
	p.goes("/portal/account/apps").submits("/portal/account/apps", "end", "shop").sees("/portal/account/apps", 200)
	if f, err := w.st.Family(t.Context(), "by API"); err != nil || f.Revoked.IsZero() || !slices.Equal(told, []string{"long ago " + w.ann.ID + " shop"}) {
		t.Errorf("%+v %v, told %v", f, err, told)
	}
}

func TestSignOutEndsTheSession(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right)
	old := p.cookie("__Host-gatehouse")
	id := w.sessions(w.ann.ID)[0].ID
	p.goes("/portal/logout").sees("/portal/logout", 200, "Sign out?", "ann")
	if len(w.sessions(w.ann.ID)) != 1 {
		t.Error("a link signs out")
	}
	p.submits("/portal/logout").sees("/portal/logout", 200, "You are signed out")
	if p.cookie("__Host-gatehouse") != "" || len(w.sessions(w.ann.ID)) != 0 || !slices.Equal(w.ended, []string{id}) {
		t.Errorf("cookie %q, ended %v", p.cookie("__Host-gatehouse"), w.ended)
	}
	p.goes("/portal/account").sees("/portal/login", 200)
	thief := w.person()
	thief.header.Set("Cookie", "__Host-gatehouse="+old)
	if thief.once("GET", "/portal/account", nil); thief.status != 303 || !strings.HasPrefix(thief.head.Get("Location"), "/portal/login?") {
		t.Errorf("the old cookie: %d %s", thief.status, thief.head.Get("Location"))
	}
}

func TestFormOfTheAccountAfterTheSessionLeadsToTheSignIn(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right)
	form := p.filled("/portal/account", "name", "Mallory")
	w.later(13 * time.Hour)
	p.send("POST", "/portal/account", form).sees("/portal/login", 200)
	if a, _ := w.st.Account(t.Context(), w.ann.ID); a.Name != "" {
		t.Errorf("the name is %q", a.Name)
	}
}

func TestFrozenAccountIsOutAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right)
	w.apply(w.accounts.SetState(noon, "operator", w.ann, store.Frozen)...)
	p.goes("/portal/account").sees("/portal/login", 200)
}

func TestSessionStaysWhereItsEndCannotBeTold(t *testing.T) {
	failing := errors.New("no")
	w := newWorld(t, nil)
	p := w.home("ann", right).goes("/portal/logout")
	w.p.o.End = func(context.Context, time.Time, store.Session) ([]store.Write, error) {
		return nil, oauth.Wrap(oauth.TemporarilyUnavailable, oauth.StoreUnavailable, failing)
	}
	p.submits("/portal/logout").sees("/portal/logout", 503)
	if len(w.sessions(w.ann.ID)) != 1 {
		t.Error("the session is gone")
	}
}

func TestSessionShowsWhenItWasUsed(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right)
	w.later(store.SeenAfter)
	p.goes("/portal/account")
	if s := w.sessions(w.ann.ID); !s[0].Seen.Equal(noon) {
		t.Errorf("seen %v: a write for each page", s[0].Seen)
	}
	w.later(time.Minute)
	p.goes("/portal/account")
	if s := w.sessions(w.ann.ID); !s[0].Seen.Equal(noon.Add(2 * time.Minute)) {
		t.Errorf("seen %v", s[0].Seen)
	}
}

func TestZones(t *testing.T) {
	for name, want := range map[string]string{
		"": "UTC", "Asia/Shanghai": "Asia/Shanghai", "Nowhere/Else": "UTC", "Local": "UTC", "../../etc/passwd": "UTC", "/etc/localtime": "UTC",
	} {
		if got := zoneOf(store.Account{ZoneInfo: name}).String(); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

// A client that gets its first sign-in while the end is being arranged is asked
// for again, so that it is told.
func TestSignOutSeesTheClientThatCameMeanwhile(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right).goes("/portal/logout")
	asked := 0
	w.p.o.End = func(_ context.Context, _ time.Time, s store.Session) ([]store.Write, error) {
		if asked++; asked == 1 {
			w.apply(store.PutFamily{Family: store.Family{ID: "f", Account: w.ann.ID, Client: "shop", Session: s.ID, Expires: noon.Add(time.Hour)}})
		}
		return nil, nil
	}
	p.submits("/portal/logout").sees("/portal/logout", 200, "You are signed out")
	if asked != 2 || len(w.sessions(w.ann.ID)) != 0 {
		t.Errorf("asked %d times, want twice", asked)
	}
}

// Each change leaves an event that is kept for a year, and so they are counted;
// what changes nothing is none.
func TestProfileIsNotChangedWithoutEnd(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right)
	for n := range 60 {
		p.send("POST", "/portal/account", p.filled("/portal/account", "name", fmt.Sprint("Ann ", n+1)))
	}
	p.sees("/portal/account", 200)
	form := p.filled("/portal/account", "name", "Ann again")
	p.send("POST", "/portal/account", p.filled("/portal/account")).sees("/portal/account", 200)
	if p.send("POST", "/portal/account", form).sees("/portal/account", 429); p.head.Get("Retry-After") == "" {
		t.Error("when to come back is not said")
	}
	if who, err := w.st.Account(t.Context(), w.ann.ID); err != nil || who.Name != "Ann 60" {
		t.Errorf("%q %v", who.Name, err)
	}
	w.later(time.Hour)
	p.send("POST", "/portal/account", form).sees("/portal/account", 200)
}

// What a page says of a deed is said after the deed: a link of another site, or in a
// mail, cannot have it said.
func TestNoticeIsNotPutIntoOurMouth(t *testing.T) {
	w := newWorld(t, nil)
	p := w.home("ann", right)
	for _, from := range []string{"cross-site", "same-site", "none"} {
		p.header = http.Header{"Sec-Fetch-Site": {from}}
		for _, path := range []string{"/portal/account", "/portal/account/password", "/portal/account/apps", "/portal/account/browsers"} {
			for _, notice := range []string{"is set", "are saved", "no access any more", "signed out."} {
				if p.goes(path + "?done=1"); strings.Contains(p.body, notice) {
					t.Errorf("%s from %s: %q", path, from, notice)
				}
			}
		}
	}
}
