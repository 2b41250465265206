package tokenissuer_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestAuthorizeStays are the requests that are never redirected.
func TestAuthorizeStays(t *testing.T) {
	s := start(t, authorizing())
	b := s.browser()
	ask := func(pairs ...string) string { return "/oauth2/authorize?" + form(pairs...) }
	for name, path := range map[string]string{
		"client_id missing":         ask("response_type", "code", "redirect_uri", callback),
		"client_id unknown":         ask("response_type", "code", "client_id", "nobody", "redirect_uri", callback),
		"client of the other API":   ask("response_type", "code", "client_id", "legacy", "redirect_uri", callback),
		"redirect_uri missing":      ask("response_type", "code", "client_id", "shop"),
		"redirect_uri unregistered": ask("response_type", "code", "client_id", "shop", "redirect_uri", "https://evil.example/"),
		"response_type missing":     ask("client_id", "shop", "redirect_uri", callback),
		"response_type token":       ask("response_type", "token", "client_id", "shop", "redirect_uri", callback),
		"response_type code token":  ask("response_type", "code token", "client_id", "shop", "redirect_uri", callback),
		"redirect_uri twice":        ask("response_type", "code", "client_id", "shop", "redirect_uri", callback, "redirect_uri", callback),
	} {
		t.Run(name, func(t *testing.T) { staysOnAPage(t, b.get(path)) })
	}
	for _, uri := range []string{
		callback + "/x", callback + "/", callback + "?a=b", callback + "#f", "https://shop.example.com.evil.example/callback", "https://user@shop.example.com/callback",
		"https://shop.example.com@evil.example/callback", "https://shop.example.com/a/../callback", "https://shop.example.com/%2e%2e/callback", "https://shop.example.com/CALLBACK",
		"https://shop.example.com/%63allback", `https:\\shop.example.com\callback`, "//shop.example.com/callback", "javascript:alert(1)", callback + "%0d%0aX: y", " " + callback,
		"ht\ttps://shop.example.com/callback", "https://shop.example.com:8443/callback", "http://shop.example.com/callback", "HTTPS://shop.example.com/callback",
	} {
		t.Run("D02 "+uri, func(t *testing.T) {
			staysOnAPage(t, b.get(ask("response_type", "code", "client_id", "shop", "redirect_uri", uri, "state", "s")))
		})
	}
	for name, r := range map[string]struct{ path, body string }{
		"idaas client_id missing":   {"/api/v1/oauth2/authorize?response_type=code", `{"error":"invalid_request","error_description":"Missing client_id"}`},
		"idaas client_id wrong":     {"/api/v1/oauth2/authorize?response_type=code&client_id=nobody", `{"error":"invalid_client","error_description":"Bad client credentials"}`},
		"idaas redirect_uri wrong":  {"/api/v1/oauth2/authorize?response_type=code&client_id=legacy&redirect_uri=https://x.example", `{"error":"redirect_uri_mismatch"}`},
		"idaas response_type wrong": {"/api/v1/oauth2/authorize?response_type=token&client_id=legacy&redirect_uri=" + callback, `{"error":"unsupported_response_type"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if a := b.get(r.path); a.status != http.StatusBadRequest || a.body != r.body {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

func staysOnAPage(t *testing.T, a answer) {
	t.Helper()
	if a.status != http.StatusBadRequest || a.header.Get("Location") != "" || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") || strings.Contains(a.body, "<form") {
		t.Errorf("%d %v", a.status, a.header)
	}
	if csp := a.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe-inline") {
		t.Errorf("CSP %q", csp)
	}
}

// TestAuthorizeRedirectsErrors compares the whole Location.
func TestAuthorizeRedirectsErrors(t *testing.T) {
	s := start(t, authorizing())
	b := s.browser()
	const about = "https://datatracker.ietf.org/doc/html/"
	for _, r := range []struct{ name, path, want string }{
		{"plain PKCE", authorizePath("shop", "code_challenge", challenge(), "code_challenge_method", "plain"), "?error=invalid_request&error_description=OAuth%202.0%20Parameter:%20code_challenge_method&error_uri=" + about + "rfc7636%23section-4.4.1&state=xyz"},
		{"D09 method absent", authorizePath("shop", "code_challenge", challenge()), "?error=invalid_request&error_description=OAuth%202.0%20Parameter:%20code_challenge_method&error_uri=" + about + "rfc7636%23section-4.4.1&state=xyz"},
		{"D09 public without PKCE", authorizePath("spa"), "?error=invalid_request&error_description=OAuth%202.0%20Parameter:%20code_challenge&error_uri=" + about + "rfc7636%23section-4.4.1&state=xyz"},
		{"D09 challenge of 42", authorizePath("spa", "code_challenge", challenge()[1:], "code_challenge_method", "S256"), "?error=invalid_request&error_description=OAuth%202.0%20Parameter:%20code_challenge&error_uri=" + about + "rfc7636%23section-4.4.1&state=xyz"},
		{"unknown scope", strings.Replace(authorizePath("shop"), "scope=openid", "scope=openid+admin", 1), "?error=invalid_scope&error_description=OAuth%202.0%20Parameter:%20scope&error_uri=" + about + "rfc6749%23section-4.1.2.1&state=xyz"},
		{"D18 prompt none login", authorizePath("shop", "prompt", "none login"), "?error=invalid_request&error_description=OAuth%202.0%20Parameter:%20prompt&error_uri=" + about + "rfc6749%23section-4.1.2.1&state=xyz"},
		{"D22 request_uri", authorizePath("shop", "request_uri", "http://169.254.169.254/"), "?error=request_uri_not_supported&state=xyz"},
		{"D22 request", authorizePath("shop", "request", "x.y.z"), "?error=request_not_supported&state=xyz"},
		{"D08 oauth: response_type unknown", strings.Replace(authorizePath("modern"), "response_type=code", "response_type=token", 1), "?error=unsupported_response_type&error_description=OAuth%202.0%20Parameter:%20response_type&error_uri=" + about + "rfc6749%23section-4.1.2.1&state=xyz&iss=https://auth.example.com"},
		{"state of 10 kB", strings.Replace(authorizePath("shop"), "state=xyz", "state="+strings.Repeat("s", 10_000), 1), "?error=invalid_request&error_description=OAuth%202.0%20Parameter:%20state&error_uri=" + about + "rfc6749%23section-4.1.2.1"},
		{"D21 claims not JSON", authorizePath("shop", "claims", "{"), "?error=invalid_request&error_description=OAuth%202.0%20Parameter:%20claims&error_uri=" + about + "rfc6749%23section-4.1.2.1&state=xyz"},
		{"essential acr", authorizePath("shop", "claims", `{"id_token":{"acr":{"essential":true,"values":["urn:x"]}}}`), "?error=unmet_authentication_requirements&state=xyz"},
		{"essential acr of one value", authorizePath("shop", "claims", `{"id_token":{"acr":{"essential":true,"value":"urn:x"}}}`), "?error=unmet_authentication_requirements&state=xyz"},
		{"id_token_hint that nobody signed", authorizePath("shop", "id_token_hint", "x.y.z"), "?error=invalid_request&error_description=OAuth%202.0%20Parameter:%20id_token_hint&error_uri=" + about + "rfc6749%23section-4.1.2.1&state=xyz"},
		{"source of another client", authorizePath("shop", "auth_source_id", "nothing"), "?error=invalid_request&error_description=OAuth%202.0%20Parameter:%20auth_source_id&error_uri=" + about + "rfc6749%23section-4.1.2.1&state=xyz"},
	} {
		t.Run(r.name, func(t *testing.T) {
			if a := b.get(r.path); a.status != http.StatusFound || a.header.Get("Location") != callback+r.want {
				t.Errorf("%d %s\nwant %s", a.status, a.header.Get("Location"), callback+r.want)
			}
		})
	}
}

// A client that asks for one person gets an answer about nobody else.
func TestAnswerIsAboutThePersonAskedFor(t *testing.T) {
	s := start(t, authorizing())
	s.user("alice", "")
	bob := s.user("bob", "")
	hint := s.good(signIn("shop", "bob")+"&client_secret="+secret).text(t, "id_token")
	b := s.browser()
	b.signedIn(authorizePath("shop"), "alice")
	for name, fields := range map[string][]string{
		"id_token_hint": {"id_token_hint", hint},
		"sub":           {"claims", `{"id_token":{"sub":{"value":"` + bob.ID + `"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			silent := authorizePath("shop", append([]string{"prompt", "none"}, fields...)...)
			if a := b.get(silent); a.header.Get("Location") != callback+"?error=login_required&state=xyz" {
				t.Errorf("of alice: %d %v", a.status, a.header)
			}
			page := b.follow(b.get(authorizePath("shop", fields...)))
			if a := b.follow(b.submit(page, "username", "alice", "password", password)); a.header.Get("Location") != callback+"?error=login_required&state=xyz" {
				t.Errorf("alice again: %d %v", a.status, a.header)
			}
			his := s.browser()
			his.signedIn(authorizePath("shop", fields...), "bob")
			if a := his.get(silent); !strings.HasPrefix(a.header.Get("Location"), callback+"?code=") {
				t.Errorf("of bob: %d %v", a.status, a.header)
			}
		})
	}
	if a := b.get(authorizePath("shop", "id_token_hint", hint, "claims", `{"id_token":{"sub":{"value":"somebody"}}}`)); !strings.HasPrefix(a.header.Get("Location"), callback+"?error=invalid_request") {
		t.Errorf("two persons: %v", a.header)
	}
}

// A class of authentication that is wished for is one that nobody has: the sign-in
// goes on without, and nothing says otherwise.
func TestWishedACRIsNotTold(t *testing.T) {
	s := start(t, authorizing())
	s.user("alice", "")
	code := s.browser().signedIn(authorizePath("shop", "acr_values", "urn:x urn:y", "claims", `{"id_token":{"acr":{"values":["urn:x"]}}}`), "alice").Get("code")
	if _, claims := decoded(t, s.good(redeemShop(code)).text(t, "id_token")); strings.Contains(claims, "acr") {
		t.Errorf("%s", claims)
	}
	if a := s.browser().get("/.well-known/openid-configuration"); strings.Contains(a.body, "acr") {
		t.Errorf("%s", a.body)
	}
}

// TestStateComesBackByteEqual is D23.
func TestStateComesBackByteEqual(t *testing.T) {
	s := start(t, authorizing())
	s.user("alice", "")
	b := s.browser()
	for _, state := range []string{strings.Repeat("s", 4096), `"><script>alert(1)</script>`, "a\r\nb: c", "😀 ü +%20&=#?", "ключ"} {
		path := "/oauth2/authorize?" + form("response_type", "code", "client_id", "shop", "redirect_uri", callback, "scope", "openid", "state", state)
		if got := b.signedIn(path, "alice").Get("state"); got != state {
			t.Errorf("state %q came back as %q", state, got)
		}
	}
	t.Run("form_post", func(t *testing.T) {
		a := b.get(authorizePath("shop", "response_mode", "form_post"))
		if a.status != 200 || !strings.Contains(a.body, `<form method="post" action="`+callback+`">`) || !strings.Contains(a.body, `name="state" value="xyz"`) || !strings.Contains(a.body, `name="code"`) {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// Parts that each may be as long can be too long together for the address of the
// page to sign in: the client learns it, not a person.
func TestRequestTooLongForAPageGoesBackToTheClient(t *testing.T) {
	s := start(t, authorizing())
	state := strings.Repeat("s", 4096)
	path := "/oauth2/authorize?" + form("response_type", "code", "client_id", "shop", "redirect_uri", callback, "scope", "openid",
		"state", state, "nonce", strings.Repeat("n", 4096), "login_hint", strings.Repeat("h", 3000))
	a := s.browser().get(path)
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusFound || !strings.HasPrefix(to.String(), callback) || to.Query().Get("error") != "invalid_request" || to.Query().Get("state") != state {
		t.Errorf("%d %.300s %s", a.status, to, a.body)
	}
}

func TestLogoutRows(t *testing.T) {
	s := start(t, authorizing())
	s.user("alice", "")
	hint := s.good(signIn("shop", "alice")+"&client_secret="+secret).text(t, "id_token")
	b := s.browser()
	for _, r := range []struct{ name, query, body string }{
		{"client_id missing", "", `{"error":"invalid_request","error_description":"Client ID parameter not found"}`},
		{"client_id unknown", form("client_id", "nobody"), invalidRequest},
		{"E12 address unregistered", form("client_id", "shop", "logout_redirect_uri", "https://evil.example/"), invalidRequest},
		{"hint of another client", form("client_id", "spa", "id_token_hint", hint), invalidRequest},
		{"state of 4,097", form("client_id", "shop", "state", strings.Repeat("s", 4097)), invalidRequest},
		{"hint that is an access token", form("id_token_hint", "x.y.z"), invalidRequest},
	} {
		t.Run(r.name, func(t *testing.T) {
			a := b.get("/logout?" + r.query)
			if a.status != http.StatusBadRequest || !strings.HasPrefix(a.body, r.body[:24]) || r.body != invalidRequest && a.body != r.body || a.header.Get("Content-Type") != "application/json" || a.header.Get("Location") != "" {
				t.Errorf("%d %s %v", a.status, a.body, a.header)
			}
		})
	}
	for name, query := range map[string]string{
		"E12 standard, without a hint": form("client_id", "shop", "post_logout_redirect_uri", "https://shop.example.com/bye"),
		"E12 standard, another's hint": form("client_id", "spa", "id_token_hint", hint, "post_logout_redirect_uri", "https://shop.example.com/bye"),
		"E12 standard, not registered": form("id_token_hint", hint, "post_logout_redirect_uri", "https://evil.example/"),
	} {
		t.Run(name, func(t *testing.T) { staysOnAPage(t, b.get("/logout?"+query)) })
	}
	if a := b.get("/logout?" + form("id_token_hint", hint, "post_logout_redirect_uri", "https://shop.example.com/bye", "state", "1")); a.header.Get("Location") != "https://shop.example.com/bye?state=1" {
		t.Errorf("standard, good: %d %v %s", a.status, a.header, a.body)
	}
	t.Run("idaas goes only where a client has registered", func(t *testing.T) {
		if a := b.get("/api/v1/logout?redirect_url=https://evil.example/"); a.status != http.StatusFound || a.header.Get("Location") != "https://auth.example.com/portal/" {
			t.Errorf("%d %v", a.status, a.header)
		}
	})
}
