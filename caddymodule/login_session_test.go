package caddymodule

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// age makes the token in the visitor's cookie one that is at its end.
func (p *visitor) age(host string) {
	p.Helper()
	p.ageTo(host, 0)
}

// ageTo makes it one of five minutes that has so much left.
func (p *visitor) ageTo(host string, left time.Duration) {
	p.Helper()
	end := time.Now().Add(left)
	p.reseal(host, func(plain []byte) {
		binary.BigEndian.PutUint64(plain, uint64(end.Add(-5*time.Minute).Unix()))
		binary.BigEndian.PutUint64(plain[8:], uint64(end.Unix()))
	})
}

// reseal changes what the visitor's cookie holds.
func (p *visitor) reseal(host string, change func(plain []byte)) {
	p.Helper()
	app, err := caddy.ActiveContext().App("token_issuer")
	if err != nil {
		p.Fatal(err)
	}
	var secret []byte
	if a := app.(*App); a.issuing {
		secret = a.running.Load().issuer.LoginKey()
	} else if secret, err = storedKey(p.Context(), a.ctx.Storage()); err != nil {
		p.Fatal(err)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "gatehouse login session", 32)
	if err != nil {
		p.Fatal(err)
	}
	block, _ := aes.NewCipher(key)
	aead, _ := cipher.NewGCMWithRandomNonce(block)
	sealed, err := base64.RawURLEncoding.DecodeString(p.cookies(host)[loginCookie][1:])
	if err != nil {
		p.Fatal(err)
	}
	plain, err := aead.Open(nil, nil, sealed, []byte(host))
	if err != nil {
		p.Fatal(err)
	}
	change(plain)
	p.set(host, loginCookie, "1"+base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, plain, []byte(host))))
}

// A page asks for ten things at once, all with the cookie of before.
func TestTokenAtItsEndIsRenewedOnce(t *testing.T) {
	for name, rotate := range map[string]bool{"reused": false, "rotated": true} {
		t.Run(name, func(t *testing.T) {
			w := loginWorld(t)
			if rotate {
				w.load(strings.Replace(loginGlobal, "first_party", "first_party\n\t\t\trefresh rotate", 1), loginSites)
			}
			p := w.visitor()
			p.signIn("https://app.example.com/", "alice")
			p.age("app.example.com")
			old := p.cookies("app.example.com")[loginCookie]
			var page sync.WaitGroup
			for n := range 10 {
				page.Go(func() {
					q := w.visitor()
					q.set("app.example.com", loginCookie, old)
					method, lines := http.MethodGet, []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"}
					if n%2 == 1 {
						method = http.MethodPost
					}
					a := q.do(method, "https://app.example.com/part", "", lines...)
					if a.status != http.StatusOK || a.header.Get("Cache-Control") != "private, no-store" || q.cookies("app.example.com")[loginCookie] == old {
						t.Errorf("%s: %v", method, a)
					}
				})
			}
			page.Wait()
			if n := strings.Count(w.logged(), `"grant":"refresh_token"`); n != 1 {
				t.Errorf("%d refreshes", n)
			}
			// Of another site's making, nothing is renewed.
			p.set("app.example.com", loginCookie, old)
			if a := p.do(http.MethodPost, "https://app.example.com/", "", "Sec-Fetch-Site: cross-site"); a.status != http.StatusUnauthorized || a.header["Set-Cookie"] != nil {
				t.Errorf("of another site: %v", a)
			}
			if a := p.visit("https://app.example.com/open/style.css"); a.header["Set-Cookie"] != nil {
				t.Errorf("what is open to all sets a cookie: %v", a)
			}
		})
	}
}

// What an operator writes about an account takes its tokens back, and no script or form
// of somebody who is signed in fails for it.
func TestSignInOutlivesTheTokenThatAChangeTookBack(t *testing.T) {
	for _, word := range []string{"", "optional", "shadow"} {
		w := loginWorld(t)
		w.load(loginGlobal, strings.Replace(loginSites, "\t\tlogin\n", "\t\tlogin\n\t\t"+word+"\n", 1))
		p := w.visitor()
		p.signIn("https://app.example.com/.gatehouse/login?return=/", "alice")
		old := p.cookies("app.example.com")[loginCookie]
		w.must("", []string{"user", "set", "alice", "role=admin"})
		a := p.do(http.MethodPost, "https://app.example.com/", "a=b", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors")
		if a.status != http.StatusOK || a.seen(t).Get("X-Auth-Subject") != w.userID("alice") || a.header.Get("Cache-Control") != "private, no-store" {
			t.Errorf("%q: a form after the change: %v", word, a)
		}
		if p.cookies("app.example.com")[loginCookie] == old {
			t.Errorf("%q: the cookie is the old one", word)
		}
		if a := p.visit("https://app.example.com/"); a.seen(t).Get("X-Auth-Subject") == "" || a.header["Set-Cookie"] != nil {
			t.Errorf("%q: the next page: %v", word, a)
		}
	}
}

func TestRefusedRenewalLeadsBackToTheSignIn(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	p.signIn("https://app.example.com/", "alice")
	old := p.cookies("app.example.com")[loginCookie]
	w.must("", []string{"user", "freeze", "alice"})
	if a := p.visit("https://app.example.com/"); a.status != http.StatusFound || p.cookies("app.example.com")[loginCookie] != "" {
		t.Errorf("frozen: %v", a)
	}
	p.set("app.example.com", loginCookie, old)
	p.age("app.example.com")
	if a := p.do(http.MethodGet, "https://app.example.com/", "", "Sec-Fetch-Mode: cors"); a.status != http.StatusUnauthorized {
		t.Errorf("a script: %v", a)
	}
	if left := p.cookies("app.example.com")[loginCookie]; left != "" {
		t.Errorf("the cookie is left")
	}
	page, way := p.follow("https://app.example.com/")
	if last := way[len(way)-1]; !strings.HasPrefix(last, "https://auth.example.com/portal/") || !strings.Contains(page.body, `name="password"`) {
		t.Errorf("led to %s: %v", last, page)
	}
}

// An answer that sets the cookie, or takes it away, is for one browser: out of a cache it
// would be somebody else's sign-in, or the end of it. Whoever gives it, with whatever words.
func TestAnswerThatChangesTheCookieIsInNoCache(t *testing.T) {
	const public = "public, max-age=3600"
	site := `
http://auth.example.com {
	token_issuer
}
http://app.example.com {
	header Cache-Control "` + public + `"
	token_gate WORDS
	token_gate /admin/* {
		claim role admin
	}
	reverse_proxy unix/$DIR/backend
}`
	freeze := func(w *world) { w.must("", []string{"user", "freeze", "alice"}) }
	for name, c := range map[string]struct {
		words, path string
		before      func(*world)
		fresh       bool // the token has not ended yet
		status      int
	}{
		"renewed":                         {words: "login", path: "/", status: http.StatusOK},
		"renewed, refused":                {words: "login\nclaim role admin", path: "/", status: http.StatusForbidden},
		"renewed, and refused by another": {words: "login", path: "/admin/x", status: http.StatusForbidden},
		"taken away":                      {words: "login\noptional", path: "/", before: freeze, status: http.StatusOK},
		"taken away, refused":             {words: "login", path: "/", before: freeze, status: http.StatusUnauthorized},
		"revoked, taken away":             {words: "login\noptional", path: "/", before: freeze, fresh: true, status: http.StatusOK},
		"revoked, taken away, refused":    {words: "login", path: "/", before: freeze, fresh: true, status: http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.backend(func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Cache-Control", public) })
			w.load(loginGlobal, strings.Replace(site, "WORDS", "{\n"+c.words+"\n}", 1))
			w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
			p := w.visitor()
			p.signIn("https://app.example.com/.gatehouse/login?return=/", "alice")
			if c.before != nil {
				c.before(w)
			}
			if !c.fresh {
				p.age("app.example.com")
			}
			a := p.do(http.MethodGet, "https://app.example.com"+c.path, "", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors")
			if a.status != c.status || a.header["Set-Cookie"] == nil || strings.Join(a.header["Cache-Control"], "; ") != "private, no-store" {
				t.Errorf("%v", a)
			}
			if a := p.do(http.MethodGet, "https://app.example.com/", "", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"); strings.Contains(a.header.Get("Cache-Control"), "private") {
				t.Errorf("without a change: %v", a)
			}
		})
	}
}

// A page for errors may be one for caches. It changes no cookie, and whatever was
// earned goes out with the next answer.
func TestPageOfErrorsChangesNoCookie(t *testing.T) {
	w := newWorld(t)
	w.backend(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Cache-Control", "public, max-age=3600")
	})
	w.load(loginGlobal, `
http://auth.example.com {
	token_issuer
}
http://app.example.com {
	handle_errors {
		reverse_proxy unix/$DIR/backend
	}
	token_gate {
		login
	}
	token_gate /admin/* {
		claim role admin
	}
	respond /down 502
	reverse_proxy unix/$DIR/backend
}`)
	w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
	p := w.visitor()
	p.signIn("https://app.example.com/", "alice")
	old := p.cookies("app.example.com")[loginCookie]
	p.age("app.example.com")
	lines := []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"}
	if a := p.do(http.MethodGet, "https://app.example.com/admin/x", "", lines...); a.header["Set-Cookie"] != nil {
		t.Errorf("the page of errors: %v", a)
	}
	a := p.do(http.MethodGet, "https://app.example.com/", "", lines...)
	if a.status != http.StatusOK || a.header["Set-Cookie"] == nil || a.header.Get("Cache-Control") != "private, no-store" || p.cookies("app.example.com")[loginCookie] == old {
		t.Errorf("the next answer: %v", a)
	}
	// Taken away, too.
	w.must("", []string{"user", "freeze", "alice"})
	p.age("app.example.com")
	if a := p.do(http.MethodGet, "https://app.example.com/", "", lines...); a.header["Set-Cookie"] != nil {
		t.Errorf("the page of errors when it is over: %v", a)
	}
}

// E10: signing out, and everything that was there before it.
func TestSignedOutIsSignedOutEverywhere(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	p.signIn("https://app.example.com/", "alice")
	p.follow("https://wiki.example.com/")
	old := p.cookies("app.example.com")[loginCookie]

	// A link of another site asks first, and a form of another site does nothing.
	a := p.visit("https://app.example.com/.gatehouse/logout", "Sec-Fetch-Site: cross-site")
	if a.status != http.StatusOK || !strings.Contains(a.body, "Sign out?") || p.visit("https://app.example.com/").status != http.StatusOK {
		t.Fatalf("a link of another site: %v", a)
	}
	evil := p.do(http.MethodPost, "https://app.example.com/.gatehouse/logout", "", "Sec-Fetch-Site: cross-site", "Origin: https://evil.example.net")
	if evil.status != http.StatusForbidden || p.visit("https://app.example.com/").status != http.StatusOK {
		t.Fatalf("a form of another site: %v", evil)
	}

	page, way := p.submit("https://app.example.com/.gatehouse/logout", a, url.Values{})
	to := refresh.FindStringSubmatch(page.body)
	if to == nil || page.status != http.StatusOK {
		t.Fatalf("by %q: %v", way, page)
	}
	page, way = p.follow(strings.ReplaceAll(to[1], "&amp;", "&"))
	if last := way[len(way)-1]; !strings.HasPrefix(last, "https://auth.example.com/portal/") || !strings.Contains(page.body, `name="password"`) {
		t.Errorf("signed out, led to %s by %q", last, way)
	}
	if left := p.cookies("app.example.com")[loginCookie]; left != "" {
		t.Error("the cookie is left")
	}
	p.set("app.example.com", loginCookie, old)
	if a := p.visit("https://app.example.com/"); a.status != http.StatusFound {
		t.Errorf("the cookie of before: %v", a)
	}
	// `logout tokens`: the other site is behind the same portal.
	if a := p.visit("https://wiki.example.com/"); a.status != http.StatusFound {
		t.Errorf("the other site: %v", a)
	}
}

// What a sign-in without a refresh token has is its access token, which ends with it: for a
// copy that comes to another node, or after a restart, nobody remembers who has signed out.
func TestSignedOutIsTheEndOfATokenWithoutRefresh(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	global := strings.Replace(loginGlobal, "authorization_code refresh_token", "authorization_code", 1)
	w.load(strings.Replace(global, "logout tokens", "logout session", 1), strings.Replace(loginSites, "\t\tlogin\n", "\t\tlogin\n\t\tforward token\n", 1))
	w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
	p := w.visitor()
	p.signIn("https://app.example.com/", "alice")
	copied, access := p.cookies("app.example.com")[loginCookie], w.accessOf(p, "app.example.com")
	shown := func() answer {
		return w.visitor().do(http.MethodGet, "https://app.example.com/", "", "Authorization: Bearer "+access)
	}
	if a := shown(); a.status != http.StatusOK {
		t.Fatalf("before: %v", a)
	}
	if a := p.visit("https://app.example.com/.gatehouse/logout", "Sec-Fetch-Site: same-origin"); a.status != http.StatusSeeOther {
		t.Fatalf("signing out: %v", a)
	}
	if a := shown(); a.status != http.StatusUnauthorized {
		t.Errorf("the token: %v", a)
	}
	p.set("app.example.com", loginCookie, copied)
	if a := p.do(http.MethodGet, "https://app.example.com/", "", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"); a.status != http.StatusUnauthorized {
		t.Errorf("a copy of the cookie: %v", a)
	}
}

// TestNobodyIsSignedOutByWhatAPageEmbeds (E10): a picture in somebody's comment, a script,
// and a browser that fetches the link before it is followed.
func TestNobodyIsSignedOutByWhatAPageEmbeds(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	p.signIn("https://app.example.com/", "alice")
	for name, lines := range map[string][]string{
		"picture":                             {"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", "Accept: image/png"},
		"script":                              {"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Accept: text/html"},
		"frame":                               {"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe", "Accept: text/html"},
		"prefetch":                            append([]string{"Sec-Fetch-Site: same-origin", "Sec-Purpose: prefetch"}, navigate...),
		"typed, fetched before it is entered": append([]string{"Sec-Fetch-Site: none", "Sec-Purpose: prefetch;prerender"}, navigate...),
	} {
		a := p.do(http.MethodGet, "https://app.example.com/.gatehouse/logout", "", lines...)
		if a.status != http.StatusOK || !strings.Contains(a.body, "Sign out?") || a.header["Set-Cookie"] != nil {
			t.Errorf("%s: %v", name, a)
		}
		if a := p.visit("https://app.example.com/"); a.status != http.StatusOK {
			t.Fatalf("%s: signed out: %v", name, a)
		}
	}
	if a := p.visit("https://app.example.com/.gatehouse/logout", "Sec-Fetch-Site: same-origin"); a.status != http.StatusSeeOther {
		t.Errorf("a link that is followed: %v", a)
	}
}

func TestWhoTypesTheAddressIsSignedOut(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	p.signIn("https://wiki.example.com/", "alice")
	a := p.visit("https://wiki.example.com/.gatehouse/logout", "Sec-Fetch-Site: none")
	want := "https://auth.example.com/logout?client_id=site&logout_redirect_uri=https%3A%2F%2Fwiki.example.com%2F"
	if a.status != http.StatusSeeOther || a.header.Get("Location") != want {
		t.Errorf("%v", a)
	}
}

// Signed in, and not allowed: a page that says so, and no way round.
func TestWhoMayNotIsToldSo(t *testing.T) {
	w := loginWorld(t)
	w.load(loginGlobal, strings.Replace(loginSites, "\t\tlogin\n", "\t\tlogin\n\t\tclaim role admin\n", 1))
	p := w.visitor()
	a, way := p.signIn("https://app.example.com/orders?a=b", "alice")
	if a.status != http.StatusForbidden || way[len(way)-1] != "https://app.example.com/orders?a=b" ||
		!strings.Contains(a.body, "You may not open this page") || !strings.Contains(a.body, `href="/.gatehouse/login?return=%2Forders%3Fa%3Db&amp;as=other"`) {
		t.Fatalf("by %q: %v", way, a)
	}
	if a := p.visit("https://app.example.com/", "Accept-Language: zh-CN"); !strings.Contains(a.body, "您无权打开此页面") || a.header.Get("Content-Language") != "zh-Hans" {
		t.Errorf("in Chinese: %v", a)
	}
	if a := p.do(http.MethodGet, "https://app.example.com/", "", "Sec-Fetch-Mode: cors"); a.status != http.StatusForbidden || a.body != "" {
		t.Errorf("a script: %v", a)
	}
	// As somebody else: the portal asks, although it knows alice.
	page, _ := p.follow("https://app.example.com/.gatehouse/login?return=/&as=other")
	if !strings.Contains(page.body, `name="password"`) {
		t.Errorf("as somebody else: %v", page)
	}
}

// A sign-in outlives a reload, and what was begun before it ends well.
func TestReloadSignsNobodyOut(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	back := p.toCallback("https://app.example.com/here", "alice")
	w.load(loginGlobal, loginSites+"\n# changed\nhttp://more.example.com {\n\trespond hello\n}\n")
	if a := p.visit(back); a.header.Get("Location") != "/here" {
		t.Fatalf("%v", a)
	}
	w.load(loginGlobal, loginSites)
	if a := p.visit("https://app.example.com/here"); a.status != http.StatusOK {
		t.Errorf("%v", a)
	}
}

// People are not sent away by a gate that is only tried out, or that lets everybody in.
func TestShadowAndOptionalSendNobody(t *testing.T) {
	for _, word := range []string{"shadow", "optional"} {
		w := loginWorld(t)
		w.load(loginGlobal, strings.Replace(loginSites, "\t\tlogin\n", "\t\tlogin\n\t\t"+word+"\n", 1))
		p := w.visitor()
		if a := p.visit("https://app.example.com/"); a.status != http.StatusOK || a.seen(t)["X-Auth-Subject"] != nil {
			t.Errorf("%s: %v", word, a)
		}
		if a, _ := p.signIn("https://app.example.com/.gatehouse/login?return=/me", "alice"); a.status != http.StatusOK || a.seen(t).Get("X-Auth-Subject") == "" {
			t.Errorf("%s, signed in: %v", word, a)
		}
	}
}

// What is ours is answered although a rewrite of the site's own takes every path.
func TestSinglePageSiteDoesNotSwallowTheCallback(t *testing.T) {
	w := loginWorld(t)
	w.load(loginGlobal, strings.Replace(loginSites, "\ttoken_gate {", "\trewrite * /index.html\n\ttoken_gate {", 1))
	p := w.visitor()
	if a, way := p.signIn("https://app.example.com/orders", "alice"); a.status != http.StatusOK || way[len(way)-1] != "https://app.example.com/orders" {
		t.Errorf("by %q: %v", way, a)
	}
}

// Whichever way leads to the issuer, it hears how long ago the person may have signed in
// (OpenID Connect Core §3.1.2.1): by a link of our pages, too, and in a tab that begins once
// more. A token that is too old would be answered to otherwise, again and again.
func TestEveryWayToTheIssuerSaysMaxAge(t *testing.T) {
	w := loginWorld(t)
	w.load(strings.Replace(loginGlobal, "first_party", "first_party\n\t\t\taccess_token at+jwt", 1), strings.Replace(loginSites, "\t\tlogin\n", "\t\tlogin\n\t\tmax_age 5m\n", 1))
	p, other := w.visitor(), w.visitor()
	other.visit("https://app.example.com/")
	for name, a := range map[string]answer{
		"the page":                   p.visit("https://app.example.com/page"),
		"a link":                     p.visit("https://app.example.com/.gatehouse/login?return=/page"),
		"a link, as another":         p.visit("https://app.example.com/.gatehouse/login?return=/page&as=other"),
		"a state of another browser": other.visit(p.toCallback("https://app.example.com/page", "alice")),
	} {
		to, err := url.Parse(a.header.Get("Location"))
		if err != nil || to.Path != "/oauth2/authorize" || to.Query().Get("max_age") != "300" {
			t.Errorf("%s: %d, sent to %v", name, a.status, to)
		}
	}
}
