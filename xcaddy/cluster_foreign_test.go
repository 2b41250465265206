package main

import (
	"context"
	"crypto/tls"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

const partnerSecret = "the-partner-secret-Wb4RdN8sLc3HfJ6g"

// partner is an issuer elsewhere, where alice has an account.
func partner(t *testing.T, host string, site string) *instance {
	t.Helper()
	i := newInstance(t)
	i.env = append(i.env, "PARTNER_SECRET="+partnerSecret)
	i.configure(`
		signing_algorithm ES256
		client site {
			type web
			dialect oauth
			secret {env.PARTNER_SECRET}
			grants authorization_code refresh_token
			redirect_uris https://`+host+`/.gatehouse/callback
			scopes openid
			first_party
		}`, site)
	i.start()
	i.addAlice()
	return i
}

// What an issuer says of itself that knows no revocation (RFC 8414 §2: the member is
// optional).
const noRevocation = `{$SITE} {
	@said path /.well-known/openid-configuration
	@rest not path /.well-known/openid-configuration
	token_issuer @rest
	respond @said ` + "`" + `{"issuer":"{$SITE}","authorization_endpoint":"{$SITE}/oauth2/authorize","token_endpoint":"{$SITE}/oauth2/token","jwks_uri":"{$SITE}/oauth2/jwks","end_session_endpoint":"{$SITE}/logout","response_types_supported":["code"]}` + "`" + `
}
`

// loginAt is a site whose people sign in at an issuer elsewhere.
func loginAt(host, name string) string {
	return "https://" + host + ":{$HTTPS_PORT} {\n\ttls internal\n\ttoken_gate {\n\t\tembedded off\n\t\tissuer {$" + name + "} {\n\t\t\taudience site\n\t\t\tca_file {$" + name + "_CA}\n\t\t}\n" +
		"\t\tlogin {\n\t\t\tclient_id site\n\t\t\tclient_secret {env.PARTNER_SECRET}\n\t\t}\n\t}\n\treverse_proxy /events {$BACKEND}\n\trespond ok\n}\n"
}

// Somebody who signed in by an issuer elsewhere signs out at one node, and is out at the
// other: what is good there by itself, for its issuer cannot take it back, and perhaps
// cannot even be told, opens nothing any more, and what streams ends.
func TestForeignSignOutReachesTheOtherNode(t *testing.T) {
	t.Parallel()
	told := partner(t, "app.example.com", "{$SITE} {\n\ttoken_issuer\n}\n")
	deaf := partner(t, "wiki.example.com", noRevocation)
	c := clusterOf(t, rules{
		store: make([]string, 2), sites: loginAt("app.example.com", "TOLD") + loginAt("wiki.example.com", "DEAF"),
		place: func(_ int, i *instance) {
			const root = "data/caddy/pki/authorities/local/root.crt"
			i.env = append(i.env, "PARTNER_SECRET="+partnerSecret, "TOLD="+told.site, "TOLD_CA="+told.file(root), "DEAF="+deaf.site, "DEAF_CA="+deaf.file(root))
			i.serve(streaming)
		},
	})
	for _, site := range []string{"https://app.example.com", "https://wiki.example.com"} {
		var out, ended []time.Duration
		for range 5 {
			p := c.traveller()
			p.signIn(site + "/")
			if got := p.script(1, site+"/").status; got != http.StatusOK {
				t.Fatalf("%s: signed in at one node, at the other: %d", site, got)
			}
			stream := p.stream(1, site+"/events")
			thief := &traveller{c, p.copied(site), p.by}
			began := time.Now()
			a := p.load(0, http.MethodGet, site+"/.gatehouse/logout", "", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html")
			if a.status != http.StatusSeeOther {
				t.Fatalf("%s: signing out: %d %s", site, a.status, a.body)
			}
			if got := thief.script(0, site+"/").status; got != http.StatusUnauthorized {
				t.Errorf("%s: a copy of the cookie, at once: %d", site, got)
			}
			eventually(t, "out at the other node", func() bool { return thief.script(1, site+"/").status == http.StatusUnauthorized })
			out = append(out, time.Since(began))
			select {
			case <-stream:
			case <-time.After(patience):
				t.Fatalf("%s: a stream at the other node goes on", site)
			}
			ended = append(ended, time.Since(began))
		}
		report(t, "sign-outs of "+site+", to the other node's refusal", c.nodes[0], out)
		report(t, "sign-outs of "+site+", to the end of a stream there", c.nodes[0], ended)
	}
}

// streaming says something and nothing more.
func streaming(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "data: first\n\n")
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// traveller has a browser that comes to a site by the node that is said, and to everybody
// else as everybody does.
type traveller struct {
	*cluster
	jar http.CookieJar
	by  []*http.Transport // each node's
}

func (c *cluster) traveller() *traveller {
	c.Helper()
	p := &traveller{cluster: c, jar: c.newJar()}
	for _, n := range c.nodes {
		near := strings.TrimPrefix(n.site, "https://")
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasSuffix(address, ".example.com:443") {
				address = near
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		by := &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // each node has an authority of its own
		c.Cleanup(by.CloseIdleConnections)
		p.by = append(p.by, by)
	}
	return p
}

func (c *cluster) newJar() http.CookieJar {
	c.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.Fatal(err)
	}
	return jar
}

// copied is the cookies of a site, as a thief has them.
func (p *traveller) copied(site string) http.CookieJar {
	p.Helper()
	u, err := url.Parse(site + "/")
	if err != nil {
		p.Fatal(err)
	}
	jar := p.newJar()
	for _, c := range p.jar.Cookies(u) {
		c.Path, c.Secure = "/", true
		jar.SetCookies(u, []*http.Cookie{c})
	}
	return jar
}

// load asks for something and follows nothing.
func (p *traveller) load(node int, method, address, body string, lines ...string) answer {
	p.Helper()
	via := instance{T: p.T, client: &http.Client{
		Timeout: patience, Transport: p.by[node], Jar: p.jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	return via.must(method, address, body, lines...)
}

// script asks as one of the site's own does.
func (p *traveller) script(node int, address string) answer {
	p.Helper()
	return p.load(node, http.MethodGet, address, "", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin")
}

// signIn goes to an address by the first node, and signs in on the way.
func (p *traveller) signIn(to string) {
	p.Helper()
	method, body := http.MethodGet, ""
	for range 20 {
		a := p.load(0, method, to, body, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: same-origin", "Accept: text/html")
		base, err := url.Parse(to)
		if err != nil {
			p.Fatal(err)
		}
		leads := a.header.Get("Location")
		if next := nextPage.FindStringSubmatch(a.body); leads == "" && next != nil {
			leads = html.UnescapeString(next[1])
		}
		method, body = http.MethodGet, ""
		if leads == "" {
			if a.status == http.StatusOK && a.body == "ok" {
				return
			}
			action := formAction.FindStringSubmatch(a.body)
			if action == nil {
				p.Fatalf("neither the page nor a form at %s: %d %s", to, a.status, a.body)
			}
			fields := url.Values{"username": {"alice"}, "password": {alicePassword}}
			for _, pair := range hiddenPair.FindAllStringSubmatch(a.body, -1) {
				fields.Set(pair[1], html.UnescapeString(pair[2]))
			}
			leads, method, body = html.UnescapeString(action[1]), http.MethodPost, fields.Encode()
		}
		next, err := base.Parse(leads)
		if err != nil {
			p.Fatal(err)
		}
		to = next.String()
	}
	p.Fatal("redirected without end")
}

// stream is closed when the answer to a request for events ends.
func (p *traveller) stream(node int, address string) <-chan struct{} {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), http.MethodGet, address, nil)
	if err != nil {
		p.Fatal(err)
	}
	for name, value := range map[string]string{"Accept": "text/event-stream", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"} {
		r.Header.Set(name, value)
	}
	return follow(p, &http.Client{Transport: p.by[node], Jar: p.jar}, r)
}
