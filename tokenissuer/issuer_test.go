package tokenissuer_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

const (
	jsonUTF8 = "application/json;charset=UTF-8"
	secret   = "shop-secret-0123456789abcdef"
	password = "correct horse battery staple"
)

// server is an issuer over HTTPS on a real store.
type server struct {
	*httptest.Server
	t      *testing.T
	issuer *tokenissuer.Issuer
	state  *tokenissuer.State
	lock   sync.Mutex
	events []tokenissuer.Event
}

// start serves the configuration; zero fields of it get what the tests share.
func start(t *testing.T, config tokenissuer.Config) *server {
	t.Helper()
	return startAt(t, filepath.Join(t.TempDir(), "issuer.db"), config)
}

func startAt(t *testing.T, path string, config tokenissuer.Config) *server {
	t.Helper()
	s := &server{t: t}
	s.open(t, path, config, func(err error) { t.Error(err) })
	return s
}

// open starts the server; report is told of what fails beside the answers.
func (s *server) open(t *testing.T, path string, config tokenissuer.Config, report func(error)) {
	t.Helper()
	config.Issuer = "https://auth.example.com"
	config.Observe = func(e tokenissuer.Event) {
		s.lock.Lock()
		defer s.lock.Unlock()
		s.events = append(s.events, e)
	}
	if config.Clients == nil {
		config.Clients = clients()
	}
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if s.state, err = tokenissuer.OpenState(t.Context(), st, config.KeyRules(""), report); err != nil {
		t.Fatal(err)
	}
	if s.issuer, err = tokenissuer.New(config, s.state); err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewTLSServer(s.issuer)
	t.Cleanup(s.stop)
}

func (s *server) stop() {
	if s.Server == nil {
		return
	}
	s.Server.Close()
	s.Server = nil
	if err := s.state.Close(); err != nil {
		s.t.Error(err)
	}
}

// clients are one of each kind that the rows speak of.
func clients() []tokenissuer.Client {
	return []tokenissuer.Client{
		{ID: "shop", Type: "web", Secrets: []string{secret}, Grants: []string{"password", "client_credentials", "refresh_token"}, Scopes: []string{"openid", "orders:read", "orders:write"}, Claims: []string{"email"}},
		{ID: "robot", Type: "m2m", Secrets: []string{secret}, Grants: []string{"client_credentials"}, Scopes: []string{"identity_proofing"}, IntrospectAny: true},
		{ID: "spa", Type: "spa", Grants: []string{"password", "refresh_token"}, Scopes: []string{"openid"}},
		{ID: "app", Type: "mobile", Secrets: []string{secret}, Grants: []string{"password"}, Scopes: []string{"openid"}},
		{ID: "off", Type: "web", Secrets: []string{secret}, Grants: []string{"client_credentials"}, Scopes: []string{"orders:read"}, Disabled: true},
	}
}

// answer is what came back, whole.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("answer %d is not JSON: %q", a.status, a.body)
	}
	return m
}

func (a answer) text(t *testing.T, name string) string {
	t.Helper()
	s, ok := a.json(t)[name].(string)
	if !ok {
		t.Fatalf("answer %d has no text %q: %s", a.status, name, a.body)
	}
	return s
}

// send posts a form body as it is, with headers as "Name: value" lines.
func (s *server) send(method, path, body string, headers ...string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Content-Type" {
			r.Header.Del(name)
			if value == "" {
				continue
			}
		}
		r.Header.Add(name, value)
	}
	res, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

func (s *server) token(form string, headers ...string) answer {
	s.t.Helper()
	return s.send(http.MethodPost, "/oauth2/token", form, headers...)
}

// good is token for requests that must succeed.
func (s *server) good(form string, headers ...string) answer {
	s.t.Helper()
	a := s.token(form, headers...)
	if a.status != http.StatusOK {
		s.t.Fatalf("%s: %d %s", strings.SplitN(form, "&", 2)[0], a.status, a.body)
	}
	return a
}

// form encodes pairs in their order.
func form(pairs ...string) string {
	var b strings.Builder
	for n := 0; n < len(pairs); n += 2 {
		if n > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(pairs[n]) + "=" + url.QueryEscape(pairs[n+1]))
	}
	return b.String()
}

func basic(id, pass string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(pass)))
}

// user adds an account that can sign in.
func (s *server) user(name, email string) tokenissuer.User {
	s.t.Helper()
	u, err := s.issuer.AddUser(s.t.Context(), tokenissuer.NewUser{Username: name, Email: email, Password: password})
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

func signIn(client, name string) string {
	return form("grant_type", "password", "client_id", client, "auth_source_id", "password", "username", name, "password", password)
}

// decoded splits a token into its header and payload as they were encoded.
func decoded(t *testing.T, raw string) (header, payload string) {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("not a compact JWS: %d parts", len(parts))
	}
	for n, p := range []*string{&header, &payload} {
		b, err := base64.RawURLEncoding.DecodeString(parts[n])
		if err != nil {
			t.Fatal(err)
		}
		*p = string(b)
	}
	return header, payload
}

// keys returns the member names of a JSON object in their order.
func keys(t *testing.T, object string) string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(object))
	var names []string
	depth, name := 0, false
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return strings.Join(names, " ")
		}
		if err != nil {
			t.Fatal(err)
		}
		switch v := tok.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
			name = depth == 1
		case string:
			if depth == 1 && name {
				names = append(names, v)
				name = false
				continue
			}
			name = depth == 1
		default:
			name = depth == 1
		}
	}
}
