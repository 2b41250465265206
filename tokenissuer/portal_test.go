package tokenissuer_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// peopled is a configuration with codes, whose client sends people to the
// portal.
func (p *post) peopled() tokenissuer.Config {
	c := p.otp()
	shop := &c.Clients[0]
	shop.Grants = append(shop.Grants, "authorization_code")
	shop.RedirectURIs, shop.FirstParty = []string{callback}, true
	return c
}

const toPortal = "/oauth2/authorize?response_type=code&client_id=shop&scope=openid&state=s&redirect_uri=" + callback

var links = regexp.MustCompile(`href="([^"]+)"`)

// click follows the first link of a page to an address with this part.
func (b *browser) click(page answer, part string) answer {
	b.t.Helper()
	for _, m := range links.FindAllStringSubmatch(page.body, -1) {
		if strings.Contains(m[1], part) {
			return b.get(strings.ReplaceAll(m[1], "&amp;", "&"))
		}
	}
	b.t.Fatalf("no link to %s: %s", part, page.body)
	return answer{}
}

func TestPersonSignsInAtThePortalByCode(t *testing.T) {
	p := newPost(t)
	s := start(t, p.peopled())
	s.person(number, mailbox)
	b := s.browser()
	page := b.follow(b.get(toPortal))
	for to, source := range map[string]string{e164: "", mailbox: "source=mail"} {
		at := page
		if source != "" {
			at = b.click(page, source)
		}
		form := b.follow(b.submit(at, "username", to))
		if form.status != http.StatusOK || !strings.Contains(form.body, `autocomplete="one-time-code"`) {
			t.Fatalf("%s: %d %s", to, form.status, form.body)
		}
		if a := b.submit(form, "code", wrong(p.code(to))); a.status != http.StatusBadRequest || !strings.Contains(a.body, "The code is not right") {
			t.Errorf("%s, wrong: %d %s", to, a.status, a.body)
		}
		if a := b.follow(b.submit(form, "code", p.code(to))); !strings.HasPrefix(a.header.Get("Location"), callback+"?code=") {
			t.Errorf("%s: %d %v", to, a.status, a.header)
		}
		b = s.browser()
		page = b.follow(b.get(toPortal))
	}
	if a := b.submit(b.click(page, "source=mail"), "username", "not an address"); a.status != http.StatusBadRequest || !strings.Contains(a.body, "That is no e-mail address") {
		t.Errorf("malformed: %d %s", a.status, a.body)
	}
}

func TestForgottenPasswordIsResetAtThePortal(t *testing.T) {
	p := newPost(t)
	s := start(t, p.peopled())
	if _, err := s.issuer.AddUser(t.Context(), tokenissuer.NewUser{Username: "ann", Email: mailbox, Password: "the old password"}); err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	ask := b.click(b.click(b.follow(b.get(toPortal)), "source=staff"), "/portal/reset")
	nobody := b.follow(b.submit(ask, "username", "nobody@example.com"))
	form := b.follow(b.submit(ask, "username", mailbox))
	if form.status != http.StatusOK || nobody.status != http.StatusOK {
		t.Fatalf("%d, %d", form.status, nobody.status)
	}
	p.await(t, 1)
	if a := b.submit(nobody, "code", p.code(mailbox), "new_password", "the new password"); a.status != http.StatusBadRequest {
		t.Errorf("another's code: %d", a.status)
	}
	login := b.follow(b.submit(form, "code", p.code(mailbox), "new_password", "the new password"))
	if login.status != http.StatusOK || !strings.Contains(login.body, "The password is set") {
		t.Fatalf("%d %s", login.status, login.body)
	}
	if a := b.submit(form, "code", p.code(mailbox), "new_password", "a third password"); a.status != http.StatusBadRequest {
		t.Errorf("the code again: %d", a.status)
	}
	login = b.click(login, "source=staff")
	if a := b.submit(login, "username", "ann", "password", "the old password"); a.status != http.StatusBadRequest {
		t.Errorf("the old password: %d", a.status)
	}
	if a := b.follow(b.submit(login, "username", "ann", "password", "the new password")); !strings.HasPrefix(a.header.Get("Location"), callback+"?code=") {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

func TestPersonOpensAnAccountAtThePortal(t *testing.T) {
	p := newPost(t)
	c := p.peopled()
	c.Clients[0].SignUp = true
	s := start(t, c)
	for _, to := range []string{e164, "new@example.com"} {
		b := s.browser()
		code := b.follow(b.submit(b.click(b.follow(b.get(toPortal)), "/portal/signup"), "username", to))
		if code.status != http.StatusOK {
			t.Fatalf("%s: %d %s", to, code.status, code.body)
		}
		// The number signs in with a password, the address by code.
		fields := []string{"code", p.code(to)}
		if to == e164 {
			fields = append(fields, "new_password", "the new password")
		} else if strings.Contains(code.body, "new_password") {
			t.Errorf("%s: a password is asked for that nothing would take", to)
		}
		if a := b.follow(b.submit(code, fields...)); !strings.HasPrefix(a.header.Get("Location"), callback+"?code=") {
			t.Errorf("%s: %d %s", to, a.status, a.body)
		}
		if u, err := s.issuer.User(t.Context(), to); err != nil || u.State != "active" {
			t.Errorf("%s: %+v %v", to, u, err)
		}
		if a := b.submit(code, fields...); a.status != http.StatusBadRequest {
			t.Errorf("%s, the code again: %d", to, a.status)
		}
	}
}

func TestPersonSignsInToTheAccountByCode(t *testing.T) {
	p := newPost(t)
	s := start(t, p.peopled())
	s.person("", mailbox)
	b := s.browser()
	page := b.click(b.follow(b.get("/portal/account")), "source=mail")
	form := b.follow(b.submit(page, "username", mailbox))
	if a := b.follow(b.submit(form, "code", p.code(mailbox))); a.status != http.StatusOK || !strings.Contains(a.body, "My account") || !strings.Contains(a.body, mailbox) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPortalWithoutItsSlash(t *testing.T) {
	s := start(t, authorizing())
	b := s.browser()
	for from, to := range map[string]string{"/portal": "/portal/", "/portal?lang=zh": "/portal/?lang=zh", "/portal/": "/portal/account"} {
		if a := b.get(from); a.status != http.StatusSeeOther || a.header.Get("Location") != to {
			t.Errorf("%s: %d %v", from, a.status, a.header)
		}
	}
	if a := b.do(http.MethodPost, "https://auth.example.com/portal", "x=y"); a.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", a.status)
	}
}

// The mailbox that an account had opens nothing after it has another, not even with
// a code that was sent before.
func TestPersonMovesToAnotherMailbox(t *testing.T) {
	p := newPost(t)
	s := start(t, p.peopled())
	if _, err := s.issuer.AddUser(t.Context(), tokenissuer.NewUser{Username: "ann", Email: mailbox, Password: password}); err != nil {
		t.Fatal(err)
	}
	finder := s.browser()
	reset := finder.follow(finder.submit(finder.click(finder.click(finder.follow(finder.get(toPortal)), "source=staff"), "/portal/reset"), "username", mailbox))
	p.await(t, 1)
	old := p.code(mailbox)

	b := s.browser()
	profile := b.follow(b.submit(b.follow(b.get("/portal/account")), "username", "ann", "password", password))
	form := b.follow(b.submit(b.click(profile, "/portal/account/email"), "email", "new@example.com"))
	if a := b.submit(form, "code", old); a.status != http.StatusBadRequest {
		t.Errorf("a code for another mailbox: %d", a.status)
	}
	if a := b.follow(b.submit(form, "code", p.code("new@example.com"))); a.status != http.StatusOK || !strings.Contains(a.body, "new@example.com") || strings.Contains(a.body, mailbox) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := finder.submit(reset, "code", old, "new_password", "a password of the finder"); a.status != http.StatusBadRequest {
		t.Errorf("the old mailbox sets a password: %d", a.status)
	}
	if u, err := s.issuer.User(t.Context(), "ann"); err != nil || u.Email != "new@example.com" {
		t.Errorf("%+v %v", u, err)
	}
}

// Who takes an app's access back has signed out of it: the app is told as at any
// other end, and the others are not.
func TestEndedAppIsTold(t *testing.T) {
	told, other := listen(t), listen(t)
	list := authorizing().Clients
	for n := range list {
		switch list[n].ID {
		case "shop":
			list[n].BackchannelLogoutURI = told.URL
		case "spa":
			list[n].BackchannelLogoutURI = other.URL
		}
	}
	s := start(t, tokenissuer.Config{Clients: list})
	u := s.user("alice", "")
	b := s.browser()
	tokens := s.good(redeemShop(b.signedIn(authorizePath("shop"), "alice").Get("code")))
	code := b.signedIn(authorizePath("spa", "code_challenge", challenge(), "code_challenge_method", "S256"), "alice").Get("code")
	spa := s.good(form("client_id", "spa", "grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier))
	_, id := decoded(t, tokens.text(t, "id_token"))
	sid := regexpSID.FindString(id)

	apps := b.get("/portal/account/apps")
	_, apps.body, _ = strings.Cut(apps.body, "<strong>shop</strong>")
	if a := b.follow(b.submit(apps, "end", "shop")); !strings.Contains(a.body, "no access any more") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	_, notice := decoded(t, told.next(t))
	if sid == "" || !strings.Contains(notice, sid) || !strings.Contains(notice, `"sub":"`+u.ID+`"`) || !strings.Contains(notice, `"aud":"shop"`) {
		t.Errorf("%s, session %s", notice, sid)
	}
	want(t, s.token(redeemed(tokens.text(t, "refresh_token"))), http.StatusBadRequest, errorOf("invalid_grant"))
	if got := s.userinfoStatus(spa.text(t, "access_token")); got != http.StatusOK {
		t.Errorf("the other app: %d", got)
	}
	b.signedIn(authorizePath("spa", "code_challenge", challenge(), "code_challenge_method", "S256"), "") // the browser is signed in
	select {
	case raw := <-other.got:
		t.Errorf("the other app is told: %s", raw)
	default:
	}
}
