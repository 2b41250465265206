package caddymodule

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTokenOfTheIssuerOpensTheGateBesideIt(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, oneSite)

	if a := w.get("/"); a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != `Bearer realm="gatehouse", resource_metadata="https://app.example.com/.well-known/oauth-protected-resource"` || a.body != "" {
		t.Errorf("without a token: %v", a)
	}
	a := w.get("/", "Authorization: Bearer "+w.token())
	if a.status != http.StatusOK {
		t.Fatalf("with a token: %v", a)
	}
	seen := a.seen(t)
	for name, want := range map[string]string{
		"X-Auth-Subject": "shop", "X-Auth-Client": "shop", "X-Auth-Scope": "orders:read",
		"X-Auth-Issuer": "https://auth.example.com", "Authorization": "",
	} {
		if got := strings.Join(seen[name], "|"); got != want {
			t.Errorf("backend saw %s: %q, want %q", name, got, want)
		}
	}
}

func TestGateBelievesNoHeaderOfTheClientEvenWhereItDoesNotJudge(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_gate /api/* {
		except /api/open/*
		header X-User-Id {claim.sub}
		header X-User-Email {claim.client_id}
	}
	reverse_proxy unix/$DIR/backend
}
http://auth.example.com {
	token_issuer
}`)
	attack := []string{"X-User-Id: admin", "x-user-email: admin@x", "X-Auth-Subject: admin", "Connection: X-User-Id", "Remote-User: admin"}
	for _, path := range []string{"/", "/api/open/door"} {
		seen := w.get(path, attack...).seen(t)
		for _, name := range []string{"X-User-Id", "X-User-Email", "X-Auth-Subject", "Remote-User"} {
			if seen[name] != nil {
				t.Errorf("%s: backend saw %s: %q", path, name, seen[name])
			}
		}
	}
	tunnel := []string{"Upgrade: h2c", "HTTP2-Settings: AAMAAABk", "Connection: Upgrade, HTTP2-Settings"}
	for _, path := range []string{"/", "/api/open/door"} {
		if seen := w.get(path, tunnel...).seen(t); seen["Upgrade"] != nil || seen["Http2-Settings"] != nil {
			t.Errorf("%s: the backend is offered a connection of the client's own: %v", path, seen)
		}
	}
	if a := w.get("/api/closed", attack...); a.status != http.StatusUnauthorized {
		t.Errorf("without a token: %v", a)
	}
}

func TestGatesOnOneSiteAddUp(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	token_gate {
		scope orders:read
	}
	token_gate /admin/* {
		audience phone
	}
	token_gate /named/* {
		header X-User-Id {claim.sub}
	}
	reverse_proxy unix/$DIR/backend
}`)
	bearer := "Authorization: Bearer " + w.token()

	seen := w.get("/", bearer, "X-User-Id: admin").seen(t)
	if seen.Get("X-Auth-Subject") != "shop" || seen["X-User-Id"] != nil {
		t.Errorf("/: backend saw %v", seen)
	}
	seen = w.get("/named/x", bearer, "X-User-Id: admin").seen(t)
	if seen.Get("X-Auth-Subject") != "shop" || seen.Get("X-User-Id") != "shop" {
		t.Errorf("/named/: the second gate lost what the first has set: %v", seen)
	}
	if a := w.get("/admin/x", bearer); a.status != http.StatusUnauthorized || !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("/admin/: %v", a)
	}
}

// Caddy itself keeps only the first handler of a named route that has no matcher
// in it; a gate that vanishes would open the backend.
func TestGateInANamedRouteStaysThere(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, `
&(guard) {
	header X-Frame-Options DENY
	token_gate
}
http://app.example.com {
	token_issuer
	invoke guard
	respond "the backend"
}`)
	if a := w.get("/"); a.status != http.StatusUnauthorized {
		t.Errorf("without a token: %v", a)
	}
	if a := w.get("/", "Authorization: Bearer "+w.token()); a.body != "the backend" {
		t.Errorf("with a token: %v", a)
	}
}

func TestMissingScopeIsForbidden(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	token_gate {
		scope openid
	}
	respond "the backend"
}`)
	a := w.get("/", "Authorization: Bearer "+w.token())
	if a.status != http.StatusForbidden || !strings.Contains(a.header.Get("WWW-Authenticate"), `error="insufficient_scope"`) {
		t.Errorf("got %v", a)
	}
	if a := w.get("/", "Authorization: Bearer x", "Authorization: Bearer y"); a.status != http.StatusBadRequest {
		t.Errorf("two Authorization fields: %v", a)
	}
}

func TestPlaceholdersAreNeverLiteral(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	token_gate /in/*
	reverse_proxy unix/$DIR/backend {
		header_up X-Id "<{http.auth.user.id}>"
		header_up X-Sub "<{http.auth.user.sub}>"
		header_up X-None "<{http.auth.user.nosuch}>"
		header_up X-Env "<{http.auth.user.env.HOME}>"
	}
}`)
	seen := w.get("/in/", "Authorization: Bearer "+w.token()).seen(t)
	for name, want := range map[string]string{"X-Id": "<shop>", "X-Sub": "<shop>", "X-None": "<>", "X-Env": "<>"} {
		if got := seen.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := w.get("/out/").seen(t).Get("X-Id"); got != "<>" {
		t.Errorf("where nothing is judged: %q", got)
	}
}

// Who has shown a password before the gate is not who the gate has let in.
func TestPlaceholdersAreOfTheTokenBehindAPassword(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	route /in/* {
		basic_auth {
			bob $2a$04$jJ09sCHjZU0dwgU8zrnNv.LDXdISmnagub3Fis5VooSR5Crgsl6iy
		}
		request_header Authorization "Bearer {http.request.header.X-Token}"
		token_gate
		reverse_proxy unix/$DIR/backend {
			header_up X-Id "<{http.auth.user.id}>"
		}
	}
}`)
	seen := w.get("/in/", "Authorization: Basic Ym9iOnNlY3JldA==", "X-Token: "+w.token()).seen(t)
	if got := seen.Get("X-Id"); got != "<shop>" {
		t.Errorf("got %q", got)
	}
}

func TestErrorPagesSeeNeitherTokenNorIdentity(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_gate {
		header X-User-Id {claim.sub}
	}
	respond "never reached"
	handle_errors {
		rewrite * /error/{err.status_code}
		reverse_proxy unix/$DIR/backend
	}
}`)
	a := w.get("/", "Authorization: Bearer nonsense", "Cookie: a=b", "X-User-Id: admin", "X-Auth-Subject: admin")
	seen := a.seen(t)
	for _, name := range []string{"Authorization", "Cookie", "X-User-Id", "X-Auth-Subject"} {
		if seen[name] != nil {
			t.Errorf("the error page saw %s: %q", name, seen[name])
		}
	}
	if a.header.Get("WWW-Authenticate") == "" {
		t.Error("the challenge is lost")
	}
}

func TestSinglePageSiteDoesNotSwallowTheTokenEndpoint(t *testing.T) {
	w := newWorld(t)
	w.write("site/index.html", "the page")
	w.load(oneIssuer, `
http://app.example.com {
	root $DIR/site
	try_files {path} /index.html
	token_issuer
	token_gate /api/*
	respond /api/* "the api"
	file_server
}`)
	if a := w.get("/some/view"); a.body != "the page" {
		t.Errorf("a view: %v", a)
	}
	if a := w.get("/oauth2/jwks"); a.status != http.StatusOK || !strings.Contains(a.body, `"keys"`) {
		t.Errorf("the keys: %v", a)
	}
	w.token()
	if a := w.get("/oauth2/nothing/here"); a.status != http.StatusNotFound {
		t.Errorf("what is not the issuer's under its paths: %v", a)
	}
}

func TestEarlyDataIsSentBackUntilTheHandshakeIsComplete(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://app.example.com/oauth2/token", strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Early-Data", "1") // as a proxy in front says it
	if a, err := w.do(r); err != nil || a.status != http.StatusTooEarly {
		t.Errorf("got %v, %v", a, err)
	}
	if log := w.logged(); strings.Count(log, `"reason":"early_data"`) != 1 || strings.Contains(log, "client_credentials") {
		t.Errorf("not one event, or one with what was sent: %s", log)
	}
	if a := w.get("/oauth2/jwks", "Early-Data: 1"); a.status != http.StatusOK {
		t.Errorf("a GET is safe: %v", a)
	}
	for early, state := range map[bool]*tls.ConnectionState{true: {}, false: {HandshakeComplete: true}} {
		if r := (&http.Request{TLS: state, Header: http.Header{}}); isEarly(r) != early {
			t.Errorf("%+v: early is %v", state, !early)
		}
	}
}

func TestForeignIssuerOpensAGateWithoutAnEmbeddedOne(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	partner := newPartner(t)
	w.write("jwks.json", partner.jwks)
	w.load("", `
http://app.example.com {
	token_gate {
		embedded off
		claim groups ops
		issuer https://login.partner.example {
			audience https://api.example.com
			jwks_file $DIR/jwks.json
		}
	}
	reverse_proxy unix/$DIR/backend
}`)
	for name, c := range map[string]struct {
		audience, group string
		left            time.Duration
		want            int
	}{
		"good":                     {"https://api.example.com", "ops", time.Minute, http.StatusOK},
		"inside the leeway of 30s": {"https://api.example.com", "ops", -15 * time.Second, http.StatusOK},
		"outside of it":            {"https://api.example.com", "ops", -time.Minute, http.StatusUnauthorized},
		"another audience":         {"https://other.example.com", "ops", time.Minute, http.StatusUnauthorized},
		"another group":            {"https://api.example.com", "sales", time.Minute, http.StatusForbidden},
	} {
		if a := w.get("/", "Authorization: Bearer "+partner.token(t, c.audience, c.group, c.left)); a.status != c.want {
			t.Errorf("%s: %v", name, a)
		}
	}
}
