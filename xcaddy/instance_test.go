package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

// The secrets of the tests. They are long enough to be found in a log.
const (
	shopSecret    = "the-shop-secret-cCmQ2vZ9xWb4RdN8"
	robotSecret   = "the-robot-secret-kTy7PmQ2vZ9xWb4"
	alicePassword = "correct horse battery staple"
)

// instance is a gatehouse of a test's own: a data folder, ports, a log, and a
// client that trusts its certificate.
type instance struct {
	*testing.T
	dir, path   string
	site, admin string // https://localhost:PORT, and host:port
	backend     string // host:port where nobody listens yet
	env         []string
	within      []string // see program
	from        string
	running     *process
	client      *http.Client
}

// newInstance makes one that does not run yet. Its Caddyfile may use {$SITE},
// {$ADMIN}, {$BACKEND} and the secrets.
func newInstance(t *testing.T) *instance {
	t.Helper()
	ports, err := freePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{
		T: t, dir: t.TempDir(), path: "gatehouse",
		site: "https://localhost:" + ports[0], admin: "127.0.0.1:" + ports[1], backend: "127.0.0.1:" + ports[2],
	}
	i.env = append(os.Environ(),
		"HOME="+i.dir, "XDG_DATA_HOME="+i.file("data"), "XDG_CONFIG_HOME="+i.file("config"),
		"SITE="+i.site, "ADMIN="+i.admin, "BACKEND="+i.backend, "HTTPS_PORT="+ports[0],
		"SHOP_SECRET="+shopSecret, "ROBOT_SECRET="+robotSecret)
	t.Cleanup(func() {
		if i.client != nil {
			i.client.CloseIdleConnections()
		}
		if i.running != nil {
			i.stop()
		}
		if t.Failed() {
			log, _ := os.ReadFile(i.file("log"))
			t.Logf("the end of the log:\n%s", log[max(0, len(log)-4000):])
		}
	})
	return i
}

func (i *instance) file(name string) string { return filepath.Join(i.dir, name) }

// configure writes the Caddyfile: what every test needs, and what this one adds
// to the issuer, as sites and to the global options.
func (i *instance) configure(issuer, sites string, global ...string) {
	i.Helper()
	text := "{\n\tadmin {$ADMIN}\n\tauto_https disable_redirects\n\tskip_install_trust\n\tmetrics\n" + strings.Join(global, "\n") +
		"\ttoken_issuer {\n\t\tissuer {$SITE}\n" + issuer + "\n\t}\n}\n" + sites
	if err := os.WriteFile(i.file("Caddyfile"), []byte(text), 0o600); err != nil {
		i.Fatal(err)
	}
}

const (
	threeClients = `
		client shop {
			type web
			secret {env.SHOP_SECRET}
			grants password client_credentials refresh_token
			scopes openid orders:read
		}
		client robot {
			type m2m
			secret {env.ROBOT_SECRET}
			grants client_credentials
			scopes orders:read
		}
		client phone {
			type mobile
			grants password refresh_token
			scopes openid
		}`

	oneSite = `{$SITE} {
	token_issuer
	token_gate
	reverse_proxy {$BACKEND}
}
`
)

// start runs the program until the test ends, or stop or kill.
func (i *instance) start() {
	i.Helper()
	p, err := launch(program{path: i.path, caddyfile: "Caddyfile", dir: i.dir, log: i.file("log"), env: i.env, within: i.within, from: i.from})
	if err != nil {
		i.Fatal(err)
	}
	i.running = p
	if err := certified(strings.TrimPrefix(i.site, "https://")); err != nil {
		i.Fatal(err)
	}
	if i.client == nil {
		i.client = &http.Client{
			Timeout:       patience,
			Transport:     &http.Transport{TLSClientConfig: i.trust(), ForceAttemptHTTP2: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
}

// trust is TLS that accepts the authority Caddy made for this instance, alone.
func (i *instance) trust() *tls.Config {
	i.Helper()
	pem, err := os.ReadFile(i.file("data/caddy/pki/authorities/local/root.crt"))
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		i.Fatalf("no authority: %v", err)
	}
	return &tls.Config{RootCAs: roots}
}

// serve is the backend behind the gate.
func (i *instance) serve(handle http.HandlerFunc) {
	i.Helper()
	listener, err := net.Listen("tcp", i.backend)
	if err != nil {
		i.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handle)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	i.Cleanup(server.Close)
}

func (i *instance) stop() {
	i.Helper()
	p := i.running
	i.running = nil
	if err := p.end(); err != nil {
		i.Error(err)
	}
}

// command runs `gatehouse ARGUMENTS` to its end.
func (i *instance) command(stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(i.Context(), i.path, args...)
	cmd.Env, cmd.Dir, cmd.Stdin = i.env, i.dir, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// reload gives the running program the Caddyfile as it is now.
func (i *instance) reload() (string, error) {
	return i.command("", "reload", "--adapter", "caddyfile", "--config", "Caddyfile", "--address", i.admin)
}

// addAlice makes the account that tests sign in with.
func (i *instance) addAlice() {
	i.Helper()
	out, err := i.command(alicePassword+"\n", "issuer", "user", "add", "alice", "--email", "alice@example.com", "--password-stdin", "--address", i.admin)
	if err != nil {
		i.Fatalf("%v: %s", err, out)
	}
}

// swift is the program without the race detector, for tests that start it
// hundreds of times: the test binary itself, or one built for the occasion.
func swift(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", errors.New("no build information")
	}
	raced := false
	for _, s := range info.Settings {
		raced = raced || s.Key == "-race" && s.Value == "true"
	}
	gatehouse, err := exec.LookPath("gatehouse") // where TestMain has put the test binary
	if err != nil || !raced {
		return gatehouse, err
	}
	// As the linters and plain tests compile it, so that the build cache has most of it.
	path := filepath.Join(filepath.Dir(gatehouse), "gatehouse-swift")
	build := exec.Command("go", "build", "-buildvcs=false", "-tags=nobadger,nomysql,nopgx", "-ldflags=-s -w", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// eventually asks until it is so: for what other parties do in their own time.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	eventuallyWithin(t, patience, what, so)
}

func eventuallyWithin(t *testing.T, most time.Duration, what string, so func() bool) {
	t.Helper()
	every := time.NewTicker(5 * time.Millisecond)
	defer every.Stop()
	for end := time.Now().Add(most); !so(); <-every.C {
		if time.Now().After(end) {
			t.Fatalf("not after %s: %s", most, what)
		}
	}
}
