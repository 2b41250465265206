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

// manyIssuers is a site whose folders have a login at issuers of their own.
func manyIssuers(t *testing.T, site, logins string, parties ...*party) (*world, func() *visitor) {
	t.Helper()
	w := newWorld(t)
	w.backend(nil)
	w.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: parties[0].Certificate().Raw})))
	w.load(loginGlobal, "http://auth.example.com {\ntoken_issuer\n}\n"+site+" {\n"+logins+"reverse_proxy unix/$DIR/backend\n}\n")
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
	w, visitor := manyIssuers(t, "http://app.example.com", partner.login("/partner/*")+"token_gate {\nlogin\n}\n", partner)

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
// tell whose an answer is; where the other does, it would have. One whose gate no request
// for the host gets to has no answers there. Whatever may be refused was warned of.
func TestAnswersAreToldApartAmongIssuersElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		beside func(other *party) string // what else people of the host sign in by
		says   bool                      // the other issuer
		taken  bool                      // an answer that does not say whose it is
		warned bool                      // of two logins on one host
	}{
		"alone":                       {func(*party) string { return "" }, false, true, false},
		"beside the embedded one":     {func(*party) string { return "token_gate /b/* {\nlogin\n}\n" }, false, true, true},
		"beside one that says":        {func(other *party) string { return other.login("/b/*") }, true, true, true},
		"beside one that does not":    {func(other *party) string { return other.login("/b/*") }, false, false, true},
		"beside one of another host":  {func(other *party) string { return "}\nhttp://wiki.example.com {\n" + other.login("") }, false, true, false},
		"beside one of several hosts": {func(other *party) string { return "}\nhttp://*.example.com {\n" + other.login("/b/*") }, false, true, false},
		"beside one of other hosts":   {func(other *party) string { return "}\nhttp://*.a.example.com {\n" + other.login("/b/*") }, false, true, false},
		"beside one of any host":      {func(other *party) string { return "}\nhttp:// {\n" + other.login("/b/*") }, false, true, false},
		"beside one of this host on its site for others": {func(other *party) string {
			return "}\nhttp://*.example.com {\n@app host app.example.com\nhandle @app {\n" + other.login("/b/*") + "}\n"
		}, false, true, false},
		"beside one of several hosts on another port": {func(other *party) string {
			return "}\nhttp://*.example.com:8081 {\nbind 127.0.0.1\n" + other.login("/b/*")
		}, false, false, true},
		"beside one of any host on another port":  {func(other *party) string { return "}\nhttp://:8081 {\nbind 127.0.0.1\n" + other.login("/b/*") }, false, false, true},
		"beside one of odd hosts on another port": {func(other *party) string { return "}\nhttp://app.*.com:8081 {\nbind 127.0.0.1\n" + other.login("/b/*") }, false, false, true},
		"beside one of other hosts on another port": {func(other *party) string {
			return "}\nhttp://*.a.example.com:8081 {\nbind 127.0.0.1\n" + other.login("/b/*")
		}, false, true, false},
		"in a named route":   {func(other *party) string { return "invoke b\n}\n&(b) {\n" + other.login("/b/*") }, false, false, true},
		"of the error pages": {func(other *party) string { return "handle_errors {\n" + other.login("/b/*") + "}\n" }, false, false, true},
		"of the error pages of several hosts": {func(other *party) string {
			return "}\nhttp://*.example.com {\nhandle_errors {\n" + other.login("/b/*") + "}\n"
		}, false, false, true},
		"on another host, too": {func(other *party) string {
			return "reverse_proxy unix/$DIR/backend\n}\nhttp://wiki.example.com {\n" + strings.Replace(other.login("/a/*"), "/a/*", "/b/*", 1) + "HERE"
		}, false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			here, other := newParty(t, false), newParty(t, c.says)
			w, visitor := manyIssuers(t, "http://app.example.com", here.login("/a/*")+strings.ReplaceAll(c.beside(other), "HERE", here.login("/a/*")), here, other)
			checkAnswer(t, w, visitor(), here, "https://app.example.com/a/", c.taken, c.warned)
		})
	}
}

// The same where the site of the host means others, too, or is not the first.
func TestAnswersAreToldApartOnSitesOfSeveralHosts(t *testing.T) {
	const handled = "http://*.example.com {\n@app host app.example.com\n"
	for name, c := range map[string]struct {
		sites         string // of the login HERE, and what is behind it
		at            string // where it is asked for
		taken, warned bool
	}{
		"on one site with a name of its own":   {"http://app.example.com http://*.example.com {\nHERE OTHER", "app.example.com", false, true},
		"on one site for several":              {"http://*.example.com {\nHERE OTHER", "app.example.com", false, true},
		"on one site, of which another is out": {"http://wiki.example.com {\nrespond ok\n}\nhttp://*.example.com {\nHERE OTHER", "app.example.com", false, true},
		"a dot at the end is for another site": {"http://app.example.com {\nrespond ok\n}\nhttp:// {\nHERE OTHER", "app.example.com.", false, true},
		"several hosts and any":                {"http:// {\nOTHER respond ok\n}\nhttp://*.example.com {\nHERE", "app.example.com", true, false},
		"several hosts and more":               {"http://*.*.com {\nOTHER respond ok\n}\nhttp://*.example.com {\nHERE", "app.example.com", true, false},
		"more hosts, of which some are another's": {
			"http://*.example.com {\nOTHER respond ok\n}\nhttp:// {\nHERE", "app.example.org", true, false,
		},
		"two of several hosts with some of both": {"http://app.*.com:8081 {\nbind 127.0.0.1\nOTHER respond ok\n}\nhttp://*.example.com {\nHERE", "app.example.com", false, true},
		"an address":                             {"http://[::1] {\nHERE OTHER", "[::1]", false, true},
		"handled before the others of a site":    {handled + "handle @app {\nHERE }\nhandle {\nOTHER }\n", "app.example.com", true, false},
		"handled by a path of that host":         {"http://*.example.com {\n@app {\nhost app.example.com\npath /a/* /.gatehouse/*\n}\nhandle @app {\nHERE }\nhandle {\nOTHER }\n", "app.example.com", false, true},
		"handled, and no other behind it":        {handled + "handle @app {\nHERE }\nOTHER", "app.example.com", false, true},
		"handled before one of the others":       {handled + "handle @app {\nHERE }\nhandle {\nOTHER }\nroute {\nOTHER }\n", "app.example.com", false, true},
		"handled before all, deeper":             {handled + "handle @app {\nHERE }\nhandle {\nroute {\nOTHER }\nhandle /c {\nOTHER }\n}\n", "app.example.com", true, false},
		"handled before one behind a backend":    {handled + "handle @app {\nHERE }\nhandle {\nreverse_proxy unix/$DIR/backend {\nhandle_response {\nOTHER }\n}\n}\n", "app.example.com", true, false},
		"handled before the others":              {handled + "handle @app {\nOTHER }\nhandle {\nHERE }\n", "wiki.example.com", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			here, other := newParty(t, false), newParty(t, false)
			site, words, _ := strings.Cut(strings.NewReplacer("HERE", here.login("/a/*"), "OTHER", other.login("/b/*")).Replace(c.sites), " {\n")
			w, visitor := manyIssuers(t, site, words, here, other)
			checkAnswer(t, w, visitor(), here, "https://"+c.at+"/a/", c.taken, c.warned)
		})
	}
}

// checkAnswer has somebody come back with an answer that does not say whose it is.
func checkAnswer(t *testing.T, w *world, v *visitor, here *party, address string, taken, warned bool) {
	t.Helper()
	a, way := v.follow(address)
	if is := here.codes() == "code of "+here.URL; a.status != http.StatusBadRequest || is != taken {
		t.Errorf("shown %q: %v, by %q", here.codes(), a, way)
	}
	if told := strings.Contains(w.logged(), `"reason":"answer_of_another_issuer"`); told == taken {
		t.Errorf("the log tells of another issuer: %v", told)
	}
	if told := strings.Count(w.logged(), "each takes the other's away"); told > 1 || (told > 0) != warned {
		t.Errorf("the start warned %d times", told)
	}
}
