package caddymodule

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// abroad is an issuer outside this process, on loopback with an authority of its
// own, that can be told to be down.
type abroad struct {
	*httptest.Server
	partner
	fetches atomic.Int32
	asked   atomic.Int32          // about opaque tokens
	opaque  func(raw string) bool // those that are good; nil: one alone
	down    atomic.Bool
	fault   atomic.Value // http.HandlerFunc that answers for the key set instead; nil: none
	mu      sync.Mutex   // of jwks
}

const (
	theirOpaque   = "ya29.opaque-token_of~theirs"
	partnerSecret = "the secret at the partner+1"
)

func newAbroad(w *world) *abroad {
	a := &abroad{partner: newPartner(w)}
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case a.down.Load():
			rw.WriteHeader(http.StatusBadGateway)
		case r.URL.Path == "/.well-known/openid-configuration":
			_ = json.NewEncoder(rw).Encode(map[string]string{"issuer": a.URL, "jwks_uri": a.URL + "/keys"})
		case r.URL.Path == "/keys":
			a.fetches.Add(1)
			if fault, _ := a.fault.Load().(http.HandlerFunc); fault != nil {
				fault(rw, r)
				return
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			_, _ = rw.Write([]byte(a.jwks))
		case r.URL.Path == "/introspect":
			a.asked.Add(1)
			a.introspect(rw, r)
		default:
			http.NotFound(rw, r)
		}
	}))
	w.Cleanup(a.Close)
	w.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})))
	return a
}

func (a *abroad) introspect(rw http.ResponseWriter, r *http.Request) {
	id, secret, err := oauth.ParseBasic(r.Header.Get("Authorization"))
	switch {
	case err != nil || id != "gate" || secret != partnerSecret:
		rw.WriteHeader(http.StatusUnauthorized)
	case r.FormValue("token") == theirOpaque, a.opaque != nil && a.opaque(r.FormValue("token")):
		_ = json.NewEncoder(rw).Encode(map[string]any{
			"active": true, "sub": "bob", "aud": "https://api.example.com", "scope": "read", "client_id": "app", "exp": time.Now().Add(time.Hour).Unix(),
		})
	default:
		_, _ = rw.Write([]byte(`{"active":false}`))
	}
}

// site is a gate for its tokens alone, with words of its issuer block.
func (a *abroad) site(words string) string {
	return "http://app.example.com {\n token_gate {\n embedded off\n issuer " + a.URL + " {\n audience https://api.example.com\n ca_file $DIR/ca.pem\n" +
		words + "\n}\n}\n reverse_proxy unix/$DIR/backend\n}\n"
}

func (a *abroad) bearer(t testing.TB, key *token.Key) string {
	t.Helper()
	return a.until(t, key, time.Now().Add(time.Hour))
}

func (a *abroad) until(t testing.TB, key *token.Key, expires time.Time) string {
	t.Helper()
	access := token.Access{
		Issuer: a.URL, Subject: "anna", Audience: "https://api.example.com", ID: "1", Scopes: []string{"read"},
		IssuedAt: time.Now().Add(-time.Minute), Expires: expires,
	}
	payload, err := access.Payload()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.Sign("at+jwt", payload)
	if err != nil {
		t.Fatal(err)
	}
	return "Authorization: Bearer " + raw
}

// Half a minute is given by default, and none to whom the operator wants it so.
func TestLeewayOfAnIssuerElsewhere(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	a := newAbroad(w)
	for words, want := range map[string]int{"": http.StatusOK, "leeway 1m": http.StatusOK, "leeway 1s": http.StatusUnauthorized, "leeway 0s": http.StatusUnauthorized} {
		w.load("", a.site(words))
		if got := w.get("/", a.until(t, a.key, time.Now().Add(-5*time.Second))); got.status != want {
			t.Errorf("%q: a token that ended five seconds ago: %v", words, got)
		}
		if got := w.get("/", a.bearer(t, a.key)); got.status != http.StatusOK {
			t.Errorf("%q: a good one: %v", words, got)
		}
	}
}

func TestForeignIssuersKeysAreFetchedOnceAndOutliveReloads(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	a := newAbroad(w)
	w.load("", a.site(""))
	for range 3 {
		got := w.get("/", a.bearer(t, a.key))
		if got.status != http.StatusOK || got.seen(t).Get("X-Auth-Issuer") != a.URL {
			t.Fatalf("%v", got)
		}
	}
	for path, site := range map[string]string{
		"the same":                    a.site(""),
		"another leeway":              a.site("leeway 5s"),
		"two gates":                   a.site("") + strings.Replace(a.site(""), "app.", "two.", 1),
		"the same again, one of them": a.site(""),
	} {
		w.load("", site)
		if got := w.get("/", a.bearer(t, a.key)); got.status != http.StatusOK {
			t.Errorf("%s: %v", path, got)
		}
	}
	if n := a.fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	var metrics string
	waitFor(t, func() bool { // counted after those who waited were let in
		_, metrics = w.admin(http.MethodGet, "/metrics", "")
		return strings.Contains(metrics, `gatehouse_gate_key_fetches_total{issuer="`+a.URL)
	})
	for _, want := range []string{
		`gatehouse_gate_key_fetches_total{issuer="` + a.URL + `",result="ok"} 1`,
		`gatehouse_gate_keys_age_seconds{issuer="` + a.URL + `"} `,
		`gatehouse_gate_keys_state{issuer="` + a.URL + `",state="fresh"} 1`,
		`gatehouse_gate_keys_state{issuer="` + a.URL + `",state="down"} 0`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
	// Who asks at another address, or believes another authority, asks anew.
	w.load("", a.site("jwks_uri "+a.URL+"/keys"))
	if got := w.get("/", a.bearer(t, a.key)); got.status != http.StatusOK || a.fetches.Load() != 2 {
		t.Errorf("%d fetches: %v", a.fetches.Load(), got)
	}
	w.load("", "http://app.example.com {\n respond ok\n}")
	if names := openElsewhere(); len(names) != 0 {
		t.Errorf("%q are open, and nobody names them", names)
	}
}

func TestForeignIssuerThatIsDown(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	a := newAbroad(w)
	a.down.Store(true)
	w.load("", a.site(""))
	raw, stranger := a.bearer(t, a.key), a.bearer(t, newPartner(t).key)
	for range 3 {
		got := w.get("/", raw)
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || got.header.Get("WWW-Authenticate") != "" {
			t.Fatalf("who is told that the token is bad throws it away: %v", got)
		}
	}
	_, bare, _ := strings.Cut(raw, "Bearer ")
	if x := w.explained(http.MethodGet, "http://app.example.com/", bare); x.Reason != "issuer_unavailable" || x.Mend == "" ||
		!strings.HasSuffix(x.Says, ": discovery: answered 502") || x.Token == nil || x.Token.Keys == nil || x.Token.Keys.State != "down" {
		t.Errorf("%+v %+v", x, x.Token)
	}
	if got := w.get("/", strings.Replace(raw, "Bearer ", "Bearer x", 1)); got.status != http.StatusUnauthorized {
		t.Errorf("what is no token needs nobody's keys: %v", got)
	}
	a.down.Store(false)
	waitFor(t, func() bool { return w.get("/", raw).status == http.StatusOK })
	if got := w.get("/", stranger); got.status != http.StatusUnauthorized {
		t.Errorf("%v", got)
	}
	a.down.Store(true)
	if got := w.get("/", raw); got.status != http.StatusOK {
		t.Errorf("its keys are known: %v", got)
	}
	waitFor(t, func() bool { return strings.Contains(w.logged(), "issuer is back") }) // written after those who waited were let in
	log := w.logged()
	for text, times := range map[string]int{
		"issuer cannot be asked and none of its keys is used": 1,
		"issuer is back":                  1,
		`"reason":"issuer_unavailable"`:   -1,
		`"why":"discovery: answered 502"`: -1,
	} {
		if n := strings.Count(log, text); n != times && times >= 0 || n == 0 {
			t.Errorf("%s: %d times in the log", text, n)
		}
	}
	if x := w.explained(http.MethodGet, "http://app.example.com/", bare); x.Decision != "passed" || x.Token.Keys == nil || x.Token.Keys.Fetched.IsZero() {
		t.Errorf("%+v %+v", x, x.Token)
	}
	if strings.Contains(log, bare[:40]) {
		t.Error("a token is in the log")
	}
}

func TestForeignOpaqueTokensAreAskedAbout(t *testing.T) {
	t.Setenv("PARTNER_SECRET", partnerSecret)
	w := newWorld(t)
	w.backend(nil)
	a := newAbroad(w)
	introspection := func(secret string) string {
		return a.site("introspection " + a.URL + "/introspect {\n client_id gate\n client_secret " + secret + "\n}")
	}
	w.load("", introspection("{env.PARTNER_SECRET}"))
	began, asking := time.Now(), time.Duration(0)
	for range 3 {
		got := w.get("/", "Authorization: Bearer "+theirOpaque)
		asking = time.Since(began)
		if got.status != http.StatusOK || got.seen(t).Get("X-Auth-Subject") != "bob" || got.seen(t).Get("X-Auth-Issuer") != a.URL {
			t.Fatalf("%v", got)
		}
		w.load("", introspection("{env.PARTNER_SECRET}")+"# again\n")
	}
	if got := w.get("/", "Authorization: Bearer "+theirOpaque+"x"); got.status != http.StatusUnauthorized || !strings.Contains(got.header.Get("WWW-Authenticate"), "invalid_token") {
		t.Errorf("%v", got)
	}
	if got := w.get("/", a.bearer(t, a.key)); got.status != http.StatusOK {
		t.Errorf("a JWT beside it: %v", got)
	}
	n, most := a.asked.Load(), 2+int32(asking/(10*time.Second)) // an answer counts for ten seconds
	if n < 2 || n > most {
		t.Errorf("%d questions about two tokens, over reloads within %v", n, asking)
	}
	_, metrics := w.admin(http.MethodGet, "/metrics", "")
	for _, want := range []string{fmt.Sprintf(`result="ok"} %d`, n-1), `result="inactive"} 1`} {
		if !strings.Contains(metrics, `gatehouse_gate_introspections_total{issuer="`+a.URL+`",`+want) {
			t.Errorf("no %s", want)
		}
	}
	// A secret that is wrong is the operator's to mend, and no fault of the token's.
	w.load("", introspection("wrong"))
	for range 5 {
		if got := w.get("/", "Authorization: Bearer "+theirOpaque); got.status != http.StatusServiceUnavailable {
			t.Fatalf("%v", got)
		}
	}
	log := w.logged()
	for text, times := range map[string]int{
		"a secret is written in the configuration":          1,
		"issuer does not answer about opaque tokens":        1,
		"answered 401: look at client_id and client_secret": -1,
		partnerSecret: 0,
		theirOpaque:   0,
		"Z2F0ZTp0aGUrc2VjcmV0K2F0K3RoZStwYXJ0bmVyJTJCMQ":                     0,
		strings.ReplaceAll(partnerSecret, " ", "+"):                          0,
		strings.ReplaceAll(partnerSecret[:len(partnerSecret)-2], " ", "%20"): 0,
	} {
		if n := strings.Count(log, text); times >= 0 && n != times || times < 0 && n == 0 {
			t.Errorf("%s: %d times in the log", text, n)
		}
	}
}

func TestValidatingAsksNoIssuer(t *testing.T) {
	w := newWorld(t)
	a := newAbroad(w)
	if err := w.validate("", a.site("")); err != nil {
		t.Fatal(err)
	}
	if n := a.fetches.Load(); n != 0 {
		t.Errorf("%d fetches", n)
	}
	if names := openElsewhere(); len(names) != 0 {
		t.Errorf("%q are open", names)
	}
}

// openElsewhere are the issuers that are being asked.
func openElsewhere() (names []any) {
	elsewhere.Range(func(name, _ any) bool {
		names = append(names, name)
		return true
	})
	return names
}

func TestMistakesOfForeignIssuersNameTheirLines(t *testing.T) {
	w := newWorld(t)
	a := newAbroad(w)
	t.Setenv("PLAIN", "http://login.partner.example/keys")
	for words, wants := range map[string][]string{
		"jwks_uri {env.PLAIN}":   {"jwks_uri: must be https", "at Caddyfile:20"},
		"jwks_uri {env.NOT_SET}": {"jwks_uri: ", "at Caddyfile:20"},
		"introspection {env.PLAIN} {\nclient_id a\nclient_secret b\n}":                   {"introspection: must be https", "at Caddyfile:20"},
		"introspection https://a.example {\nclient_id a\nclient_secret {env.NOT_SET}\n}": {"introspection client_secret: ", "at Caddyfile:22"},
		"leeway {env.PLAIN}":    {"leeway: ", "at Caddyfile:20"},
		"ca_file $DIR/none.pem": {"ca_file: ", "none.pem", "at Caddyfile:19"},
	} {
		site := a.site(words)
		if strings.HasPrefix(words, "ca_file") {
			site = strings.Replace(a.site(""), "$DIR/ca.pem", "$DIR/none.pem", 1)
		}
		err := w.validate("", site)
		for _, want := range append(wants, "token_gate: ") {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in: %v", want, err)
			}
		}
	}
}
