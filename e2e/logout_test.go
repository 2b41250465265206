package e2e

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// A form of the app is a form of another site: the browser sends it without the
// session's cookie, and the sign-out happens none the less.
func TestAnAppSignsOutByForm(t *testing.T) {
	name := "signs-out-by-form"
	here.user(t, name)
	b := here.tab(t, looks[0])
	b.signIn(name)
	b.leads("/bye", chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`
		const form = document.createElement("form")
		form.method = "post"
		form.action = %q
		form.innerHTML = "<input name=client_id value=shop>"
		document.body.append(form)
		form.submit()`, here.site+"/logout")))
	b.start("client_id=shop&prompt=none", "/callback")
	b.said("Refused", "login_required")
}
