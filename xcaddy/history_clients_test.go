package main

import (
	"cmp"
	"errors"
	"html"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The client has a secret, so that its refusals do not count against the address.
const (
	racer = `
		auth_source password {
			type password
		}
		auth_source mail {
			type email_otp
			lifetime 300s
			send webhook %s {
				header Authorization "Bearer sms-key"
			}
		}
		limits {
			otp_per_client 1000000 1h
		}
		client shop {
			type web
			secret {env.SHOP_SECRET}
			grants authorization_code otp refresh_token
			refresh rotate
			redirect_uris https://shop.example.com/callback
			auth_sources password mail
			scopes openid
			first_party
			signup
		}`

	callback  = "https://shop.example.com/callback"
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636, appendix B
)

// byShop is a form of the client's.
func byShop(more ...string) string {
	return with(url.Values{"client_id": {"shop"}, "client_secret": {shopSecret}}, more...).Encode()
}

// ask sends a request to some node and notes it in the history with its answer. A
// request that did not leave is none.
func (c *contest) ask(h *history, client int, q question, send func(*instance) (answer, error), token func(answer) (int, bool)) {
	node := c.node()
	q.sent = time.Since(c.began)
	a, err := send(node)
	q.heard = time.Since(c.began)
	if dialed, ok := errors.AsType[*net.OpError](err); ok && dialed.Op == "dial" {
		c.count("not sent")
		time.Sleep(10 * time.Millisecond) // a client's own pause
		return
	}
	r, again := reply{outcome: unheard}, false
	if err == nil && a.status != http.StatusServiceUnavailable {
		r.outcome = outcomes[strconv.Itoa(a.status)+description(a.body)]
	}
	switch {
	case r.outcome == "":
		c.Errorf("%s: an answer that nothing is known of: %d %s", q, a.status, a.body)
		return
	case r.outcome == granted && token != nil:
		r.token, again = token(a)
	}
	c.count("requests")
	if r.outcome == unheard {
		c.count(noAnswer)
	}
	c.count(string(q.verb) + ": " + string(r.outcome) + map[bool]string{true: " again"}[again])
	h.add(client, q, r)
}

const noAnswer = "requests without an answer"

// posted sends a form.
func posted(path, form string) func(*instance) (answer, error) {
	return func(i *instance) (answer, error) { return i.ask(http.MethodPost, path, form) }
}

// outcomes by status and the description that comes with it.
var outcomes = map[string]outcome{
	"200": granted,
	"401": refused, // an access token

	`400 "invalid_grant"`:                refused,
	`400 "Unknown or expired otp_token"`: refused,
	`400 "Unknown or expired OTP"`:       wrongCode,
}

// description is a blank and the last word of an error.
func description(body string) string {
	if !strings.HasPrefix(body, `{"error":`) {
		return ""
	}
	return " " + strings.TrimSuffix(body[strings.LastIndexByte(body, ':')+1:], "}")
}

// person is a browser that has signed in, so that its codes cost no password. Each
// has a session of its own: in one session the hundredth sign-in ends the first.
type person struct {
	*contest
	browser http.Client
}

func (c *contest) newPerson() *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.Fatal(err)
	}
	p := &person{contest: c, browser: *c.nodes[0].client}
	p.browser.Jar = jar
	to, page := p.open(http.MethodGet, c.nodes[0].site+asking, "")
	for to != "" {
		to, page = p.open(http.MethodGet, to, "")
	}
	action := formAction.FindStringSubmatch(page)
	if action == nil {
		c.Fatalf("no form on the page: %s", page)
	}
	form := url.Values{"username": {"alice"}, "password": {alicePassword}}
	for _, pair := range hiddenPair.FindAllStringSubmatch(page, -1) {
		form.Set(pair[1], html.UnescapeString(pair[2]))
	}
	to, page = p.open(http.MethodPost, c.nodes[0].site+html.UnescapeString(action[1]), form.Encode())
	for to != "" && !strings.HasPrefix(to, callback) {
		to, page = p.open(http.MethodGet, to, "")
	}
	if to == "" {
		c.Fatalf("signing in ends at: %s", page)
	}
	return p
}

var asking = "/oauth2/authorize?" + url.Values{
	"response_type": {"code"}, "client_id": {"shop"}, "scope": {"openid"}, "redirect_uri": {callback},
	"code_challenge": {challenge}, "code_challenge_method": {"S256"},
}.Encode()

// open loads a page and says where it leads by itself.
func (p *person) open(method, address, form string) (to, page string) {
	i := instance{T: p.T, site: p.nodes[0].site, client: &p.browser}
	a, err := i.ask(method, address, form, cmp.Or(map[bool]string{true: "Sec-Fetch-Site: same-origin"}[form != ""], "Accept: text/html"))
	if err != nil {
		return "", err.Error()
	}
	if next := nextPage.FindStringSubmatch(a.body); next != nil {
		to = html.UnescapeString(next[1])
	}
	to = cmp.Or(a.header.Get("Location"), to)
	if strings.HasPrefix(to, "/") {
		to = i.site + to
	}
	return to, a.body
}

// code has an authorization code given out by some node.
func (p *person) code() string {
	to, _ := p.open(http.MethodGet, p.node().site+asking, "")
	back, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, callback) {
		return ""
	}
	return back.Query().Get("code")
}
