package caddymodule

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// explained asks the admin endpoint about a request.
func (w *world) explained(method, url, token string) explanation {
	w.Helper()
	return w.explains(question{Method: method, URL: url, Token: token})
}

// explainedVia asks about what another proxy would ask.
func (w *world) explainedVia(via, url, token string) explanation {
	w.Helper()
	return w.explains(question{Method: http.MethodGet, URL: url, Token: token, Via: via})
}

func (w *world) explains(q question) explanation {
	w.Helper()
	body, err := json.Marshal(q)
	if err != nil {
		w.Fatal(err)
	}
	status, text := w.admin(http.MethodPost, explainPath, string(body), "Content-Type: application/json")
	var x explanation
	if err := json.Unmarshal([]byte(text), &x); err != nil || status != http.StatusOK {
		w.Fatalf("%s %s: %d %s", q.Method, q.URL, status, text)
	}
	return x
}

const explainSites = `
http://app.example.com {
	token_issuer
	@orders path /orders /orders/*
	token_gate @orders {
		audience shop
		scope orders:write orders:read
	}
	handle_path /api/* {
		token_gate {
			except /health
			expression ` + "`claims.sub == \"boss\" && request.method == \"GET\"`" + `
		}
		reverse_proxy unix/$DIR/backend
	}
	handle /rehearsal/* {
		token_gate {
			claim client_id nobody
			shadow
		}
		reverse_proxy unix/$DIR/backend
	}
	handle /open/* {
		reverse_proxy unix/$DIR/backend
	}
	handle {
		token_gate {
			optional
		}
		reverse_proxy unix/$DIR/backend
	}
}`

var explainIssuer = strings.Replace(oneIssuer, "scopes openid orders:read", "scopes orders:read orders:write\n\t\t\taccess_token at+jwt", 1)

// reader gets a token of the shop that can read and not write.
func (w *world) reader() string {
	w.Helper()
	return w.accessToken(w.post("/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"shop"}, "client_secret": {shopSecret}, "scope": {"orders:read"},
	}))
}

func TestExplanationIsWhatTheRequestIsAnswered(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(explainIssuer, explainSites)
	good := w.reader()
	foreign := newPartner(t).token(t, "shop", "staff", time.Hour)
	for _, c := range []struct {
		method, path, token  string
		decision, at, reason string
		words                string // in what it says
	}{
		{"GET", "/orders/7", "", "refused", "Caddyfile:35", "no_bearer_token", "token: the request has none"},
		{"GET", "/orders/7", good, "refused", "Caddyfile:37", "missing_scope", "scope orders:write: the token has orders:read"},
		{"GET", "/orders/../orders", good, "refused", "Caddyfile:37", "missing_scope", "scope orders:write"},
		{"GET", "/orders/7", good[:len(good)-8] + "AAAAAAAA", "refused", "Caddyfile:35", "wrong_signature", "wrong signature"},
		{"GET", "/orders/7", foreign, "refused", "Caddyfile:35", "unknown_key", "unknown key"},
		{"GET", "/orders/7", "nonsense", "refused", "Caddyfile:35", "malformed_token", "malformed"},
		{"GET", "/api/things", good, "refused", "Caddyfile:42", "expression_refused", "the expression does not hold"},
		{"GET", "/api/health", "", "passed", "Caddyfile:41", "", "except /health"},
		{"POST", "/rehearsal/", good, "passed", "Caddyfile:48", "missing_claim", "in the shadow nobody is refused"},
		{"GET", "/open/door", "", "unguarded", "", "", "no gate judges it"},
		{"GET", "/", "", "passed", "Caddyfile:57", "", "every rule holds"},
		{"GET", "/", good, "passed", "Caddyfile:57", "", "every rule holds"},
		{"GET", "/open%2fdoor", good, "refused", "Caddyfile:37", "missing_scope", "the gate's matcher does not select this path and host"},
		{"GET", "//api/health", "", "refused", "Caddyfile:35", "no_bearer_token", "may read them in another way"},
		{"POST", "/oauth2/token", "", "issuer", "Caddyfile:33", "", "an endpoint of the issuer"},
	} {
		x := w.explained(c.method, "http://app.example.com"+c.path, c.token)
		if x.Decision != c.decision || x.At != c.at || x.Reason != c.reason || !strings.Contains(x.Says, c.words) {
			t.Errorf("%s %s: %+v, want %s %s %s", c.method, c.path, x, c.decision, c.at, c.reason)
		}
		if refused := x.Decision == "refused"; refused != (x.Mend != "") && x.Decision != "unguarded" && x.Reason == "" {
			t.Errorf("%s %s: mend %q", c.method, c.path, x.Mend)
		}
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://app.example.com"+c.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		a, err := w.do(r)
		if err != nil {
			t.Fatal(err)
		}
		if c.decision == "issuer" {
			continue
		}
		if refused := x.Status != 0; refused != (a.status != http.StatusOK) || refused && a.status != x.Status {
			t.Errorf("%s %s: explained as %d, answered %d", c.method, c.path, x.Status, a.status)
		}
	}
	if log := w.logged(); strings.Contains(log, good) {
		t.Error("the token is in the log")
	}
}

func TestExplanationSendsNothingOn(t *testing.T) {
	w := newWorld(t)
	w.backend(func(http.ResponseWriter, *http.Request) { t.Error("the backend was asked") })
	w.load(oneIssuer, oneSite)
	x := w.explained(http.MethodPost, "http://app.example.com/", w.token())
	if x.Decision != "passed" || x.Next != "reverse_proxy" || x.Token == nil || x.Token.Key == nil || x.Token.Key.State != "signing" || x.Token.Subject != "shop" {
		t.Errorf("%+v", x)
	}
}

func TestExplainCommand(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(explainIssuer, explainSites)
	run := func(stdin string, args ...string) (string, error) {
		root := &cobra.Command{Use: "gate", SilenceErrors: true, SilenceUsage: true}
		adminFlags(root)
		root.AddCommand(gateExplain())
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetIn(strings.NewReader(stdin))
		root.SetArgs(append(args, "--address", "unix/"+w.dir+"/admin"))
		err := root.Execute()
		return out.String(), err
	}
	out, err := run("Bearer "+w.reader()+"\n", "explain", "--token-stdin", "GET", "http://app.example.com/orders/1")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"GET http://app.example.com/orders/1\nrefused: 403 missing_scope\n  because  Caddyfile:37  scope orders:write: the token has orders:read\n  mend     get a token with this scope",
		"token of shop for client shop (read now)\n  key ",
		"gate Caddyfile:35: refused missing_scope\n  holds  Caddyfile:13  issuer https://auth.example.com: signed by key ",
		"  holds  Caddyfile:36  audience shop: the token is for shop\n",
		"  FAILS  Caddyfile:37  scope orders:write: the token has orders:read\n  holds  Caddyfile:37  scope orders:read",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
	if out, err = run("", "explain", "get", "http://app.example.com/orders/1"); err != nil || !strings.Contains(out, "  assumed  method get, which is not GET\n") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, c := range []struct{ args, want string }{
		{"explain GET app.example.com/orders", "url: expected an address such as https://app.example.com/orders"},
		{"explain GE(T http://app.example.com/", `method: "GE(T" is none`},
		{"explain GET", "accepts 2 arg(s), received 1"},
		{"explain --token x --token-stdin GET http://app.example.com/", "--token and --token-stdin: one of both"},
	} {
		if _, err := run("", strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.args, err, c.want)
		}
	}
}

// What explain says of metadata and of other proxies' questions is what the server
// answers.
func TestExplanationKnowsMetadataAndOtherProxies(t *testing.T) {
	w := newWorld(t)
	w.load(trustsSocket, `
http://app.example.com {
	token_issuer
	token_gate
}
http://gate.example.com {
	token_gate {
		answer
		except /public/*
	}
	token_gate /orders/* {
		answer
		scope openid
	}
}`)
	x := w.explained(http.MethodGet, "http://app.example.com"+wellKnown, "")
	if a := w.get(wellKnown); x.Decision != "metadata" || x.Status != 0 || a.status != http.StatusOK {
		t.Errorf("metadata: %+v, answered %v", x, a)
	}
	if x = w.explained(http.MethodGet, "http://gate.example.com/gate", w.token()); x.Status != http.StatusBadRequest || x.Reason != "bad_original_request" || !strings.Contains(x.Mend, "--via") {
		t.Errorf("without a proxy: %+v", x)
	}
	for url, want := range map[string]string{
		"https://shop.example.com/": "passed ", "https://shop.example.com/orders/7": "refused missing_scope", "https://shop.example.com/orders": "passed ",
		"https://shop.example.com/public/..%2forders/7": "refused missing_scope", "https://shop.example.com/public/x": "passed ",
	} {
		x := w.explainedVia("http://gate.example.com/gate", url, w.reader())
		if got := x.Decision + " " + x.Reason; got != want {
			t.Errorf("%s: %+v, want %s", url, x, want)
		}
	}
	// Who names the wrong address is not told of another request than he asked about.
	for via, end := range map[string]string{
		"http://app.example.com/x": "token_gate at Caddyfile:", "http://nobody.example.com/": "nothing", "http://app.example.com/oauth2/jwks": "token_issuer at Caddyfile:",
	} {
		body, err := json.Marshal(question{Method: http.MethodGet, URL: "https://shop.example.com/", Via: via})
		if err != nil {
			t.Fatal(err)
		}
		status, said := w.admin(http.MethodPost, explainPath, string(body), "Content-Type: application/json")
		if want := "via: no gate with `answer` is asked at " + via + ": the request ends at " + end; status != http.StatusBadRequest || !strings.Contains(said, want) {
			t.Errorf("%s: %d %s", via, status, said)
		}
	}
	if x = w.explained(http.MethodGet, "http://nobody.example.com/", ""); x.Decision != "unguarded" || !strings.Contains(x.Mend, "no site answers") {
		t.Errorf("%+v", x)
	}
}

// What is wrong with a foreign issuer's token is mended in that issuer's block.
func TestExplanationOfAForeignTokenNamesItsIssuersLines(t *testing.T) {
	w, known, stranger := newWorld(t), newPartner(t), newPartner(t)
	if err := os.WriteFile(filepath.Join(w.dir, "jwks.json"), []byte(known.jwks), 0o600); err != nil {
		t.Fatal(err)
	}
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	token_gate {
		audience shop
		claim groups all nobody
		claim groups staff
		issuer https://login.partner.example {
			audience api
			jwks_file $DIR/jwks.json
		}
	}
}`)
	for _, c := range []struct{ token, reason, at, mend string }{
		{known.token(t, "shop", "staff", time.Hour), "wrong_audience", "Caddyfile:38", "in its issuer's block"},
		{stranger.token(t, "api", "staff", time.Hour), "unknown_key", "Caddyfile:37", "get a token from a trusted one"},
		{known.token(t, "api", "guests", time.Hour), "missing_claim", "Caddyfile:36", "the token's issuer has to put this"},
	} {
		x := w.explained(http.MethodGet, "http://app.example.com/", c.token)
		if x.Reason != c.reason || x.At != c.at || !strings.Contains(x.Mend, c.mend) {
			t.Errorf("%s: %+v", c.reason, x)
		}
	}
}

// What stands in front of a gate and may answer by itself is told, and hides no gate.
func TestExplanationGoesPastWhatMayAnswer(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	forward_auth unix/$DIR/backend {
		uri /verify
	}
	map {path} {area} {
		~^/mapped/ yes
	}
	handle /api/* {
		token_gate
		respond ok
	}
	@mapped expression `+"`{area} == \"yes\"`"+`
	handle @mapped {
		token_gate
		respond ok
	}
	respond open
}`)
	for _, path := range []string{"/api/x", "/mapped/x"} {
		a := w.get(path)
		if x := w.explained(http.MethodGet, "http://app.example.com"+path, ""); a.status != http.StatusUnauthorized || x.Status != a.status || x.Reason != "no_bearer_token" || strings.Join(x.Past, " ") != "reverse_proxy" {
			t.Errorf("%s: %+v, answered %v", path, x, a)
		}
	}
	if x := w.explained(http.MethodGet, "http://app.example.com/open", ""); x.Decision != "unguarded" || len(x.Past) != 1 {
		t.Errorf("%+v", x)
	}
}

// TestExplanationHasTheHeadersThatTheGateSees: what request_header makes of a request in
// front of a gate is judged, and what it does behind one is not. Each request is sent, too.
func TestExplanationHasTheHeadersThatTheGateSees(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	route /socket/* {
		request_header Authorization "Bearer {query.access_token}"
		token_gate
		reverse_proxy unix/$DIR/backend
	}
	route /deaf/* {
		request_header -Authorization
		token_gate
		reverse_proxy unix/$DIR/backend
	}
	route /moved/* {
		request_header Host other.example.com
		@moved host other.example.com
		token_gate @moved
		reverse_proxy unix/$DIR/backend
	}
	route /behind/* {
		header X-Frame-Options DENY
		token_gate
		request_header -Authorization
		reverse_proxy unix/$DIR/backend
	}
}`)
	good := w.token()
	for _, c := range []struct{ address, token, want string }{
		{"/socket/x?access_token=" + good, "", "passed"},
		{"/socket/x?access_token=bad", good, "refused malformed_token"},
		{"/socket/x", good, "refused bad_bearer_token"},
		{"/deaf/x", good, "refused no_bearer_token"},
		{"/moved/x", "", "refused no_bearer_token"},
		{"/behind/x", good, "passed"},
		{"/behind/x", "", "refused no_bearer_token"},
	} {
		x := w.explained(http.MethodGet, "http://app.example.com"+c.address, c.token)
		if got := strings.TrimSpace(x.Decision + " " + x.Reason); got != c.want || len(x.Past) > 0 {
			t.Errorf("%.20s: %s by %q, want %s", c.address, got, x.Past, c.want)
		}
		var lines []string
		if c.token != "" {
			lines = append(lines, "Authorization: Bearer "+c.token)
		}
		if a := w.get(c.address, lines...); (a.status == http.StatusOK) != (x.Decision == "passed") || x.Status != 0 && a.status != x.Status {
			t.Errorf("%.20s: explained as %d, answered %v", c.address, x.Status, a)
		}
	}
}

// TestExplanationIsOfTheVeryRequest: a method is what it says, letter by letter, and what
// matchers read besides can be said, or is told to be assumed. Each request is sent, too.
func TestExplanationIsOfTheVeryRequest(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	@writes method POST PUT
	handle /methods/* {
		token_gate @writes
		respond ok
	}
	@socket {
		path /socket/*
		header Upgrade websocket
		header Connection *Upgrade*
	}
	token_gate @socket
	@other {
		path /elsewhere/*
		header X-Other *
	}
	token_gate @other
	@young protocol http/2+
	handle /young/* {
		token_gate @young
		respond ok
	}
	@outside not client_ip 127.0.0.0/8 10.0.0.0/8
	handle /outside/* {
		token_gate @outside
		respond ok
	}
	respond ok
}`)
	socket := []string{"Upgrade: websocket", "connection: keep-alive, Upgrade"}
	for _, c := range []struct {
		method, path   string
		asked          question
		decision, says string
	}{
		{"POST", "/methods/x", question{}, "refused", ""},
		{"post", "/methods/x", question{}, "refused", ""}, // some take it for POST
		{"GET", "/socket/x", question{}, "unguarded", "no header Connection, no header Upgrade"},
		{"GET", "/socket/x", question{Headers: socket}, "refused", ""},
		{"GET", "/socket/x", question{Headers: socket[:1]}, "unguarded", "no header Connection"},
		{"GET", "/young/x", question{}, "unguarded", "protocol http/1.1"},
		{"GET", "/young/x", question{Protocol: "http/2"}, "refused", ""},
		{"GET", "/young/x", question{Protocol: "HTTP/1.1"}, "unguarded", ""},
		{"GET", "/outside/x", question{}, "unguarded", "from 127.0.0.1"},
		{"GET", "/outside/x", question{From: "10.1.2.3"}, "unguarded", ""},
		{"GET", "/outside/x", question{From: "203.0.113.9"}, "refused", ""},
		{"GET", "/plain", question{}, "unguarded", ""},
	} {
		c.asked.Method, c.asked.URL = c.method, "http://app.example.com"+c.path
		x := w.explains(c.asked)
		if got := strings.Join(x.Assumed, ", "); x.Decision != c.decision || got != c.says {
			t.Errorf("%+v: %s, assumed %q", c.asked, x.Decision, got)
		}
		if c.asked.Protocol == "http/2" || c.path == "/outside/x" { // a socket has neither
			continue
		}
		if a := w.visitor().do(c.method, c.asked.URL, "", c.asked.Headers...); (a.status == http.StatusUnauthorized) != (x.Decision == "refused") {
			t.Errorf("%+v: explained as %s, answered %v", c.asked, x.Decision, a)
		}
	}
	for want, q := range map[string]question{
		"expected a line such as":                     {Headers: []string{"Upgrade websocket"}},
		"the URL says the Host":                       {Headers: []string{"host: other.example.com"}},
		"expected http/1.0, http/1.1, http/2 or http": {Protocol: "h2"},
		"is no address of a client":                   {From: "here"},
	} {
		q.Method, q.URL = http.MethodGet, "http://app.example.com/"
		body, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		if status, text := w.admin(http.MethodPost, explainPath, string(body), "Content-Type: application/json"); status != http.StatusBadRequest || !strings.Contains(text, want) {
			t.Errorf("%+v: %d %s", q, status, text)
		}
	}
}
