package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// far is when what is waited for does not happen any more, however busy the machine is.
const far = time.Minute

const shopSecret = "the secret of the shop in these tests"

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gatehouse")
	if err != nil {
		panic(err)
	}
	os.Setenv("XDG_DATA_HOME", dir)
	os.Setenv("XDG_CONFIG_HOME", dir)
	os.Setenv("SHOP_SECRET", shopSecret)
	caddy.DefaultStorage.Path = dir
	code := postgrestest.Main(m)
	os.RemoveAll(dir)
	os.Exit(code)
}

// world is a folder with the sockets of one test's Caddy: no port is taken.
type world struct {
	*testing.T
	dir    string
	client *http.Client
	log    string
}

func newWorld(t *testing.T) *world {
	dir, err := os.MkdirTemp("", "gh") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, dir: dir, log: filepath.Join(dir, "log")}
	w.client = &http.Client{
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "http"))
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		open := 0
		states.Range(func(any, any) bool { open++; return true })
		if open != 0 {
			t.Errorf("%d states are open after the end", open)
		}
		if names := openElsewhere(); len(names) != 0 {
			t.Errorf("%d issuers are asked after the end", len(names))
		}
		os.RemoveAll(dir)
	})
	return w
}

// caddyfile is a site in front of a backend, with $DIR replaced.
func (w *world) caddyfile(global, site string) []byte {
	w.Helper()
	text := "{\n\tadmin unix/$DIR/admin\n\tpersist_config off\n\tauto_https off\n\tdefault_bind unix/$DIR/http\n\tgrace_period 5s\n" +
		"\tlog {\n\t\toutput file $DIR/log\n\t\tlevel DEBUG\n\t}\n\tmetrics\n" + global + "\n}\n" + site
	text = strings.ReplaceAll(text, "$DIR", w.dir)
	out, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		w.Fatalf("adapting: %v\n%s", err, text)
	}
	return out
}

const oneIssuer = `
	token_issuer {
		issuer https://auth.example.com
		store sqlite $DIR/store/issuer.db
		signing_algorithm ES256
		client shop {
			type web
			secret {env.SHOP_SECRET}
			grants password client_credentials refresh_token
			scopes openid orders:read
		}
		client phone {
			type mobile
			grants password refresh_token
			scopes openid
		}
	}`

const oneSite = `
http://app.example.com {
	token_issuer
	token_gate
	reverse_proxy unix/$DIR/backend
}`

func (w *world) load(global, site string) {
	w.Helper()
	before := servers()
	if err := caddy.Load(w.caddyfile(global, site), true); err != nil {
		w.Fatal(err)
	}
	// Caddy has them closed beside what follows: until then they take connections.
	over, end := context.WithCancel(w.Context())
	end()
	for _, s := range before {
		_ = s.Shutdown(over) // it waits for nothing but the end of listening
	}
	waitFor(w.T, haveAnswered)
}

// haveAnswered reports whether the issuers on this machine have been asked for their keys:
// a request waits for that for no more than two seconds.
func haveAnswered() bool {
	for issuer, keys := range keysElsewhere() {
		if strings.HasPrefix(issuer, "https://127.0.0.1:") && keys.State == remote.Waiting {
			return false
		}
	}
	return true
}

// validate is what `caddy validate` says of a file.
func (w *world) validate(global, site string) error {
	w.Helper()
	var config caddy.Config
	if err := caddy.StrictUnmarshalJSON(w.caddyfile(global, site), &config); err != nil {
		w.Fatal(err)
	}
	return caddy.Validate(&config)
}

// servers are those of the configuration that runs. Caddy keeps them to itself.
func servers() (all []*http.Server) {
	app, _ := caddy.ActiveContext().AppIfConfigured("http") // none runs yet
	if app == nil {
		return nil
	}
	for _, s := range app.(*caddyhttp.App).Servers {
		all = append(all, (*http.Server)(reflect.ValueOf(s).Elem().FieldByName("server").UnsafePointer()))
	}
	return all
}

// backend answers with the headers that reached it; handle, where given,
// answers instead.
func (w *world) backend(handle http.HandlerFunc) {
	w.Helper()
	if handle == nil {
		handle = func(rw http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(rw).Encode(r.Header) }
	}
	server := httptest.NewUnstartedServer(handle)
	server.Listener.Close()
	server.Listener = w.listen("backend")
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	w.Cleanup(server.Close)
}

// listen takes connections at a socket of the world's folder.
func (w *world) listen(name string) net.Listener {
	w.Helper()
	listener, err := net.Listen("unix", filepath.Join(w.dir, name))
	if err != nil {
		w.Fatal(err)
	}
	return listener
}

type answer struct {
	status int
	header http.Header
	body   string
}

// seen are the headers that the backend answered with.
func (a answer) seen(t *testing.T) http.Header {
	t.Helper()
	var h http.Header
	if err := json.Unmarshal([]byte(a.body), &h); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return h
}

// persist asks again where a connection was dropped. The server from before a reload,
// and the admin endpoint, takes fresh connections until it has closed its socket, and
// drops them: on a busy machine one after the other.
func (w *world) persist(again bool, ask func() (*http.Response, error)) (*http.Response, error) {
	response, err := ask()
	for end := time.Now().Add(far); err != nil && again && w.Context().Err() == nil && time.Now().Before(end); {
		<-time.After(time.Millisecond)
		response, err = ask()
	}
	return response, err
}

func (w *world) do(r *http.Request) (answer, error) {
	if r.URL.Host == "" {
		r.URL.Scheme, r.URL.Host = "http", "app.example.com"
	}
	response, err := w.persist(r.Body == nil || r.GetBody != nil, func() (*http.Response, error) {
		if r.GetBody != nil {
			var err error
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
		return w.client.Do(r)
	})
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// get asks for a path, with header lines "Name: value".
func (w *world) get(path string, lines ...string) answer {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "http://app.example.com"+path, nil)
	if err != nil {
		w.Fatal(err)
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	a, err := w.do(r)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

func (w *world) post(path string, form url.Values) answer {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodPost, "http://app.example.com"+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a, err := w.do(r)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

// admin asks Caddy's admin API.
func (w *world) admin(method, path, body string, lines ...string) (int, string) {
	w.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(w.dir, "admin"))
	}}}
	ask := func() (*http.Response, error) {
		r, err := http.NewRequestWithContext(w.Context(), method, "http://127.0.0.1"+path, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Set(name, value)
		}
		return client.Do(r)
	}
	response, err := w.persist(true, ask)
	if err != nil {
		w.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// token gets an access token for the shop.
func (w *world) token() string {
	w.Helper()
	a := w.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"shop"}, "client_secret": {shopSecret}})
	return w.accessToken(a)
}

func (w *world) accessToken(a answer) string {
	w.Helper()
	var t struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &t); err != nil || t.AccessToken == "" || a.status != http.StatusOK {
		w.Fatalf("no token: %d %s", a.status, a.body)
	}
	return t.AccessToken
}

func (w *world) logged() string {
	w.Helper()
	text, err := os.ReadFile(w.log)
	if err != nil {
		w.Fatal(err)
	}
	return string(text)
}

func (a answer) String() string { return fmt.Sprintf("%d %v %s", a.status, a.header, a.body) }

// write makes a file in the world's folder.
func (w *world) write(name, content string) {
	w.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

// partner is an issuer outside this process.
type partner struct {
	key  *token.Key
	jwks string
}

func newPartner(t testing.TB) partner {
	t.Helper()
	key, err := token.Generate("ES256")
	if err != nil {
		t.Fatal(err)
	}
	key.SignFrom = time.Now().Add(-time.Hour)
	return partner{key, string(token.NewRing([]*token.Key{key}).JWKS(time.Now()))}
}

func (p partner) token(t testing.TB, audience, group string, left time.Duration) string {
	t.Helper()
	access := token.Access{
		Issuer: "https://login.partner.example", Subject: "anna", Audience: audience, ID: "1", Scopes: []string{"read"},
		IssuedAt: time.Now().Add(-time.Hour), Expires: time.Now().Add(left), Extra: map[string]any{"groups": []string{"all", group}},
	}
	payload, err := access.Payload()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := p.key.Sign("at+jwt", payload)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
