package main

import (
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// guest is somebody with a browser, which takes all nodes for one site, as behind a
// load balancer.
type guest struct {
	*cluster
	jar http.CookieJar
}

func (c *cluster) guest() *guest {
	c.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.Fatal(err)
	}
	return &guest{cluster: c, jar: jar}
}

// The example of RFC 7636, appendix B.
const (
	pkceVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	pkceChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// authorize gets a code for the page; the first time by the form to sign in.
func (p *guest) authorize(node *instance) (code string) {
	p.Helper()
	method, body := http.MethodGet, ""
	to := node.site + "/oauth2/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"page"}, "scope": {"openid"}, "redirect_uri": {page}, "code_challenge": {pkceChallenge}, "code_challenge_method": {"S256"},
	}.Encode()
	for range 10 {
		if found, ok := strings.CutPrefix(to, page); ok {
			query, err := url.ParseQuery(strings.TrimPrefix(found, "?"))
			if err != nil || query.Get("code") == "" {
				p.Fatalf("no code at %s: %v", to, err)
			}
			return query.Get("code")
		}
		shown := p.open(node, method, to, body)
		if to, method, body = shown.leads, http.MethodGet, ""; to != "" {
			continue
		}
		action := formAction.FindStringSubmatch(shown.page)
		if action == nil {
			p.Fatalf("a page without a form: %s", shown.page)
		}
		fields := url.Values{"username": {"alice"}, "password": {alicePassword}}
		for _, pair := range hiddenPair.FindAllStringSubmatch(shown.page, -1) {
			fields.Set(pair[1], html.UnescapeString(pair[2]))
		}
		to, method, body = node.site+html.UnescapeString(action[1]), http.MethodPost, fields.Encode()
	}
	p.Fatal("redirected without end")
	return ""
}

type shown struct{ page, leads string }

// open loads one page.
func (p *guest) open(node *instance, method, address, body string) shown {
	p.Helper()
	// The cookies of the site go to whichever node answers.
	browser := *node
	browser.client = &http.Client{Timeout: patience, Transport: node.client.Transport, CheckRedirect: node.client.CheckRedirect, Jar: p.jar}
	a, err := browser.ask(method, address, body, "Sec-Fetch-Site: same-origin")
	if err != nil {
		p.Fatal(err)
	}
	base, err := url.Parse(address)
	if err != nil {
		p.Fatal(err)
	}
	leads := a.header.Get("Location")
	if next := nextPage.FindStringSubmatch(a.body); leads == "" && next != nil {
		leads = html.UnescapeString(next[1])
	}
	if leads == "" {
		return shown{page: a.body}
	}
	to, err := base.Parse(leads)
	if err != nil {
		p.Fatal(err)
	}
	// The issuer's own address is the first node's; the load balancer sends it to this one.
	if rest, ok := strings.CutPrefix(to.String(), p.nodes[0].site+"/"); ok {
		return shown{leads: node.site + "/" + rest}
	}
	return shown{leads: to.String()}
}
