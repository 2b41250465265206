package caddymodule

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// party is an issuer elsewhere that sends people wherever it likes, and keeps the codes
// that it is shown.
type party struct {
	*httptest.Server
	says bool // its document promises `iss`

	mu     sync.Mutex
	onward func(asked url.Values) string // where it sends people who sign in
	shown  []string                      // codes
}

func newParty(t *testing.T, says bool) *party {
	t.Helper()
	key, err := token.Generate(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	p := &party{says: says}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": p.URL, "jwks_uri": p.URL + "/jwks", "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
			"authorization_response_iss_parameter_supported": p.says,
		})
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(token.NewRing([]*token.Key{key}).JWKS(time.Now()))
	})
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		http.Redirect(w, r, p.onward(r.URL.Query()), http.StatusFound)
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.shown = append(p.shown, r.FormValue("code"))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
	})
	p.Server = httptest.NewTLSServer(mux)
	p.onward = p.answer
	t.Cleanup(p.Close)
	return p
}

// answer is what an honest one says: a code, and who it is where it says that.
func (p *party) answer(asked url.Values) string {
	q := url.Values{"code": {"code of " + p.URL}, "state": {asked.Get("state")}}
	if p.says {
		q.Set("iss", p.URL)
	}
	return asked.Get("redirect_uri") + "?" + q.Encode()
}

func (p *party) codes() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.shown, ", ")
}

func (p *party) login(folder string) string {
	return fmt.Sprintf("token_gate %s {\nembedded off\nissuer %s {\naudience site\nca_file $DIR/ca.pem\n}\nlogin {\nclient_id site\n}\n}\n", folder, p.URL)
}

// manyIssuers is a host whose folders have a login at issuers of their own.
func manyIssuers(t *testing.T, logins string, parties ...*party) (*world, func() *visitor) {
	t.Helper()
	w := newWorld(t)
	w.backend(nil)
	w.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: parties[0].Certificate().Raw})))
	w.load(loginGlobal, "http://auth.example.com {\ntoken_issuer\n}\nhttp://app.example.com {\n"+logins+"reverse_proxy unix/$DIR/backend\n}\n")
	w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
	return w, func() *visitor {
		v := w.visitor()
		v.http.Transport = bothWays{v.http.Transport, parties[0].Client().Transport}
		return v
	}
}

// Mix-up (RFC 9700 §4.4.1): the partner sends people on to the embedded issuer, with the
// challenge of a sign-in that an attacker has begun there. The code must not come to it.
func TestPartnerGetsNoCodeOfTheEmbeddedIssuer(t *testing.T) {
	partner := newParty(t, false)
	w, visitor := manyIssuers(t, partner.login("/partner/*")+"token_gate {\nlogin\n}\n", partner)

	alice := visitor()
	if a, _ := alice.signIn("https://app.example.com/", "alice"); a.status != http.StatusOK {
		t.Fatal(a)
	}
	begun, err := url.Parse(visitor().visit("https://app.example.com/").header.Get("Location")) // the attacker's
	if err != nil {
		t.Fatal(err)
	}
	partner.onward = func(asked url.Values) string {
		onward, q := *begun, begun.Query()
		q.Set("state", asked.Get("state"))
		onward.RawQuery = q.Encode()
		return onward.String()
	}
	a, way := alice.follow("https://app.example.com/partner/x")
	last := way[len(way)-1]
	if a.status != http.StatusBadRequest || !strings.Contains(last, "/.gatehouse/callback?code=") || partner.codes() != "" {
		t.Errorf("the partner was shown %q, and she %v, by %q", partner.codes(), a, way)
	}
	if !strings.Contains(w.logged(), `"reason":"answer_of_another_issuer"`) {
		t.Error("the log does not say why")
	}
}

// The same between two issuers elsewhere: where none of them says who it is, nobody can
// tell whose an answer is; where the other does, it would have.
func TestAnswersAreToldApartAmongIssuersElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		beside func(other *party) string // what else people of the host sign in by
		says   bool                      // the other issuer
		taken  bool                      // an answer that does not say whose it is
	}{
		"alone":                       {func(*party) string { return "" }, false, true},
		"beside the embedded one":     {func(*party) string { return "token_gate /b/* {\nlogin\n}\n" }, false, true},
		"beside one that says":        {func(other *party) string { return other.login("/b/*") }, true, true},
		"beside one that does not":    {func(other *party) string { return other.login("/b/*") }, false, false},
		"beside one of another host":  {func(other *party) string { return "}\nhttp://wiki.example.com {\n" + other.login("") }, false, true},
		"beside one of several hosts": {func(other *party) string { return "}\nhttp://*.example.com {\n" + other.login("/b/*") }, false, false},
		"beside one of other hosts":   {func(other *party) string { return "}\nhttp://*.a.example.com {\n" + other.login("/b/*") }, false, true},
		"beside one of any host":      {func(other *party) string { return "}\nhttp:// {\n" + other.login("/b/*") }, false, false},
		"in a named route":            {func(other *party) string { return "invoke b\n}\n&(b) {\n" + other.login("/b/*") }, false, false},
		"of the error pages":          {func(other *party) string { return "handle_errors {\n" + other.login("/b/*") + "}\n" }, false, false},
		"on another host, too": {func(other *party) string {
			return "reverse_proxy unix/$DIR/backend\n}\nhttp://wiki.example.com {\n" + strings.Replace(other.login("/a/*"), "/a/*", "/b/*", 1) + "HERE"
		}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			here, other := newParty(t, false), newParty(t, c.says)
			w, visitor := manyIssuers(t, here.login("/a/*")+strings.ReplaceAll(c.beside(other), "HERE", here.login("/a/*")), here, other)
			a, way := visitor().follow("https://app.example.com/a/")
			if taken := here.codes() == "code of "+here.URL; a.status != http.StatusBadRequest || taken != c.taken {
				t.Errorf("shown %q: %v, by %q", here.codes(), a, way)
			}
			if told := strings.Contains(w.logged(), `"reason":"answer_of_another_issuer"`); told == c.taken {
				t.Errorf("the log tells of another issuer: %v", told)
			}
		})
	}
}
