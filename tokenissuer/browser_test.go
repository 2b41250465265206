package tokenissuer_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// browser keeps cookies and follows nothing by itself.
type browser struct {
	t *testing.T
	*http.Client
}

func (s *server) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	to := s.Listener.Addr().String()
	return &browser{s.t, &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, to)
			},
		},
	}}
}

func (b *browser) do(method, address, body string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "https://auth.example.com")
	}
	res, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = "https://auth.example.com" + path
	}
	return b.do(http.MethodGet, path, "")
}

var (
	formAction = regexp.MustCompile(`<form method="post" action="([^"]+)"`)
	hidden     = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
)

// submit posts the page's first form with further fields, and goes back to the page
// where it is not taken.
func (b *browser) submit(page answer, fields ...string) answer {
	b.t.Helper()
	page.body, _, _ = strings.Cut(page.body, "</form>")
	action := formAction.FindStringSubmatch(page.body)
	if action == nil {
		b.t.Fatalf("no form on the page: %d %s", page.status, page.body)
	}
	var pairs []string
	for _, h := range hidden.FindAllStringSubmatch(page.body, -1) {
		pairs = append(pairs, h[1], html.UnescapeString(h[2]))
	}
	a := b.do(http.MethodPost, "https://auth.example.com"+html.UnescapeString(action[1]), form(append(pairs, fields...)...))
	if to := a.header.Get("Location"); strings.Contains(to, "wrong=") {
		return b.get(to)
	}
	return a
}

var regexpSID = regexp.MustCompile(`"sid":"[0-9a-f-]{36}"`)

var nextPage = regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=([^"]+)">`)

// follow goes on until the browser leaves the issuer or a page wants something.
func (b *browser) follow(a answer) answer {
	b.t.Helper()
	for range 10 {
		to := a.header.Get("Location")
		if m := nextPage.FindStringSubmatch(a.body); to == "" && m != nil {
			to = html.UnescapeString(m[1])
		}
		if to == "" || !strings.HasPrefix(to, "https://auth.example.com/") && !strings.HasPrefix(to, "/") {
			if to != "" && a.header.Get("Location") == "" {
				a.header.Set("Location", to)
			}
			return a
		}
		a = b.get(to)
	}
	b.t.Fatal("redirected without end")
	return a
}

const callback = "https://shop.example.com/callback"

// authorizing is a client of each kind that sends people to the portal.
func authorizing() tokenissuer.Config {
	list := clients()
	for n := range list {
		switch list[n].ID {
		case "shop", "spa", "app":
			list[n].Grants = append(list[n].Grants, "authorization_code")
			list[n].RedirectURIs, list[n].LogoutRedirectURIs = []string{callback}, []string{"https://shop.example.com/bye"}
			list[n].FirstParty = true
			list[n].Scopes = append(list[n].Scopes, "profile", "email")
		}
	}
	list = append(list,
		tokenissuer.Client{ID: "other", Type: "web", Secrets: []string{secret}, Grants: []string{"authorization_code"}, Scopes: []string{"openid"}, RedirectURIs: []string{callback}},
		tokenissuer.Client{ID: "legacy", Type: "web", Dialect: "idaas", Secrets: []string{secret}, Grants: []string{"authorization_code", "refresh_token"}, Scopes: []string{"openid", "get_user_info"}, RedirectURIs: []string{callback}, FirstParty: true},
		tokenissuer.Client{ID: "modern", Type: "spa", Dialect: "oauth", Grants: []string{"authorization_code", "refresh_token"}, Scopes: []string{"openid", "profile"}, RedirectURIs: []string{callback}, FirstParty: true},
	)
	return tokenissuer.Config{Clients: list}
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func authorizePath(client string, more ...string) string {
	path := "/oauth2/authorize"
	if client == "legacy" {
		path = "/api/v1/oauth2/authorize"
	}
	return path + "?" + form(append([]string{"response_type", "code", "client_id", client, "redirect_uri", callback, "scope", "openid", "state", "xyz"}, more...)...)
}

// signedIn walks through the sign-in page and returns where the client is sent.
func (b *browser) signedIn(path, name string) url.Values {
	b.t.Helper()
	page := b.follow(b.get(path))
	if page.header.Get("Location") == "" {
		page = b.follow(b.submit(page, "username", name, "password", password))
	}
	to, err := url.Parse(page.header.Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), callback) {
		b.t.Fatalf("ended at %d %q: %s", page.status, to, page.body)
	}
	return to.Query()
}

// The answer to a page of the portal is one code: told again while it waits, and
// never followed by another.
func TestPStateLeadsToOneCode(t *testing.T) {
	s := start(t, authorizing())
	s.user("alice", "")
	b := s.browser()
	page := b.follow(b.get(authorizePath("shop")))
	form := b.submit(page, "username", "alice", "password", password)
	state := strings.TrimPrefix(form.header.Get("Location"), "/portal/continue")
	first := b.get("/portal/return" + state).header.Get("Location")
	if again := b.get("/portal/return" + state).header.Get("Location"); !strings.HasPrefix(first, callback+"?code=") || again != first {
		t.Fatalf("%q, then %q", first, again)
	}
	to, err := url.Parse(first)
	if err != nil {
		t.Fatal(err)
	}
	refresh := s.good(redeemShop(to.Query().Get("code"))).text(t, "refresh_token")
	for _, path := range []string{"/portal/return", "/portal/login"} {
		a := b.get(path + state)
		if a.status != http.StatusBadRequest || a.header.Get("Location") != "" || !strings.Contains(a.body, "This is done already") {
			t.Errorf("%s: %d %v %s", path, a.status, a.header, a.body)
		}
	}
	s.good(redeemed(refresh)) // nothing of this was the second use of a code
	other := b.signedIn(authorizePath("shop"), "alice").Get("code")
	if other == to.Query().Get("code") {
		t.Error("two requests, one code")
	}

	// Bob sits down before alice's app has come with her code: it is not for his.
	s.user("bob", "")
	b = s.browser()
	form = b.submit(b.follow(b.get(authorizePath("shop"))), "username", "alice", "password", password)
	state = strings.TrimPrefix(form.header.Get("Location"), "/portal/continue")
	waiting := b.get("/portal/return" + state).header.Get("Location")
	b.submit(b.get("/portal/logout"))
	b.follow(b.submit(b.follow(b.get("/portal/account")), "username", "bob", "password", password))
	if a := b.get("/portal/return" + state); !strings.HasPrefix(waiting, callback+"?code=") || a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
		t.Errorf("%q, then %d %v", waiting, a.status, a.header)
	}
}

func redeemShop(code string) string {
	return form("client_id", "shop", "client_secret", secret, "grant_type", "authorization_code", "code", code, "redirect_uri", callback)
}

func redeemed(refresh string) string {
	return form("client_id", "shop", "client_secret", secret, "grant_type", "refresh_token", "refresh_token", refresh)
}

func TestCodeFlowInABrowser(t *testing.T) {
	s := start(t, authorizing())
	u := s.user("alice", "alice@example.com")
	b := s.browser()
	back := b.signedIn(authorizePath("shop", "nonce", "n-0S6"), "alice")
	code := back.Get("code")
	if len(code) != 128 || back.Get("state") != "xyz" || back.Has("iss") {
		t.Fatalf("%v", back)
	}
	redeem := form("client_id", "shop", "client_secret", secret, "grant_type", "authorization_code", "code", code, "redirect_uri", callback)
	a := s.good(redeem)
	if got := keys(t, a.body); got != "access_token refresh_token scope id_token token_type expires_in" {
		t.Errorf("members: %s", got)
	}
	_, id := decoded(t, a.text(t, "id_token"))
	if got := keys(t, id); got != "sub aud azp iss exp iat jti nonce email" || !strings.Contains(id, `"sub":"`+u.ID+`"`) || !strings.Contains(id, `"nonce":"n-0S6"`) {
		t.Errorf("ID token: %s", id)
	}
	if again := s.good(refresh("shop", a.text(t, "refresh_token")) + "&client_secret=" + secret); strings.Contains(func() string { _, c := decoded(t, again.text(t, "id_token")); return c }(), "nonce") {
		t.Error("the nonce comes back on refresh")
	}
	t.Run("D13: the second use ends what the first one got", func(t *testing.T) {
		if got := s.userinfoStatus(a.text(t, "access_token")); got != http.StatusOK {
			t.Fatalf("before: %d", got)
		}
		s.check(t, "/oauth2/token", row{form: redeem, status: 400, body: invalidGrant})
		if got := s.userinfoStatus(a.text(t, "access_token")); got != http.StatusUnauthorized {
			t.Errorf("after: %d", got)
		}
	})
	t.Run("who is signed in is not asked again", func(t *testing.T) {
		direct := b.get(authorizePath("shop"))
		if direct.status != http.StatusFound || !strings.HasPrefix(direct.header.Get("Location"), callback+"?code=") {
			t.Errorf("%d %v", direct.status, direct.header)
		}
	})
	t.Run("D18: prompt=none", func(t *testing.T) {
		if got := b.signedIn(authorizePath("shop", "prompt", "none"), "").Get("code"); got == "" {
			t.Error("no code with a session")
		}
		if got := s.browser().get(authorizePath("shop", "prompt", "none")).header.Get("Location"); !strings.Contains(got, "error=login_required") {
			t.Errorf("without a session: %s", got)
		}
		if got := b.get(authorizePath("other", "prompt", "none")).header.Get("Location"); !strings.Contains(got, "error=consent_required") {
			t.Errorf("without consent: %s", got)
		}
	})
	t.Run("E10, sign-out", func(t *testing.T) {
		out := b.get("/logout?" + form("client_id", "shop", "state", "s t"))
		if out.status != http.StatusFound || out.header.Get("Location") != "https://shop.example.com/bye?state=s%20t" {
			t.Errorf("%d %v", out.status, out.header)
		}
		if got := b.get(authorizePath("shop", "prompt", "none")).header.Get("Location"); !strings.Contains(got, "error=login_required") {
			t.Errorf("still signed in: %s", got)
		}
	})
}

func TestConsentIsAskedOnce(t *testing.T) {
	s := start(t, authorizing())
	s.user("alice", "")
	b := s.browser()
	page := b.follow(b.submit(b.follow(b.get(authorizePath("other"))), "username", "alice", "password", password))
	if !strings.Contains(page.body, `value="allow"`) {
		t.Fatalf("no consent page: %d %s", page.status, page.body)
	}
	denied := b.follow(b.submit(page, "decision", "deny"))
	if got := denied.header.Get("Location"); !strings.Contains(got, "error=access_denied") || !strings.Contains(got, "state=xyz") {
		t.Errorf("denied: %d %s", denied.status, got)
	}
	allowed := b.follow(b.submit(b.follow(b.get(authorizePath("other"))), "decision", "allow"))
	if got := allowed.header.Get("Location"); !strings.HasPrefix(got, callback+"?code=") {
		t.Errorf("allowed: %d %s", allowed.status, got)
	}
	if again := b.get(authorizePath("other")).header.Get("Location"); !strings.HasPrefix(again, callback+"?code=") {
		t.Errorf("asked again: %s", again)
	}
}

// TestCodeRows are the errors of redeeming a code, for a client with a secret,
// one by its id alone, and both other dialects.
func TestCodeRows(t *testing.T) {
	s := start(t, authorizing())
	s.user("alice", "")
	b := s.browser()
	code := func(client string, more ...string) string {
		return b.signedIn(authorizePath(client, more...), "alice").Get("code")
	}
	pkce := []string{"code_challenge", challenge(), "code_challenge_method", "S256"}
	shop := func(pairs ...string) string {
		return form(append([]string{"client_id", "shop", "client_secret", secret, "grant_type", "authorization_code"}, pairs...)...)
	}
	spa := func(pairs ...string) string {
		return form(append([]string{"client_id", "spa", "grant_type", "authorization_code"}, pairs...)...)
	}
	for _, r := range []struct {
		row
		path string
	}{
		{row: row{name: "code missing", form: shop("redirect_uri", callback), status: 400, body: missing("code")}},
		{row: row{name: "redirect_uri missing", form: shop("code", "x"), status: 400, body: missing("redirect_uri")}},
		{row: row{name: "code incorrect (seed 8)", form: shop("code", "x", "redirect_uri", callback), status: 400, body: invalidGrant}},
		{row: row{name: "redirect_uri differs", form: shop("code", code("shop"), "redirect_uri", callback+"/"), status: 400, body: invalidGrant}},
		{row: row{name: "D11 verifier without a challenge", form: shop("code", code("shop"), "redirect_uri", callback, "code_verifier", verifier), status: 400, body: invalidGrant}},
		{row: row{name: "D10 challenge without a verifier", form: shop("code", code("shop", pkce...), "redirect_uri", callback), status: 400, body: invalidGrant}},
		{row: row{name: "D10 another verifier", form: shop("code", code("shop", pkce...), "redirect_uri", callback, "code_verifier", strings.Repeat("a", 43)), status: 400, body: invalidGrant}},
		{row: row{name: "code of another client (seed 6)", form: form("client_id", "other", "client_secret", secret, "grant_type", "authorization_code", "code", code("shop"), "redirect_uri", callback), status: 401, body: invalidClient}},
		{row: row{name: "PKCE: code incorrect", form: spa("code", "x", "redirect_uri", callback, "code_verifier", verifier), status: 401, body: invalidClient}},
		{row: row{name: "PKCE: verifier incorrect", form: spa("code", code("spa", pkce...), "redirect_uri", callback, "code_verifier", strings.Repeat("a", 43)), status: 401, body: invalidClient}},
		{row: row{name: "PKCE: code of another client", form: spa("code", code("shop", pkce...), "redirect_uri", callback, "code_verifier", verifier), status: 401, body: invalidClient}},
		{row: row{name: "PKCE: redirect_uri differs", form: spa("code", code("spa", pkce...), "redirect_uri", callback+"?", "code_verifier", verifier), status: 400, body: invalidGrant}},
		{row: row{name: "PKCE: grant_type incorrect", form: form("client_id", "spa", "grant_type", "magic", "code", "x", "code_verifier", verifier), status: 401, bare: true}},
		{row: row{name: "D10 by its id, without a verifier", form: spa("code", "x", "redirect_uri", callback), status: 401, bare: true}},
		{row: row{name: "idaas: code absent", form: form("client_id", "legacy", "client_secret", secret, "grant_type", "authorization_code"), status: 400, body: `{"error":"invalid_request","error_description":"An authorization code must be supplied."}`}, path: idaasToken},
		{row: row{name: "idaas: code wrong", form: form("client_id", "legacy", "client_secret", secret, "grant_type", "authorization_code", "code", "x"), status: 400, body: `{"error":"invalid_grant","error_description":"Invalid authorization code"}`}, path: idaasToken},
		{row: row{name: "idaas: redirect_uri differs", form: form("client_id", "legacy", "client_secret", secret, "grant_type", "authorization_code", "code", code("legacy", "scope2", "x"), "redirect_uri", "https://x.example"), status: 400, body: `{"error":"redirect_uri_mismatch"}`}, path: idaasToken},
		{row: row{name: "oauth: verifier incorrect", form: form("client_id", "modern", "grant_type", "authorization_code", "code", code("modern", pkce...), "redirect_uri", callback, "code_verifier", strings.Repeat("a", 43)), status: 400, body: invalidGrant}},
	} {
		t.Run(r.name, func(t *testing.T) {
			if r.path == "" {
				r.path = "/oauth2/token"
			}
			s.check(t, r.path, r.row)
		})
	}
	t.Run("seed 6 burns the code", func(t *testing.T) {
		c := code("shop")
		s.token(form("client_id", "other", "client_secret", secret, "grant_type", "authorization_code", "code", c, "redirect_uri", callback))
		s.check(t, "/oauth2/token", row{form: shop("code", c, "redirect_uri", callback), status: 400, body: invalidGrant})
	})
	t.Run("PKCE, good", func(t *testing.T) {
		a := s.good(spa("code", code("spa", pkce...), "redirect_uri", callback, "code_verifier", verifier))
		if a.text(t, "refresh_token") == "" {
			t.Error("no refresh token for a public client")
		}
	})
	t.Run("idaas, good", func(t *testing.T) {
		a := s.send(http.MethodPost, idaasToken, form("grant_type", "authorization_code", "code", code("legacy"), "redirect_uri", callback), raw("legacy", secret))
		if a.status != 200 || a.text(t, "token_type") != "Bearer" || a.text(t, "id_token") == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// TestClaimsParameterIsNoWayAroundConsent: a client that has agreed on openid
// learns nothing of the scopes it did not ask for.
func TestClaimsParameterIsNoWayAroundConsent(t *testing.T) {
	config := authorizing()
	for n := range config.Clients {
		if config.Clients[n].ID == "other" {
			config.Clients[n].Scopes = []string{"openid", "email", "profile"}
		}
	}
	s := start(t, config)
	s.user("alice", "alice@example.com")
	b := s.browser()
	wish := []string{"claims", `{"userinfo":{"email":null},"id_token":{"email":null,"auth_time":null}}`}
	get := func(scope string) (id, info string) {
		path := strings.Replace(authorizePath("other", wish...), "scope=openid", "scope="+scope, 1)
		page := b.follow(b.get(path))
		if strings.Contains(page.body, `name="username"`) {
			page = b.follow(b.submit(page, "username", "alice", "password", password))
		}
		if strings.Contains(page.body, `value="allow"`) {
			page = b.follow(b.submit(page, "decision", "allow"))
		}
		back, err := url.Parse(page.header.Get("Location"))
		if err != nil || back.Query().Get("code") == "" {
			t.Fatalf("%d %s", page.status, page.body)
		}
		a := s.good(form("client_id", "other", "client_secret", secret, "grant_type", "authorization_code", "code", back.Query().Get("code"), "redirect_uri", callback))
		_, id = decoded(t, a.text(t, "id_token"))
		return id, s.send(http.MethodGet, "/userinfo", "", "Authorization: Bearer "+a.text(t, "access_token")).body
	}
	id, info := get("openid")
	if strings.Contains(id+info, "alice@") || !strings.Contains(id, "auth_time") {
		t.Errorf("with openid alone: %s %s", id, info)
	}
	if id, info := get("openid+email"); !strings.Contains(id, "alice@") || !strings.Contains(info, "alice@") {
		t.Errorf("with email agreed to: %s %s", id, info)
	}
}
