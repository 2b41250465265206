package e2e

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// signIn goes from the app through the sign-in page and back.
func (b *tab) signIn(name string) {
	b.Helper()
	b.enter(name, password, "/callback")
	b.said("Signed in", "-")
}

// enter types a name and a password at the sign-in page, which leads on.
func (b *tab) enter(name, pass, to string) {
	b.Helper()
	b.start("client_id=shop", "/portal/login")
	b.fill("username", name, "password", pass)
	b.press("form button", to)
}

// asksForACode chooses the sign-in by mail.
func (b *tab) asksForACode(mailbox string) {
	b.Helper()
	b.start("client_id=shop", "/portal/login")
	b.press("ul.others a[href*='source=mail']", "source=mail")
	b.seen("login-mail")
	b.fill("username", mailbox)
	b.press("form button", "/portal/code")
}

// signInByCode is signIn with a code.
func (b *tab) signInByCode(mailbox string) {
	b.Helper()
	b.asksForACode(mailbox)
	b.fill("code", here.app.code(b.T, mailbox))
	b.press("form button", "/callback")
	b.said("Signed in", "-")
}

func TestSignInWithAPassword(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.start("client_id=shop", "/portal/login")
		b.seen("login")
		b.fill("username", name, "password", "not the password")
		b.press("form button", "/portal/login")
		b.shows("#problem")
		b.seen("login-wrong")
		b.fill("username", name+"@example.com", "password", password)
		b.press("form button", "/callback")
		b.said("Signed in", "-")

		// Who is signed in is not asked again, unless the app wants that.
		b.start("client_id=shop", "/callback")
		b.said("Signed in", "-")
		b.start("client_id=shop&prompt=login", "/portal/login")
		b.shows("label[for=username]")
	})
}

// A browser asks whether to send a form again, or shows a page of its own, where
// what it shows is the answer to a form.
func TestAPageIsLoadedAgainAndGoneBackTo(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		wronged := func(field, typed string) {
			b.Helper()
			b.shows("#problem")
			if got := read[string](b, `document.getElementById("`+field+`").value`); got != typed {
				b.Errorf("%s is %q", field, got)
			}
		}
		b.start("client_id=shop", "/portal/login")
		b.fill("username", name, "password", "not the password")
		b.press("form button", "/portal/login")
		wronged("username", name)
		b.leads("/portal/login", chromedp.Reload())
		wronged("username", name)
		b.press("ul.others a[href*='/portal/reset']", "/portal/reset")
		b.fill("username", "nobody")
		b.press("form button", "/portal/reset")
		wronged("username", "nobody")
		b.seen("reset-wrong")
		b.back("/portal/reset")
		b.back("/portal/login")
		wronged("username", name)
		b.fill("password", password)
		b.press("form button", "/callback")
		b.said("Signed in", "-")

		b.visit(here.site+"/portal/account", "/portal/account")
		b.fill("nickname", "Al", "zoneinfo", "half past nine")
		b.press("main form button", "/portal/account")
		b.leads("/portal/account", chromedp.Reload())
		wronged("zoneinfo", "half past nine")
		wronged("nickname", "Al")
	})
}

// The page behind the app has done its work: going back to it signs nobody in
// twice, and says what to do.
func TestGoingBackAfterTheSignIn(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.signIn(name)
		b.leads("/portal/login", chromedp.NavigateBack())
		b.seen("finished")
		b.press("main a", "/portal/account")
		b.start("client_id=shop", "/callback")
		b.said("Signed in", "-")
	})
}

// A form of the app is a form of another site: the browser sends it without the
// cookies of this one.
func TestAnAppAsksByForm(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		ask := func(query, to string) {
			b.Helper()
			b.visit(here.app.URL+"/post?client_id=shop"+query, "/post")
			b.press("form button", to)
		}
		ask("&prompt=none", "/callback")
		b.said("Refused", "login_required")
		ask("", "/portal/login")
		b.fill("username", name, "password", password)
		b.press("form button", "/callback")
		b.said("Signed in", "-")
		ask("&prompt=none", "/callback")
		b.said("Signed in", "-")
		ask("", "/callback")
		b.said("Signed in", "-")
	})
}

func TestTooManyWrongPasswordsLockTheName(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.start("client_id=shop", "/portal/login")
		for range 3 {
			b.fill("username", name, "password", "not the password")
			b.press("form button", "/portal/login")
		}
		b.fill("username", name, "password", password)
		b.press("form button", "/portal/login")
		b.shows("#problem")
		b.seen("login-locked")
		b.start("client_id=shop&prompt=none", "/callback")
		b.said("Refused", "login_required")
	})
}

func TestConsentIsTheirs(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		const orders = "client_id=other&scope=openid+profile+orders:read"
		b.start(orders, "/portal/login")
		b.fill("username", name, "password", password)
		b.press("form button", "/portal/consent")
		b.seen("consent")
		b.press("button[value=deny]", "/callback")
		b.said("Refused", "access_denied")

		b.start(orders, "/portal/consent")
		b.press("button[value=allow]", "/callback")
		b.said("Signed in", "-")
		b.start(orders, "/callback") // it was given
		b.said("Signed in", "-")
	})
}

func TestSignInWithACodeByMail(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.asksForACode(name + "@example.com")
		b.seen("code")
		code := here.app.code(t, name+"@example.com")
		b.fill("code", wrong(code))
		b.press("form button", "/portal/code")
		b.shows("#problem")
		b.seen("code-wrong")
		b.fill("code", code)
		b.press("form button", "/callback")
		b.said("Signed in", "-")
	})
}

// wrong is a code that differs in its first digit.
func wrong(code string) string {
	if code[0] == '1' {
		return "2" + code[1:]
	}
	return "1" + code[1:]
}

// The page puts the cursor where typing begins.
func TestSignInWithTheKeyboardAlone(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.start("client_id=other&scope=openid", "/portal/login")
		b.do(chromedp.KeyEvent(name+kb.Tab), chromedp.KeyEvent(password))
		b.leads("/portal/consent", chromedp.KeyEvent(kb.Enter))
		focused := func() string { return read[string](b, `document.activeElement.value ?? ""`) }
		for tabs := 0; focused() != "allow"; tabs++ {
			if tabs == 10 {
				b.Fatal("the button is out of reach")
			}
			b.do(chromedp.KeyEvent(kb.Tab))
		}
		b.photograph("consent-focus-" + b.look.name + ".png")
		b.leads("/callback", chromedp.KeyEvent(kb.Enter))
		b.said("Signed in", "-")
	})
}

func TestWhatCannotBeSentBackIsAPage(t *testing.T) {
	for _, l := range looks {
		t.Run(l.name, func(t *testing.T) {
			b := here.tab(t, l)
			b.visit(here.site+"/oauth2/authorize?client_id=shop&response_type=code&redirect_uri=https://evil.example/", "/oauth2/authorize")
			b.seen("error")
			b.visit(here.site+"/portal/login?p_state=tampered", "/portal/login")
			b.seen("error-state")
		})
	}
}

func TestAForgottenPasswordIsResetByMail(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.start("client_id=shop", "/portal/login")
		b.press("ul.others a[href*='/portal/reset']", "/portal/reset")
		b.seen("reset")
		b.fill("username", name+"@example.com")
		b.press("form button", "/portal/reset/password")
		b.seen("reset-code")
		b.fill("code", here.app.code(b.T, name+"@example.com"), "new_password", newPassword)
		b.press("form button", "/portal/login")
		b.shows("[role=status]")
		b.seen("login-after-reset")
		b.fill("username", name, "password", newPassword)
		b.press("form button", "/callback")
		b.said("Signed in", "-")
	})
}

// opens types the code that an address got, and a password.
func (b *tab) opens(mailbox, to string) {
	b.Helper()
	b.fill("code", here.app.code(b.T, mailbox), "new_password", newPassword)
	b.press("form button", to)
}

func TestSignUp(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.start("client_id=shop", "/portal/login")
		b.press("ul.others a[href*='/portal/signup']", "/portal/signup")
		b.seen("signup")
		// Who has an account already learns it from the mail alone.
		b.fill("username", name+"@example.com")
		b.press("form button", "/portal/signup/account")
		b.opens(name+"@example.com", "/portal/signup/account")
		b.shows("main a.button")
		b.seen("signup-taken")

		b.press("ul.others a[href*='/portal/signup']", "/portal/signup")
		b.seen("signup-again")
		b.fill("username", "new-"+name+"@example.com")
		b.press("form button", "/portal/signup/account")
		b.seen("signup-account")
		b.opens("new-"+name+"@example.com", "/callback")
		b.said("Signed in", "-")
	})
}

// Nobody has the address that was signed in with: the code opens an account.
func TestSignUpAfterASignIn(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		mailbox := "other-" + name + "@example.com"
		b.asksForACode(mailbox)
		b.fill("code", here.app.code(b.T, mailbox))
		b.press("form button", "/portal/signup/account")
		b.seen("signup-nobody")
		b.fill("new_password", newPassword)
		b.press("form button", "/callback")
		b.said("Signed in", "-")
	})
}
