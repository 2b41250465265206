package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The pages would pass an inspection that finds nothing.
func TestTheInspectionFindsFaults(t *testing.T) {
	b := here.tab(t, looks[0])
	b.visit(here.app.URL+"/bye", "/bye")
	b.do(chromedp.Evaluate[chromedp.Void](`document.body.innerHTML = '<main><h1>Bad</h1><img src="/x.png"><input><p style="color:#999;background:#fff">grey</p></main>'; undefined`))
	found := strings.Join(b.violations(everyRule), "\n")
	if bleak := strings.Join(b.violations(colours), "\n"); !strings.Contains(bleak, "color-contrast:") {
		t.Errorf("no color-contrast among the colours: %s", bleak)
	}
	for _, rule := range []string{"image-alt", "label", "color-contrast"} {
		if !strings.Contains(found, rule+":") {
			t.Errorf("no %s in: %s", rule, found)
		}
	}
}

// A script of a registered origin may read what the issuer answers, one of
// another may not.
func TestScriptsOfRegisteredOriginsReadAnswers(t *testing.T) {
	ask := func(b *tab, client string) string {
		said, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](fmt.Sprintf(`fetch(%q, {
			method: "POST",
			body: new URLSearchParams({grant_type: "refresh_token", client_id: %q, refresh_token: "unknown"}),
		}).then(r => r.text(), e => e.name)`, here.site+"/oauth2/token", client), chromedp.EvalAwaitPromise))
		if err != nil {
			b.Fatal(err)
		}
		return said
	}
	b := here.tab(t, looks[0])
	b.visit(here.app.URL+"/bye", "/bye")
	if said := ask(b, "page"); !strings.Contains(said, "invalid_grant") {
		t.Errorf("from a registered origin: %s", said)
	}
	elsewhere := here.tab(t, looks[0])
	elsewhere.tolerant = true // the browser says that it was refused
	elsewhere.visit(strings.Replace(here.app.URL, "127.0.0.1", "localhost", 1)+"/bye", "/bye")
	if said := ask(elsewhere, "page"); said != "TypeError" {
		t.Errorf("from an unknown origin: %s", said)
	}
}
