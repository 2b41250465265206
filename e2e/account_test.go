package e2e

import (
	"strings"
	"testing"
)

const newPassword = "another horse with a staple"

func TestAnAccountIsItsOwners(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.signIn(name)
		elsewhere := here.tab(b.T, b.look)
		elsewhere.signIn(name)

		b.visit(here.site+"/portal/account", "/portal/account")
		b.seen("profile")
		b.fill("nickname", `<b>"Al"</b>`, "zoneinfo", "half past nine")
		b.press("main form button", "/portal/account")
		b.shows("#problem")
		b.seen("profile-wrong")
		b.fill("nickname", `<b>"Al"</b>`, "zoneinfo", "Europe/Berlin")
		b.press("main form button", "/portal/account")
		b.shows("[role=status]")
		if got := read[string](b, `document.querySelector("#nickname").value`); got != `<b>"Al"</b>` {
			b.Errorf("the nickname came back as %s", got)
		}
		b.seen("profile-saved")

		b.press(".menu a[href^='/portal/account/browsers']", "/portal/account/browsers")
		b.seen("browsers")
		b.press("main form button", "/portal/account/browsers")
		b.shows("[role=status]")
		elsewhere.start("client_id=shop", "/portal/login") // it was ended

		b.press(".menu a[href^='/portal/account/apps']", "/portal/account/apps")
		b.seen("apps")
		b.press("main form button", "/portal/account/apps")
		b.shows("[role=status]")
		b.seen("apps-ended")
	})
}

func TestMoveToAnotherMailbox(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.signIn(name)
		b.visit(here.site+"/portal/account", "/portal/account")
		b.press("dl a[href^='/portal/account/email']", "/portal/account/email")
		b.seen("contact")
		b.fill("email", "no address")
		b.press("main form button", "/portal/account/email")
		b.shows("#problem")
		b.seen("contact-wrong")
		moved := name + ".moved@example.com"
		b.fill("email", moved)
		b.press("main form button", "/portal/account/email/code")
		b.seen("contact-code")
		b.fill("code", "no code")
		b.press("main form button", "/portal/account/email/code")
		b.shows("#problem")
		b.fill("code", here.app.code(b.T, moved))
		b.press("main form button", "/portal/account")
		b.shows("[role=status]")
		b.seen("contact-done")
		if !strings.Contains(b.text("dl"), moved) {
			b.Errorf("the page shows %s", b.text("dl"))
		}
		b.press(".menu a[href^='/portal/logout']", "/portal/logout")
		b.press("main form button", "/portal/")
		b.signIn(moved)
	})
}

func TestChangeThePassword(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.signIn(name)
		elsewhere := here.tab(b.T, b.look)
		elsewhere.signIn(name)

		b.visit(here.site+"/portal/account/password", "/portal/account/password")
		b.seen("password")
		b.fill("old_password", "not the password", "new_password", newPassword)
		b.press("main form button", "/portal/account/password")
		b.shows("#problem")
		b.seen("password-wrong")
		b.fill("old_password", password, "new_password", newPassword)
		b.press("main form button", "/portal/account/password")
		b.shows("[role=status]")
		elsewhere.enter(name, password, "/portal/login") // signed out everywhere else
		elsewhere.shows("#problem")
		elsewhere.fill("username", name, "password", newPassword)
		elsewhere.press("form button", "/callback")
		elsewhere.said("Signed in", "-")
		b.start("client_id=shop", "/callback") // but not here
		b.said("Signed in", "-")
	})
}

// An account that was opened without a password gets one from who signed in with
// a code.
func TestSetTheFirstPassword(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		mailbox := "coded-" + name + "@example.com"
		here.add(b.T, "", "coded-"+name, "--email", mailbox)
		b.signInByCode(mailbox)
		b.visit(here.site+"/portal/account/password", "/portal/account/password")
		b.seen("password-first")
		b.fill("new_password", newPassword)
		b.press("main form button", "/portal/account/password")
		b.shows("[role=status]")
		b.seen("password-first-done")
		elsewhere := here.tab(b.T, b.look)
		elsewhere.enter(mailbox, newPassword, "/callback")
		elsewhere.said("Signed in", "-")
	})
}

// Names are as long as people are called, and addresses have no place to break.
func TestLongNamesFit(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		long := name + "." + strings.Repeat("somebody", 5)
		mailbox := name + "@" + strings.Repeat("subdomain.", 8) + "example.com"
		here.add(b.T, password, long, "--email", mailbox, "--display-name", strings.Repeat("Maximiliana ", 8)+"Example", "--password-stdin")
		b.start("client_id=other&scope=openid+profile+orders:read", "/portal/login")
		b.fill("username", long, "password", "not the password")
		b.press("form button", "/portal/login")
		b.seen("long-login-wrong")
		b.fill("password", password)
		b.press("form button", "/portal/consent")
		b.seen("long-consent")
		b.visit(here.site+"/portal/account", "/portal/account")
		b.seen("long-profile")
		b.visit(here.site+"/portal/account/apps", "/portal/account/apps")
		b.seen("apps-none")
		b.visit(here.site+"/portal/account/email", "/portal/account/email")
		b.fill("email", mailbox+"/wrong")
		b.press("main form button", "/portal/account/email")
		b.seen("long-contact-wrong")
		b.visit(here.site+"/portal/logout", "/portal/logout")
		b.seen("long-logout")
	})
}

func TestSignOut(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.signIn(name)
		b.visit(here.site+"/portal/account", "/portal/account")
		b.press(".menu a[href^='/portal/logout']", "/portal/logout")
		b.seen("logout")
		b.press("main form button", "/portal/")
		b.seen("bye")
		b.start("client_id=shop", "/portal/login")

		// An app may ask for it, too, and gets its person back.
		b.fill("username", name, "password", password)
		b.press("form button", "/callback")
		b.visit(here.site+"/logout?client_id=shop", "/bye")
		b.start("client_id=shop", "/portal/login")
	})
}

func TestTheLanguageIsChosenOnThePage(t *testing.T) {
	for _, l := range looks {
		t.Run(l.name, func(t *testing.T) {
			b := here.tab(t, l)
			b.start("client_id=shop", "/portal/login")
			other := map[string]string{"en": "zh", "zh": "en"}[l.lang]
			b.press("footer a[lang^="+other+"]", "/portal/login")
			b.lang = other
			b.seen("login-chosen")
			b.fill("username", "nobody-"+l.name, "password", "nothing at all")
			b.press("form button", "/portal/login")
			b.seen("login-chosen-wrong") // it stays chosen
		})
	}
}
