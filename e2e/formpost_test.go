package e2e

import "testing"

// An app that asks for response_mode=form_post gets its answer in a form that
// the browser posts: by itself, or by a button where scripts are off.
func TestAnAnswerIsPosted(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		const asked = "client_id=shop&response_mode=form_post"
		posted := func(title, text, act string, doing func(to string)) {
			b.Helper()
			if b.scripts {
				doing("/callback")
			} else {
				doing(act)
				if b.text("form[method=post] button") == "" {
					b.Fatalf("no button at %s", b.where())
				}
				for _, violation := range b.violations(everyRule) {
					b.Error(violation)
				}
				b.photograph("form-post-" + b.look.name + ".png")
				b.press("form button", "/callback")
			}
			b.said(title, text)
		}

		posted("Refused", "login_required by POST", "/oauth2/authorize", func(to string) { b.start(asked+"&prompt=none", to) })
		b.start(asked, "/portal/login")
		b.fill("username", name, "password", password)
		posted("Signed in", " by POST", "/portal/return", func(to string) { b.press("form button", to) })
		posted("Signed in", " by POST", "/oauth2/authorize", func(to string) { b.start(asked, to) })
		b.start("client_id=shop", "/callback") // and in the address where nothing was asked
		b.said("Signed in", " by GET")
	})
}
