package tokenissuer_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// row is one line of the contract: a request, and the exact answer.
type row struct {
	name    string
	form    string
	headers []string
	status  int
	body    string // exact
	bare    bool   // no Content-Type, no body
	basic   bool   // carries the Basic challenge
}

func (s *server) check(t *testing.T, path string, r row) {
	t.Helper()
	a := s.send(http.MethodPost, path, r.form, r.headers...)
	if a.status != r.status || a.body != r.body {
		t.Fatalf("got  %d %s\nwant %d %s", a.status, a.body, r.status, r.body)
	}
	media := jsonUTF8
	if r.bare {
		media = ""
		if l := a.header.Get("Content-Length"); l != "0" {
			t.Errorf("Content-Length %q of a bodyless answer", l)
		}
	}
	if got := a.header.Get("Content-Type"); got != media {
		t.Errorf("Content-Type %q, want %q", got, media)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	if got := a.header.Get("Pragma"); got != "no-cache" {
		t.Errorf("Pragma %q", got)
	}
	if got := a.header.Get("WWW-Authenticate"); (got != "") != r.basic || r.basic && !strings.HasPrefix(got, `Basic realm="`) {
		t.Errorf("WWW-Authenticate %q", got)
	}
}

// checkBoth is check, in the form and in JSON.
func (s *server) checkBoth(t *testing.T, path string, r row) {
	t.Run(r.name, func(t *testing.T) { s.check(t, path, r) })
	if r.form == "" {
		return
	}
	r.form, r.headers = inObject(t, r.form), append([]string{asJSON}, r.headers...)
	t.Run(r.name+", JSON", func(t *testing.T) { s.check(t, path, r) })
}

// inObject writes a form as a JSON object: with each pair in its place, twice where
// it stands twice.
func inObject(t *testing.T, form string) string {
	t.Helper()
	var members []string
	for pair := range strings.SplitSeq(form, "&") {
		name, value, _ := strings.Cut(pair, "=")
		for _, text := range []*string{&name, &value} {
			plain, err := url.QueryUnescape(*text)
			if err != nil {
				t.Fatal(err)
			}
			quoted, err := json.Marshal(plain)
			if err != nil {
				t.Fatal(err)
			}
			*text = string(quoted)
		}
		members = append(members, name+":"+value)
	}
	return "{" + strings.Join(members, ",") + "}"
}

const (
	invalidClient  = `{"error":"invalid_client"}`
	invalidRequest = `{"error":"invalid_request"}`
	invalidScope   = `{"error":"invalid_scope"}`
	invalidGrant   = `{"error":"invalid_grant"}`
	errorURI       = `"error_uri":"https://datatracker.ietf.org/doc/html/rfc6749#section-5.2"}`
)

func missing(param string) string {
	return `{"error":"invalid_request","error_description":"OAuth 2.0 Parameter: ` + param + `",` + errorURI
}

// TestClientAuthentication is the decision table of the token endpoint: the
// first row that fits answers, before the grant is judged.
func TestClientAuthentication(t *testing.T) {
	s := start(t, clientsOnly())
	const cc, pw, code = "client_credentials", "password", "authorization_code"
	with := func(pairs ...string) string { return form(pairs...) }
	for _, r := range []row{
		{name: "Basic: not base64", form: with("grant_type", cc), headers: []string{"Authorization: Basic !!!"}, status: 400, body: invalidRequest},
		{name: "Basic: no colon", form: with("grant_type", cc), headers: []string{"Authorization: Basic c2hvcA=="}, status: 400, body: invalidRequest},
		{name: "Basic: empty id", form: with("grant_type", cc), headers: []string{basic("", secret)}, status: 400, body: invalidRequest},
		{name: "Basic: empty secret", form: with("grant_type", cc), headers: []string{basic("shop", "")}, status: 400, body: invalidRequest},
		{name: "Basic: unknown client", form: with("grant_type", cc), headers: []string{basic("nobody", secret)}, status: 401, body: invalidClient, basic: true},
		{name: "Basic: unknown client, authorization_code", form: with("grant_type", code), headers: []string{basic("nobody", secret)}, status: 401, body: invalidClient, basic: true},
		{name: "Basic: wrong secret", form: with("grant_type", cc), headers: []string{basic("shop", "wrong")}, status: 401, body: invalidClient, basic: true},
		{name: "Basic: another client_id in the body", form: with("grant_type", cc, "client_id", "robot"), headers: []string{basic("shop", secret)}, status: 401, body: invalidClient, basic: true},
		{name: "Basic and a secret in the body", form: with("grant_type", cc, "client_id", "shop", "client_secret", secret), headers: []string{basic("shop", secret)}, status: 400, body: invalidRequest},
		{name: "two Authorization headers", form: with("grant_type", cc), headers: []string{basic("shop", secret), basic("shop", secret)}, status: 400, body: invalidRequest},
		{name: "secret and assertion", form: with("grant_type", cc, "client_id", "shop", "client_secret", secret, "client_assertion", "x.y.z"), status: 400, body: invalidRequest},
		{name: "assertion alone is a wrong secret", form: with("grant_type", cc, "client_id", "shop", "client_assertion", "x.y.z"), status: 401, body: invalidClient},
		{name: "body: wrong secret (seed 15)", form: with("grant_type", cc, "client_id", "shop", "client_secret", "wrong"), status: 401, body: invalidClient},
		{name: "body: wrong secret, authorization_code", form: with("grant_type", code, "client_id", "shop", "client_secret", "wrong"), status: 401, body: invalidClient},
		{name: "body: the text null as secret", form: with("grant_type", cc, "client_id", "shop", "client_secret", "null"), status: 401, body: invalidClient},
		{name: "a secret of a client that has none", form: with("grant_type", pw, "client_id", "spa", "client_secret", secret), status: 401, body: invalidClient},
		{name: "disabled client with its secret (seed 15)", form: with("grant_type", cc, "client_id", "off", "client_secret", secret), status: 401, body: invalidClient},
		{name: "disabled client by its id, code_verifier", form: with("grant_type", code, "client_id", "off", "code_verifier", "v"), status: 401, body: invalidClient},
		{name: "disabled client by its id, plain code", form: with("grant_type", code, "client_id", "off"), status: 401, body: invalidClient},
		{name: "disabled client by its id, no grant", form: with("client_id", "off"), status: 401, body: invalidClient},
		{name: "unknown client_id, client_credentials (seed 15)", form: with("grant_type", cc, "client_id", "nobody", "client_secret", secret), status: 401, body: invalidClient},
		{name: "unknown client_id, password", form: with("grant_type", pw, "client_id", "nobody"), status: 401, body: invalidClient},
		{name: "missing client_id, refresh_token", form: with("grant_type", "refresh_token"), status: 401, body: invalidClient},
		{name: "missing client_id, one-time code", form: with("grant_type", "http://tencentciam.com/oauth2/grant-type/otp/sms"), status: 401, body: invalidClient},
		{name: "unknown client_id with a secret, authorization_code (seed 5)", form: with("grant_type", code, "client_id", "nobody", "client_secret", secret), status: 401, bare: true},
		{name: "missing client_id, authorization_code (seed 5)", form: with("grant_type", code, "code", "x"), status: 401, bare: true},
		{name: "unknown client_id, unknown grant", form: with("grant_type", "magic", "client_id", "nobody", "client_secret", secret), status: 401, bare: true},
		{name: "unknown client_id, no grant", form: with("client_id", "nobody"), status: 401, bare: true},
		{name: "unknown client_id with code_verifier", form: with("grant_type", code, "client_id", "nobody", "code_verifier", "v"), status: 400, body: invalidRequest},
		{name: "missing client_id with code_verifier", form: with("grant_type", code, "code_verifier", "v"), status: 400, body: invalidRequest},
		{name: "unknown client_id with code_verifier and secret", form: with("grant_type", code, "client_id", "nobody", "client_secret", secret, "code_verifier", "v"), status: 401, bare: true},
		{name: "confidential client by its id, code_verifier", form: with("grant_type", code, "client_id", "shop", "code_verifier", "v"), status: 401, body: invalidClient},
		{name: "confidential client by its id, password", form: with("grant_type", pw, "client_id", "shop"), status: 401, body: invalidClient},
		{name: "confidential client by its id, refresh_token", form: with("grant_type", "refresh_token", "client_id", "shop"), status: 401, body: invalidClient},
		{name: "confidential client with an empty secret", form: with("grant_type", pw, "client_id", "shop", "client_secret", ""), status: 401, body: invalidClient},
		{name: "client_id alone, client_credentials, confidential", form: with("grant_type", cc, "client_id", "shop"), status: 401, body: invalidClient},
		{name: "client_id alone, client_credentials, public", form: with("grant_type", cc, "client_id", "spa"), status: 401, body: invalidClient},
		{name: "client_id alone, plain code", form: with("grant_type", code, "client_id", "shop", "code", "x"), status: 401, bare: true},
		{name: "client_id alone, plain code, public", form: with("grant_type", code, "client_id", "spa", "code", "x"), status: 401, bare: true},
		{name: "client_id alone, unknown grant", form: with("grant_type", "magic", "client_id", "shop"), status: 401, bare: true},
		{name: "client_id alone, no grant", form: with("client_id", "spa"), status: 401, bare: true},
		{name: "nothing at all", form: with("a", "b"), status: 401, bare: true},
		{name: "C03: everything in the query", form: "", headers: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 401, bare: true},
	} {
		s.checkBoth(t, "/oauth2/token", r)
	}
}

// TestGrantRows is step 2 and the errors of the client_credentials grant.
func TestGrantRows(t *testing.T) {
	s := start(t, clientsOnly())
	shop := func(pairs ...string) string {
		return form(append([]string{"client_id", "shop", "client_secret", secret}, pairs...)...)
	}
	const unsupported = `{"error":"unsupported_grant_type","error_description":"OAuth 2.0 Parameter: grant_type",` + errorURI
	for _, r := range []row{
		{name: "grant_type missing", form: shop(), status: 400, body: missing("grant_type")},
		{name: "grant_type empty", form: shop("grant_type", ""), status: 400, body: missing("grant_type")},
		{name: "grant_type twice", form: shop("grant_type", "password", "grant_type", "password"), status: 400, body: missing("grant_type")},
		{name: "grant_type unknown (seed 7)", form: shop("grant_type", "magic"), status: 400, body: unsupported},
		{name: "grant of the WeChat page", form: shop("grant_type", "http://tencentciam.com/oauth2/grant-type/social/wechat/code"), status: 400, body: unsupported},
		{name: "authorization_code not allowed", form: shop("grant_type", "authorization_code", "code", "x", "redirect_uri", "https://x"), status: 400, body: `{"error":"unauthorized_client"}`},
		{name: "one-time code not allowed", form: shop("grant_type", "http://tencentciam.com/oauth2/grant-type/otp/sms"), status: 400, body: `{"error":"unauthorized_client"}`},
		{name: "client_credentials not allowed (seed 16)", form: form("grant_type", "client_credentials", "client_id", "app", "client_secret", secret), status: 400, body: `{"error":"unauthorized_client"}`},
		{name: "password not allowed", form: form("grant_type", "password", "client_id", "robot", "client_secret", secret), status: 400, body: `{"error":"unauthorized_client"}`},
		{name: "password: auth_source_id missing", form: shop("grant_type", "password", "username", "a", "password", "b"), status: 400, body: missing("auth_source_id")},
		{name: "password: username missing", form: shop("grant_type", "password", "auth_source_id", "password"), status: 400, body: missing("username")},
		{name: "password: password empty", form: shop("grant_type", "password", "auth_source_id", "password", "username", "a", "password", ""), status: 400, body: missing("password")},
		{name: "refresh_token missing", form: shop("grant_type", "refresh_token"), status: 400, body: missing("refresh_token")},
		{name: "scope twice", form: shop("grant_type", "client_credentials", "scope", "a", "scope", "a"), status: 400, body: missing("scope")},
		{name: "client_id twice", form: shop("grant_type", "client_credentials", "client_id", "shop"), status: 400, body: invalidRequest},
		{name: "client_secret twice", form: shop("grant_type", "client_credentials", "client_secret", secret), status: 400, body: invalidRequest},
		{name: "scope unknown (seed 17)", form: shop("grant_type", "client_credentials", "scope", "admin"), status: 400, body: invalidScope},
		{name: "scope beyond registration", form: shop("grant_type", "client_credentials", "scope", "orders:read identity_proofing"), status: 400, body: invalidScope},
		{name: "scope of people", form: shop("grant_type", "client_credentials", "scope", "openid"), status: 400, body: invalidScope},
		{name: "scope with two spaces", form: shop("grant_type", "client_credentials", "scope", "orders:read  orders:write"), status: 400, body: invalidScope},
		{name: "scope with a quote", form: shop("grant_type", "client_credentials", "scope", `orders:read"`), status: 400, body: invalidScope},
		{name: "10,000 scopes", form: shop("grant_type", "client_credentials", "scope", strings.TrimSpace(strings.Repeat("a ", 10_000))), status: 400, body: invalidScope},
	} {
		s.checkBoth(t, "/oauth2/token", r)
	}
}

// TestRequestsThatCannotBeRead is step 0.
func TestRequestsThatCannotBeRead(t *testing.T) {
	s := start(t, clientsOnly())
	good := form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret)
	const media = `{"error":"invalid_request","error_description":"Unsupported content type"}`
	for _, r := range []row{
		{name: "text/plain", form: good, headers: []string{"Content-Type: text/plain"}, status: 400, body: media},
		{name: "no content type", form: good, headers: []string{"Content-Type: "}, status: 400, body: media},
		{name: "form sent as JSON", form: good, headers: []string{"Content-Type: application/json"}, status: 400, body: invalidRequest},
		{name: "JSON array", form: `["a"]`, headers: []string{"Content-Type: application/json"}, status: 400, body: invalidRequest},
		{name: "JSON null value", form: `{"client_secret":null}`, headers: []string{"Content-Type: application/json"}, status: 400, body: invalidRequest},
		{name: "JSON object value", form: `{"scope":{"a":"b"}}`, headers: []string{"Content-Type: application/json"}, status: 400, body: invalidRequest},
		{name: "JSON fraction", form: `{"scope":1.5}`, headers: []string{"Content-Type: application/json"}, status: 400, body: invalidRequest},
		{name: "JSON with a key twice", form: `{"grant_type":"password","grant_type":"password"}`, headers: []string{"Content-Type: application/json"}, status: 400, body: missing("grant_type")},
		{name: "JSON with more behind it", form: `{"a":"b"}{}`, headers: []string{"Content-Type: application/json"}, status: 400, body: invalidRequest},
		{name: "broken UTF-8", form: good + "&username=%ff%fe", status: 400, body: invalidRequest},
		{name: "broken escape", form: good + "&username=%zz", status: 400, body: invalidRequest},
		{name: "NUL", form: good + "&username=%00", status: 400, body: invalidRequest},
		{name: "1 MB of body", form: good + "&username=" + strings.Repeat("a", 1<<20), status: 413, body: invalidRequest},
		{name: "100,000 parameters", form: strings.Repeat("a=b&", 15_000) + good, status: 400, body: missing("a")},
	} {
		t.Run(r.name, func(t *testing.T) { s.check(t, "/oauth2/token", r) })
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		t.Run(method, func(t *testing.T) {
			a := s.send(method, "/oauth2/token?"+good, "")
			if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
				t.Errorf("%d, Allow %q", a.status, a.header.Get("Allow"))
			}
		})
	}
	t.Run("a path of the issuer that is not there", func(t *testing.T) {
		if a := s.send(http.MethodPost, "/oauth2/nothing", good); a.status != http.StatusNotFound {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}
