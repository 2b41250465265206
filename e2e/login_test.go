package e2e

import (
	"context"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// getsTo goes to a page of a site behind a sign-in, and signs in.
func (b *tab) getsTo(address, name string) {
	b.Helper()
	b.visit(address, "/portal/login")
	b.fill("username", name, "password", password)
	b.press("form button", address)
	if b.text("#who") == "" {
		b.Fatalf("not signed in at %s", b.where())
	}
}

// Two sites of one server, behind one sign-in.
func TestPeopleInFrontOfABackend(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.getsTo(here.one+"/orders?year=2026", name)
		b.visit(here.two+"/", here.two+"/") // without a question
		if b.text("#who") == "" {
			b.Errorf("not signed in at %s", b.where())
		}
		b.press("form button", "/posted")
		if b.text("#path") != "/posted" {
			b.Errorf("the site's own form: %s", b.where())
		}
		b.visit(here.two+"/secret", "/secret")
		b.seen("gate-forbidden")
		b.press("main a.button", "/portal/login")
		b.leads("/secret", chromedp.NavigateBack())

		// Signed out by a link: here, at the portal and at the other site.
		b.visit(here.two+"/", here.two+"/")
		b.press("a", "/portal/login")
		b.visit(here.one+"/orders", "/portal/login")
	})
}

func TestSigningOutFromElsewhereAsks(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.getsTo(here.one+"/", name)
		b.visit(here.app.URL, "")
		b.leads("/.gatehouse/logout", chromedp.Evaluate[chromedp.Void]("location.href = '"+here.one+"/.gatehouse/logout'; undefined"))
		b.seen("gate-logout")
		b.press("form button", "/portal/login")
	})
}

// A browser that loses what the sign-in has set, on the way back.
func TestBrowserThatKeepsNoCookies(t *testing.T) {
	inEveryLook(t, func(b *tab, name string) {
		b.tolerant = true // a page of 400 is meant
		b.visit(here.one+"/", "/portal/login")
		b.forgets("one.localhost")
		b.fill("username", name, "password", password)
		b.press("form button", "/.gatehouse/callback")
		b.seen("gate-cookies")
		b.press("main a.button", here.one+"/") // the portal knows her by now
		if b.text("#who") == "" {
			b.Errorf("tried again: %s", b.where())
		}
	})
}

// forgets takes the cookies of a host away.
func (b *tab) forgets(host string) {
	b.Helper()
	for _, c := range call(b, network.GetCookies, network.GetCookiesParams{URLs: []string{"https://" + host + "/"}}).Cookies {
		call(b, network.DeleteCookies, network.DeleteCookiesParams{Name: c.Name, URL: "https://" + host + "/"})
	}
}

// A browser that is opened with all its tabs of yesterday, none of them signed in.
func TestTenTabsOpenTogether(t *testing.T) {
	here.user(t, "tentabs")
	b := here.tab(t, looks[0])
	b.getsTo(here.two+"/", "tentabs")
	b.forgets("one.localhost")
	var tabs sync.WaitGroup
	for range 10 {
		ctx, cancel := chromedp.NewContext(b.ctx)
		t.Cleanup(cancel)
		tabs.Go(func() { b.arrives(ctx) })
	}
	tabs.Wait()
}

// arrives opens a page in a tab of its own and wants it signed in.
func (b *tab) arrives(ctx context.Context) {
	another := &tab{T: b.T, look: b.look, ctx: ctx}
	if err := chromedp.Do(ctx, chromedp.Navigate(here.one+"/tab")); err != nil {
		b.Error(err)
		return
	}
	if where, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href")); err != nil || where != here.one+"/tab" {
		b.Errorf("came to %s: %v %s", where, err, another.where())
	}
}
