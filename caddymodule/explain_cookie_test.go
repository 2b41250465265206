package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

const cookieSites = `
http://auth.example.com {
	token_issuer
}
http://app.example.com {
	token_gate {
		login
		except /open/*
		forward token
	}
	token_gate /admin/* {
		claim role admin
	}
	reverse_proxy unix/$DIR/backend
}
http://wiki.example.com {
	token_gate {
		login
		token_from cookie
	}
	reverse_proxy unix/$DIR/backend
}`

// header is what a browser sends of its cookies.
func (p *visitor) header(host string) string {
	var all []string
	for name, value := range p.cookies(host) {
		all = append(all, name+"="+value)
	}
	return strings.Join(all, "; ")
}

// TestExplanationReadsTheCookieAsTheGateDoes: each request that is explained is sent,
// too, and has the same end.
func TestExplanationReadsTheCookieAsTheGateDoes(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(loginGlobal, cookieSites)
	w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
	p := w.visitor()
	p.signIn("https://app.example.com/", "alice")
	p.follow("https://wiki.example.com/")
	app, wiki := p.header("app.example.com"), p.header("wiki.example.com")
	access := w.accessOf(p, "app.example.com")
	for name, c := range map[string]struct {
		url, cookie, token string
		decision, reason   string
		words              string
	}{
		"a cookie":                       {"https://app.example.com/", app, "", "passed", "", "the token is from the cookie"},
		"copied with its name":           {"https://app.example.com/", "Cookie: " + app, "", "passed", "", "the token is from the cookie"},
		"the second gate by the same":    {"https://app.example.com/admin/x", app, "", "refused", "missing_claim", "role"},
		"nothing":                        {"https://app.example.com/", "", "", "refused", "no_bearer_token", "sent to sign in to client site"},
		"nothing, where it may change":   {"https://app.example.com/x?_method=DELETE", "", "", "refused", "no_bearer_token", "no sign-in leads to an address that may change something"},
		"another site's":                 {"https://app.example.com/", wiki, "", "refused", "no_bearer_token", "none of this site's"},
		"somebody's own":                 {"https://app.example.com/", "theme=dark", "", "refused", "no_bearer_token", "no cookie of a sign-in"},
		"changed":                        {"https://app.example.com/", strings.Replace(app, loginCookie+"=1", loginCookie+"=1AAAA", 1), "", "refused", "no_bearer_token", "there is a cookie, and no token in it"},
		"excepted":                       {"https://app.example.com/open/x", app, "", "passed", "", "except /open/*"},
		"a header beside it":             {"https://app.example.com/", app, "x", "refused", "malformed_token", ""},
		"a token in a header":            {"https://app.example.com/", "", access, "passed", "", ""},
		"where the cookie alone counts":  {"https://wiki.example.com/", wiki, "", "passed", "", ""},
		"and not a header":               {"https://wiki.example.com/", "", access, "refused", "no_bearer_token", "takes a token from a cookie alone"},
		"not even beside it":             {"https://wiki.example.com/", wiki, "x", "passed", "", ""},
		"an address of the sign-in":      {"https://app.example.com/.gatehouse/logout", app, "", "login", "", "an address of the sign-in"},
		"in plain text no cookie counts": {"http://app.example.com/", app, "", "refused", "no_bearer_token", "over TLS alone"},
	} {
		x := w.explains(question{Method: http.MethodGet, URL: c.url, Cookie: c.cookie, Token: c.token})
		said := x.Says
		for _, g := range x.Gates {
			said += "\n" + strings.Join(g.Notes, "\n")
		}
		if x.Decision != c.decision || x.Reason != c.reason || !strings.Contains(said, c.words) {
			t.Errorf("%s: %+v\n%s", name, x, said)
		}
		if x.Decision == "login" || strings.HasPrefix(c.url, "http:") {
			continue
		}
		lines := append([]string{"Sec-Fetch-Site: same-origin"}, navigate...)
		if c.cookie != "" {
			lines = append(lines, "Cookie: "+strings.TrimPrefix(c.cookie, "Cookie: "))
		}
		if c.token != "" {
			lines = append(lines, "Authorization: Bearer "+c.token)
		}
		if a := w.visitor().do(http.MethodGet, c.url, "", lines...); (a.status == http.StatusOK) != (x.Decision == "passed") {
			t.Errorf("%s: explained as %s, answered %v", name, x.Decision, a)
		}
	}
	if log := w.logged(); strings.Contains(log, p.cookies("app.example.com")[loginCookie][:40]) || strings.Contains(log, access) {
		t.Error("a secret is in the log")
	}
}

// accessOf is the access token in a visitor's cookie, as a gate that forwards it shows it.
func (w *world) accessOf(p *visitor, host string) string {
	w.Helper()
	_, raw, ok := strings.Cut(p.visit("https://"+host+"/").seen(w.T).Get("Authorization"), "Bearer ")
	if !ok {
		w.Fatal("no token")
	}
	return raw
}

// TestExplanationLeavesTheSignInAsItIs: the refresh token is good for one request, and
// that is not the operator's.
func TestExplanationLeavesTheSignInAsItIs(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(loginGlobal, cookieSites)
	w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
	p := w.visitor()
	p.signIn("https://app.example.com/", "alice")
	p.age("app.example.com")
	old := p.header("app.example.com")
	for range 3 {
		x := w.explains(question{Method: http.MethodGet, URL: "https://app.example.com/", Cookie: old})
		if notes := strings.Join(x.Gates[0].Notes, " "); !strings.Contains(notes, "is not tried here") {
			t.Errorf("%+v", x)
		}
	}
	if a := p.visit("https://app.example.com/"); a.status != http.StatusOK || len(a.header["Set-Cookie"]) == 0 {
		t.Errorf("renewed no more: %v", a)
	}
}

// One port, several servers: which one it is says the URL, or the operator.
func TestExplanationFindsTheServer(t *testing.T) {
	server := func(listen, host string) *caddyhttp.Server {
		s := &caddyhttp.Server{Listen: []string{listen}}
		if host != "" {
			s.Routes = caddyhttp.RouteList{{MatcherSets: caddyhttp.MatcherSets{{&caddyhttp.MatchHost{host}}}}}
		}
		return s
	}
	app := &caddyhttp.App{Servers: map[string]*caddyhttp.Server{
		"all": server(":8443", "shop.example.com"), "home": server("127.0.0.1:8443", "home.example.com"),
		"office": server("10.0.0.1:8443", "shop.example.com"), "other": server("tcp/[::1]:9443", ""), "twin": server("10.0.0.2:8443", "home.example.com"),
	}}
	for _, c := range []struct {
		asked question
		want  string
	}{
		{question{URL: "https://127.0.0.1:8443/"}, "home"},
		{question{URL: "https://localhost:8443/"}, "home"},
		{question{URL: "https://10.0.0.1:8443/"}, "office"},
		{question{URL: "https://192.0.2.1:8443/"}, "all"},
		{question{URL: "https://[::1]:9443/"}, "other"},
		{question{URL: "https://anything.example.com:9443/"}, "other"},
		{question{URL: "https://shop.example.com:8443/"}, "several servers listen on port 8443; name the one that the request comes to: expected :8443 or 10.0.0.1:8443"},
		{question{URL: "https://shop.example.com:8443/", Listener: "10.0.0.1:8443"}, "office"},
		{question{URL: "https://home.example.com:8443/", Listener: "10.0.0.2:8443"}, "twin"},
		{question{URL: "https://shop.example.com/", Listener: "10.0.0.1:8443"}, "office"},
		{question{URL: "https://shop.example.com/", Listener: "10.0.0.9:8443"}, "no server listens on 10.0.0.9:8443: there are"},
		{question{URL: "https://shop.example.com/"}, "no server listens on port 443: there are"},
	} {
		asked, want := c.asked, c.want
		r := httptest.NewRequest(http.MethodGet, asked.URL, nil)
		tour, err := newTour(app, asked, r, time.Now())
		switch {
		case err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%+v: %v", asked, err)
		case err == nil && tour.server != app.Servers[want]:
			t.Errorf("%+v: another server than %s", asked, want)
		}
	}
}
