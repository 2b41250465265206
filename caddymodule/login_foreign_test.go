package caddymodule

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// neighbour is an issuer of our own kind, outside this Caddy, where alice has an
// account.
type neighbour struct {
	*httptest.Server
	issuer *tokenissuer.Issuer
	down   atomic.Bool
	spent  atomic.Bool                   // its token endpoint knows no refresh token any more
	hangs  atomic.Pointer[chan struct{}] // until it is closed the token endpoint says nothing
	asked  atomic.Int32                  // how often the token endpoint was
	read   atomic.Int32                  // how often its document was
	deaf   atomic.Bool                   // its document has no revocation endpoint
}

// withoutRevocation takes it out of the metadata.
type withoutRevocation struct{ http.ResponseWriter }

func (w *withoutRevocation) Write(b []byte) (int, error) {
	_, err := w.ResponseWriter.Write(bytes.ReplaceAll(b, []byte(`"revocation_endpoint":`), []byte(`"revocation_endless_":`)))
	return len(b), err
}

// newNeighbour serves at an address that is known before its issuer is.
func newNeighbour(w *world) *neighbour {
	w.Helper()
	n := new(neighbour)
	n.Server = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth2/token" {
			n.asked.Add(1)
			if until := n.hangs.Load(); until != nil {
				<-*until
			}
		}
		if n.down.Load() {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		if n.spent.Load() && r.URL.Path == "/oauth2/token" {
			rw.Header().Set("Content-Type", "application/json")
			rw.WriteHeader(http.StatusBadRequest)
			_, _ = rw.Write([]byte(`{"error":"invalid_grant"}`))
			return
		}
		if r.URL.Path == "/.well-known/openid-configuration" {
			n.read.Add(1)
		}
		if n.deaf.Load() {
			rw = &withoutRevocation{rw}
		}
		n.issuer.ServeHTTP(rw, r)
	}))
	w.Cleanup(n.Close)
	w.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.Certificate().Raw})))
	config := tokenissuer.Config{Issuer: n.URL, SigningAlgorithm: "ES256", ISSParameter: true, Clients: []tokenissuer.Client{{
		ID: "site", Type: "web", Dialect: "oauth", Grants: []string{"authorization_code", "refresh_token"}, FirstParty: true,
		Secrets: []string{partnerSecret}, Scopes: []string{"openid"},
		RedirectURIs:       []string{"https://app.example.com/.gatehouse/callback"},
		LogoutRedirectURIs: []string{"https://app.example.com/"}, Logout: "tokens",
	}}}
	if err := os.MkdirAll(filepath.Join(w.dir, "neighbour"), 0o700); err != nil {
		w.Fatal(err)
	}
	records, err := sqlite.Open(w.Context(), filepath.Join(w.dir, "neighbour", "issuer.db"))
	if err != nil {
		w.Fatal(err)
	}
	state, err := tokenissuer.OpenState(w.Context(), records, config.KeyRules(""), func(err error) { w.Error(err) })
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = state.Close() })
	if n.issuer, err = tokenissuer.New(config, state); err != nil {
		w.Fatal(err)
	}
	if _, err := n.issuer.AddUser(w.Context(), tokenissuer.NewUser{Username: "alice", Password: herPassword}); err != nil {
		w.Fatal(err)
	}
	return n
}

// goesAbroad lets a visitor's browser reach the neighbour.
func (n *neighbour) goesAbroad(p *visitor) *visitor {
	p.http.Transport = bothWays{p.http.Transport, n.Client().Transport}
	return p
}

// travels is a visitor of a site whose people sign in at the neighbour, where the site
// is known by a secret.
func travels(t *testing.T, secret string) (*world, *neighbour, *visitor) {
	t.Helper()
	t.Setenv("PARTNER_SECRET", secret)
	w := newWorld(t)
	w.backend(nil)
	n := newNeighbour(w)
	w.load("", n.sites())
	return w, n, n.goesAbroad(w.visitor())
}

type bothWays struct{ here, there http.RoundTripper }

func (b bothWays) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == "127.0.0.1" {
		return b.there.RoundTrip(r)
	}
	return b.here.RoundTrip(r)
}

func (n *neighbour) sites() string {
	return strings.ReplaceAll(`
http://app.example.com {
	token_gate {
		embedded off
		issuer ISSUER {
			audience site
			ca_file $DIR/ca.pem
		}
		login {
			client_id site
			client_secret {env.PARTNER_SECRET}
		}
	}
	reverse_proxy unix/$DIR/backend
}`, "ISSUER", n.URL)
}

// A Caddy without an issuer of its own, in front of a backend whose people are
// elsewhere.
func TestPeopleOfAnIssuerElsewhereSignIn(t *testing.T) {
	w, n, p := travels(t, partnerSecret)

	n.down.Store(true)
	if a := p.visit("https://app.example.com/"); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "Signing in is not possible now") {
		t.Errorf("while it is down: %v", a)
	}
	n.down.Store(false)
	for began := time.Now(); p.visit("https://app.example.com/").status == http.StatusServiceUnavailable; { // asked for again, but not at once
		if time.Since(began) > far {
			t.Fatal("not asked for again")
		}
	}
	a, way := p.signIn("https://app.example.com/orders?a=b", "alice")
	if a.status != http.StatusOK || way[len(way)-1] != "https://app.example.com/orders?a=b" || a.seen(t).Get("X-Auth-Issuer") != n.URL {
		t.Fatalf("by %q: %v", way, a)
	}
	old := p.cookies("app.example.com")[loginCookie]

	// Another start of the same Caddy reads the cookie: its key is in the storage. And
	// what is known of the issuer stays known.
	documents := n.read.Load()
	w.load("", n.sites()+"\nhttp://more.example.com {\n\trespond hello\n}")
	if a := p.visit("https://app.example.com/"); a.status != http.StatusOK {
		t.Errorf("after a reload: %v", a)
	}

	// At its end the token is renewed there, and not while nobody answers.
	p.age("app.example.com")
	n.down.Store(true)
	if a := p.visit("https://app.example.com/"); a.status != http.StatusServiceUnavailable || p.cookies("app.example.com")[loginCookie] == "" {
		t.Errorf("at its end, while it is down: %v", a)
	}
	if log := w.logged(); !strings.Contains(log, `"reason":"issuer_unavailable"`) || strings.Contains(log, `"reason":"store_unavailable"`) {
		t.Error("the log does not say who is to blame")
	}
	n.down.Store(false)
	if a := p.visit("https://app.example.com/"); a.status != http.StatusOK || p.cookies("app.example.com")[loginCookie] == old {
		t.Errorf("at its end: %v", a)
	}
	if n.read.Load() != documents {
		t.Error("a reload has it asked for its document again")
	}

	last := p.cookies("app.example.com")[loginCookie]
	// Signing out revokes there, and ends the portal's session.
	a = p.visit("https://app.example.com/.gatehouse/logout", "Sec-Fetch-Site: none")
	page, way := p.follow(a.header.Get("Location"))
	if at := way[len(way)-1]; !strings.HasPrefix(at, n.URL+"/portal/") || !strings.Contains(page.body, `name="password"`) {
		t.Errorf("signed out by %q: %v", way, page)
	}
	// A copy of the cookie is over, although the tokens in it are good by themselves.
	p.set("app.example.com", loginCookie, last)
	if a := p.do(http.MethodGet, "https://app.example.com/", "", "Sec-Fetch-Mode: cors"); a.status != http.StatusUnauthorized {
		t.Errorf("the cookie of before: %v", a)
	}
	p.set("app.example.com", loginCookie, old)
	p.age("app.example.com")
	if a := p.do(http.MethodGet, "https://app.example.com/", "", "Sec-Fetch-Mode: cors"); a.status != http.StatusUnauthorized {
		t.Errorf("the cookie of before, renewed: %v", a)
	}
	if log := w.logged(); strings.Contains(log, partnerSecret) || strings.Contains(log, url.QueryEscape(partnerSecret)) {
		t.Error("the secret is in the log")
	}
}

// An issuer that takes the line and says nothing holds nobody up whose token is good,
// and one that fails is left alone for a while.
func TestIssuerThatHangsHoldsNobodyUp(t *testing.T) {
	w, n, p := travels(t, partnerSecret)
	p.signIn("https://app.example.com/", "alice")
	read := func(times int) {
		t.Helper()
		for range times {
			if a := p.visit("https://app.example.com/"); a.status != http.StatusOK {
				t.Fatalf("with a good token: %v", a)
			}
		}
	}

	n.down.Store(true)
	p.ageTo("app.example.com", 19*time.Second)
	n.asked.Store(0)
	failing := time.Now()
	read(10)
	before := time.Since(failing)
	if got, most := n.asked.Load(), 1+int32(before/(5*time.Second)); got < 1 || got > most {
		t.Errorf("asked %d times while it fails, want %d", got, most)
	}
	n.down.Store(false)

	p = n.goesAbroad(w.visitor()) // another sign-in, or the pause would go on
	p.signIn("https://app.example.com/", "alice")
	until := make(chan struct{})
	answers := sync.OnceFunc(func() { close(until) })
	w.Cleanup(answers)
	n.hangs.Store(&until)
	n.asked.Store(0)
	p.ageTo("app.example.com", 19*time.Second)
	old, began := p.cookies("app.example.com")[loginCookie], time.Now()
	read(10)
	if took := time.Since(began); took > 4*time.Second+3*before || n.asked.Load() != 1 { // a slow machine took its time before, too
		t.Errorf("ten pages took %s and %d questions, and %s where it fails at once", took, n.asked.Load(), before)
	}
	answers()
	for p.cookies("app.example.com")[loginCookie] == old { // as soon as it has answered
		if read(1); time.Since(began) > far {
			t.Fatal("never renewed")
		}
	}
	if got := n.asked.Load(); got != 1 {
		t.Errorf("asked %d times", got)
	}
}

// The secret of the client is wrong: a page, and the operator is told.
func TestWrongSecretElsewhereIsAPage(t *testing.T) {
	w, _, p := travels(t, "not the secret")
	a, way := p.signIn("https://app.example.com/", "alice")
	if a.status != http.StatusBadRequest || !strings.HasPrefix(way[len(way)-1], "https://app.example.com/.gatehouse/callback") {
		t.Errorf("by %q: %v", way, a)
	}
	if log := w.logged(); !strings.Contains(log, `"reason":"code_refused"`) || !strings.Contains(log, "answered 401") {
		t.Error("the log does not say why")
	}
}

// Mix-up (RFC 9207 §2.4, RFC 9700 §4.4.2): an issuer that always says who it is has not
// made an answer that does not.
func TestAnswerWithoutItsIssuerIsSomebodyElses(t *testing.T) {
	w, n, p := travels(t, partnerSecret)
	p.http.Transport = withoutIssuer{p.http.Transport}
	a, way := p.signIn("https://app.example.com/", "alice")
	if a.status != http.StatusBadRequest || p.cookies("app.example.com")[loginCookie] != "" || n.asked.Load() != 0 {
		t.Errorf("by %q: %v", way, a)
	}
	if !strings.Contains(w.logged(), `"reason":"answer_of_another_issuer"`) {
		t.Error("the log does not say why")
	}
}

// withoutIssuer takes `iss` out of what comes back to the site.
type withoutIssuer struct{ http.RoundTripper }

func (o withoutIssuer) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Path, "/.gatehouse/") {
		r = r.Clone(r.Context())
		q := r.URL.Query()
		q.Del("iss")
		r.URL.RawQuery = q.Encode()
	}
	return o.RoundTripper.RoundTrip(r)
}

// Who signed in at an issuer elsewhere goes by it once a day: a copy of the cookie of somebody
// who has signed out would be renewed for as long as refresh tokens live there, wherever
// nobody remembers that they have.
func TestSignInElsewhereIsRenewedForADay(t *testing.T) {
	_, n, p := travels(t, partnerSecret)
	p.signIn("https://app.example.com/", "alice")
	script := func() int {
		return p.do(http.MethodGet, "https://app.example.com/", "", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors").status
	}
	began := time.Now().Add(-24 * time.Hour)
	begin := func(at time.Time) {
		p.reseal("app.example.com", func(plain []byte) { binary.BigEndian.PutUint64(plain[16:], uint64(at.Unix())) })
	}

	begin(began.Add(time.Hour))
	p.age("app.example.com")
	old := p.cookies("app.example.com")[loginCookie]
	if got := script(); got != http.StatusOK || p.cookies("app.example.com")[loginCookie] == old {
		t.Errorf("within the day: %d", got)
	}
	p.reseal("app.example.com", func(plain []byte) {
		if got := int64(binary.BigEndian.Uint64(plain[16:])); got != began.Add(time.Hour).Unix() {
			t.Errorf("renewed, it began %s later", time.Duration(got-began.Add(time.Hour).Unix())*time.Second)
		}
	})

	begin(began)
	if got := script(); got != http.StatusOK {
		t.Errorf("after the day, with a token that is good: %d", got)
	}
	p.age("app.example.com")
	n.asked.Store(0)
	if got := script(); got != http.StatusUnauthorized || n.asked.Load() != 0 || p.cookies("app.example.com")[loginCookie] != "" {
		t.Errorf("after the day: %d, asked %d times", got, n.asked.Load())
	}
	if a, way := p.follow("https://app.example.com/"); a.status != http.StatusOK || len(way) < 3 {
		t.Errorf("the way by the issuer, without a question: %v by %q", a, way)
	}
}

// Two requests of one page may come to two nodes, which both show the refresh token to an
// issuer that takes each but once: the no to one of them is not to undo the cookie that
// the other one has set.
func TestNoOfAnIssuerElsewhereLeavesTheCookie(t *testing.T) {
	_, n, p := travels(t, partnerSecret)
	p.signIn("https://app.example.com/", "alice")
	p.age("app.example.com")
	n.spent.Store(true)
	n.asked.Store(0)
	before := p.cookies("app.example.com")[loginCookie]
	for range 3 {
		a := p.do(http.MethodGet, "https://app.example.com/", "", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors")
		if a.status != http.StatusUnauthorized || a.header["Set-Cookie"] != nil || p.cookies("app.example.com")[loginCookie] != before {
			t.Errorf("a script with a token that the issuer does not renew: %v", a)
		}
	}
	if got := n.asked.Load(); got != 1 {
		t.Errorf("the issuer was asked %d times about one refresh token", got)
	}
	n.spent.Store(false)
	if a, way := p.follow("https://app.example.com/"); a.status != http.StatusOK || len(way) < 3 || p.cookies("app.example.com")[loginCookie] == before {
		t.Errorf("the way by the issuer, without a question: %v by %q", a, way)
	}
}

// What is wrong with the client, as a secret that has ended, says nothing of the people: they
// are in again as soon as it is mended.
func TestWrongSecretElsewhereSignsNobodyOut(t *testing.T) {
	w, n, p := travels(t, partnerSecret)
	p.signIn("https://app.example.com/", "alice")
	p.age("app.example.com")
	t.Setenv("PARTNER_SECRET", "not the secret")
	w.load("", n.sites()+"\n# with another secret")
	for range 2 {
		if a := p.visit("https://app.example.com/"); a.status != http.StatusServiceUnavailable || p.cookies("app.example.com")[loginCookie] == "" {
			t.Errorf("with a wrong secret: %v", a)
		}
	}
	if log := w.logged(); !strings.Contains(log, "answered 401: look at client_id and client_secret") {
		t.Error("the log does not say why")
	}
	t.Setenv("PARTNER_SECRET", partnerSecret)
	w.load("", n.sites()+"\n# mended")
	if a := p.visit("https://app.example.com/"); a.status != http.StatusOK {
		t.Errorf("mended: %v", a)
	}
}

// OpenID Connect Core §3.1.3.7, 11: a nonce that was sent is in the ID token.
func TestIDTokenWithoutTheNonceIsSomebodyElses(t *testing.T) {
	w, _, p := travels(t, partnerSecret)
	p.http.Transport = withoutNonce{p.http.Transport}
	a, way := p.signIn("https://app.example.com/", "alice")
	if a.status != http.StatusBadRequest || p.cookies("app.example.com")[loginCookie] != "" || !strings.Contains(w.logged(), `"reason":"id_token_of_another_sign_in"`) {
		t.Errorf("by %q: %v", way, a)
	}
}

// withoutNonce takes it out of what is asked of the issuer.
type withoutNonce struct{ http.RoundTripper }

func (o withoutNonce) RoundTrip(r *http.Request) (*http.Response, error) {
	if q := r.URL.Query(); q.Has("nonce") {
		r = r.Clone(r.Context())
		q.Del("nonce")
		r.URL.RawQuery = q.Encode()
	}
	return o.RoundTripper.RoundTrip(r)
}
