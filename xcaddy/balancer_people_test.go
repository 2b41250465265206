package main

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// Somebody behind the balancer never knows which node answers, and every request is
// another one's.
func TestNodesBehindABalancer(t *testing.T) {
	t.Parallel()
	for name, by := range balancing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBalanced(t, by)
			b.portal()
			b.cookie()
			b.message("13600001234")
			b.revocation()
			b.addresses()
			b.outlive()
		})
	}
}

// seenFrom asks again and again and wants one answer, until each of the nodes has
// given it.
func (b *balanced) seenFrom(what string, status int, ask func() answer) {
	b.Helper()
	nodes := map[string]int{}
	for n := 0; len(nodes) < len(b.nodes) || n < 2*len(b.nodes); n++ {
		a := ask()
		if a.status != status {
			b.Errorf("%s: node %s answers %d %s, not %d", what, a.header.Get("X-Node"), a.status, a.body, status)
		}
		if nodes[a.header.Get("X-Node")]++; n > 20*len(b.nodes) {
			b.Fatalf("%s was asked of %v: that is not every node", what, nodes)
		}
	}
}

// soonFrom waits until each of the nodes has given an answer and none another one since.
func (b *balanced) soonFrom(what string, status int, ask func() answer) {
	b.Helper()
	nodes := map[string]int{}
	eventually(b.T, what, func() bool {
		a := ask()
		if nodes[a.header.Get("X-Node")]++; a.status != status {
			clear(nodes)
		}
		return len(nodes) == len(b.nodes)
	})
	b.seenFrom(what, status, ask)
}

func (b *balanced) opens(token string) answer {
	b.Helper()
	return b.front.must(http.MethodGet, atWiki+"/", "", bearer(token))
}

// portal signs a person in by the pages, for an app that has PKCE.
func (b *balanced) portal() {
	b.Helper()
	world := &cluster{T: b.T, nodes: []*instance{b.front}}
	browser := world.guest()
	code := browser.authorize(b.front)
	got := b.front.earn(url.Values{"grant_type": {"authorization_code"}, "client_id": {"page"}, "code": {code}, "redirect_uri": {page}, "code_verifier": {pkceVerifier}})
	b.seenFrom("userinfo", http.StatusOK, func() answer { return b.front.must(http.MethodGet, "/userinfo", "", bearer(got.Access)) })
	b.seenFrom("a refresh", http.StatusOK, func() answer {
		a := b.front.post("/oauth2/token", byRefresh("page", got.Refresh))
		next, err := a.tokens()
		if err != nil {
			b.Fatal(err)
		}
		got = next
		return a
	})
	b.seenFrom("the gate", http.StatusOK, func() answer { return b.opens(got.Access) })
	// The same browser is known at each node (OpenID Connect Core §3.1.2.1: with none,
	// nobody is asked for anything).
	silently := atAuth + "/oauth2/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"page"}, "scope": {"openid"}, "redirect_uri": {page}, "prompt": {"none"},
		"code_challenge": {pkceChallenge}, "code_challenge_method": {"S256"},
	}.Encode()
	for range 2 * len(b.nodes) {
		if got := browser.open(b.front, http.MethodGet, silently, ""); !strings.HasPrefix(got.leads, page+"?code=") {
			b.Errorf("who is signed in is sent to %q", got.leads)
		}
	}
}

// cookie is a person at a site behind a gate with login: in, and out again.
func (b *balanced) cookie() {
	b.Helper()
	world := &cluster{T: b.T, nodes: []*instance{b.front}}
	p := &traveller{cluster: world, jar: world.newJar(), by: []*http.Transport{b.front.client.Transport.(*http.Transport)}}
	p.signIn(atWiki + "/")
	b.seenFrom("a page", http.StatusOK, func() answer { return p.script(0, atWiki+"/") })
	thief := &traveller{world, p.copied(atWiki), p.by}
	p.signOut(atWiki)
	b.seenFrom("a page after the sign-out", http.StatusUnauthorized, func() answer { return p.script(0, atWiki+"/") })
	b.soonFrom("a copy of the cookie", http.StatusUnauthorized, func() answer { return thief.script(0, atWiki+"/") })
}

// signOut signs out of a site, and goes where that leads until it is back.
func (p *traveller) signOut(site string) {
	p.Helper()
	to := site + "/.gatehouse/logout"
	for range 10 {
		a := p.load(0, http.MethodGet, to, "", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html")
		leads := a.header.Get("Location")
		if next := nextPage.FindStringSubmatch(a.body); leads == "" && next != nil {
			leads = html.UnescapeString(next[1])
		}
		base, err := url.Parse(to)
		if err != nil {
			p.Fatal(err)
		}
		next, err := base.Parse(leads)
		if err != nil || leads == "" {
			p.Fatalf("signing out leads nowhere from %s: %d %s", to, a.status, a.body)
		}
		if to = next.String(); to == site+"/" {
			return
		}
	}
	p.Fatalf("signing out leads to %s", to)
}

// message signs somebody in, and up, with a code that the post carries.
func (b *balanced) message(number string) {
	b.Helper()
	a := b.front.post("/otp/send", url.Values{"client_id": {"app"}, "client_secret": {shopSecret}, "auth_source_id": {"sms"}, "phone_number": {number}})
	var sent struct {
		Token string `json:"otp_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &sent); err != nil || a.status != http.StatusOK {
		b.Fatalf("a code: %d %s, %v", a.status, a.body, err)
	}
	code := b.office.code("+86" + number)
	got := b.front.earn(otpForm(number, sent.Token, code))
	b.seenFrom("the gate", http.StatusOK, func() answer { return b.opens(got.Access) })
	b.seenFrom("the code again", http.StatusBadRequest, func() answer { return b.front.post("/oauth2/token", otpForm(number, sent.Token, code)) })
}

// revocation is asked of whichever node, and in effect at all.
func (b *balanced) revocation() {
	b.Helper()
	got := b.front.signIn()
	b.seenFrom("the gate", http.StatusOK, func() answer { return b.opens(got.Access) })
	for _, token := range []string{got.Access, got.Refresh} {
		if a := b.front.post("/oauth2/revoke", revocation(token)); a.status != http.StatusOK {
			b.Fatalf("revoking: %d %s", a.status, a.body)
		}
	}
	b.soonFrom("a revoked token", http.StatusUnauthorized, func() answer { return b.opens(got.Access) })
	b.seenFrom("a revoked refresh token", http.StatusBadRequest, func() answer { return b.front.post("/oauth2/token", byRefresh("phone", got.Refresh)) })
}

// addresses are those of people, not the balancer's: in rules, in limits and in the
// log. Nobody chooses his own (attack B16).
func (b *balanced) addresses() {
	b.Helper()
	const faraway = "127.0.0.8"
	near, far := b.from(nearby, fresh), b.from(faraway, fresh)
	token := b.front.signIn().Access
	b.seenFrom("a rule about the address", http.StatusOK, func() answer { return near.must(http.MethodGet, atNear+"/", "", bearer(token)) })
	b.seenFrom("a rule about the address, forged", http.StatusForbidden, func() answer {
		return far.must(http.MethodGet, atNear+"/", "", bearer(token), "X-Forwarded-For: "+nearby)
	})
	// Each node counts for itself, here up to ten.
	wrong := byRefresh("phone", strings.Repeat("x", 128)).Encode()
	for range 11 * len(b.nodes) {
		far.must(http.MethodPost, "/oauth2/token", wrong, "X-Forwarded-For: "+nearby)
	}
	b.seenFrom("who has failed too often", http.StatusTooManyRequests, func() answer {
		return far.must(http.MethodPost, "/oauth2/token", wrong, "X-Forwarded-For: "+nearby)
	})
	b.seenFrom("who has not", http.StatusBadRequest, func() answer { return near.must(http.MethodPost, "/oauth2/token", wrong) })
	for at, n := range b.nodes {
		log, err := os.ReadFile(n.file("log"))
		if err != nil {
			b.Fatal(err)
		}
		if !strings.Contains(string(log), `"peer":"`+faraway+`"`) {
			b.Errorf("the log of node %d does not know who failed", at)
		}
	}
}
