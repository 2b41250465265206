package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

const (
	patience = 60 * time.Second // on a busy machine
	password = "correct horse battery staple"

	shopSecret   = "the-shop-secret-cCmQ2vZ9xWb4RdN8"
	otherSecret  = "the-other-secret-kTy7PmQ2vZ9xWb4"
	modernSecret = "the-modern-secret-aZ3mQ9xW7cV5bN"
	legacySecret = "the-legacy-secret-Qm8ZxW7vB2nTr5"
)

// world is a gatehouse with its data folder, an app that people sign in to, and
// a browser.
type world struct {
	dir, site, admin string
	one, two         string // sites behind a sign-in
	path             string
	env              []string
	program          *exec.Cmd
	ended            chan error
	roots            *x509.CertPool
	app              *app
	browser          context.Context
	close            context.CancelFunc
	shots            string
	axe              string
}

// configuration is an issuer with each kind of client that pages differ for.
const configuration = `{
	admin {$ADMIN}
	auto_https disable_redirects
	skip_install_trust
	token_issuer {
		issuer {$SITE}
		scope orders:read "See your orders"
		portal {
			name "Example"
			color "#0a5"
		}
		limits {
			otp_per_number 20 30s
		}
		auth_source password {
			type password
			lockout 3 15m
		}
		auth_source mail {
			type email_otp
			send webhook {$APP}/message
		}
		client shop {
			name "The Shop"
			type web
			secret {env.SHOP_SECRET}
			grants authorization_code refresh_token client_credentials
			redirect_uris {$APP}/callback
			logout_redirect_uris {$APP}/bye
			scopes openid profile email orders:read
			auth_sources password mail
			claims email
			first_party
			signup
		}
		client other {
			name "Other People's Orders"
			type web
			secret {env.OTHER_SECRET}
			grants authorization_code
			redirect_uris {$APP}/callback
			scopes openid profile orders:read
			auth_sources password
		}
		client page {
			name "A Page"
			type spa
			grants authorization_code refresh_token
			redirect_uris {$APP}/callback
			logout_redirect_uris {$APP}/bye
			cors_origins {$APP}
			scopes openid email
			auth_sources password
			claims email
			first_party
		}
		client modern {
			name "A Modern Client"
			type web
			dialect oauth
			secret {env.MODERN_SECRET}
			grants authorization_code refresh_token client_credentials
			redirect_uris {$APP}/callback
			logout_redirect_uris {$APP}/bye
			scopes openid profile email orders:read
			auth_sources password
			claims email
			first_party
		}
		client legacy {
			name "A Legacy Client"
			type web
			dialect idaas
			secret {env.LEGACY_SECRET}
			grants authorization_code refresh_token client_credentials
			redirect_uris {$APP}/callback
			logout_redirect_uris {$APP}/bye
			scopes openid email orders:read
			auth_sources password
			claims email
			first_party
		}
		client home {
			name "The Home"
			type web
			secret {env.SHOP_SECRET}
			grants authorization_code refresh_token
			redirect_uris {$ONE}/.gatehouse/callback {$TWO}/.gatehouse/callback
			logout_redirect_uris {$ONE}/ {$TWO}/
			logout tokens
			scopes openid
			auth_sources password
			first_party
		}
		client modernpage {
			name "A Modern Page"
			type spa
			dialect oauth
			grants authorization_code refresh_token
			redirect_uris {$APP}/callback
			logout_redirect_uris {$APP}/bye
			scopes openid email
			auth_sources password
			claims email
			first_party
		}
	}
}

{$SITE} {
	token_issuer
	token_gate
	respond "hello {http.auth.user.sub}"
}

{$ONE} {$TWO} {
	token_gate {
		audience home
		login
	}
	token_gate /secret {
		audience home
		claim sub nobody
		login
	}
	header Content-Type "text/html; charset=utf-8"
	respond ` + "`" + `<!doctype html><title>Home</title><h1>Home</h1><p id="who">{http.auth.user.sub}</p><p id="path">{http.request.uri}</p>
<form method="post" action="/posted"><button>Post</button></form><a href="/.gatehouse/logout">Sign out</a>` + "`" + `
}
`

func begin(dir string) (w *world, err error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	w = &world{dir: dir, site: "https://localhost:" + ports[0], admin: "127.0.0.1:" + ports[1]}
	w.one, w.two = "https://one.localhost:"+ports[0], "https://two.localhost:"+ports[0]
	if w.path, err = binary(); err != nil {
		return nil, err
	}
	axe, err := os.ReadFile("npm/node_modules/axe-core/axe.min.js")
	if err != nil {
		return nil, err
	}
	w.axe = string(axe)
	if w.shots = os.Getenv("SCREENSHOTS"); w.shots == "" {
		w.shots = filepath.Join(dir, "screenshots")
	}
	if err := os.MkdirAll(w.shots, 0o750); err != nil {
		return nil, err
	}
	w.app = newApp(w.site, w.exchange)
	w.env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+filepath.Join(dir, "data"), "XDG_CONFIG_HOME="+filepath.Join(dir, "config"),
		"SITE="+w.site, "ONE="+w.one, "TWO="+w.two, "ADMIN="+w.admin, "APP="+w.app.URL, "SHOP_SECRET="+shopSecret, "OTHER_SECRET="+otherSecret, "MODERN_SECRET="+modernSecret, "LEGACY_SECRET="+legacySecret)
	if err := w.launch(); err != nil {
		return nil, err
	}
	return w, w.openBrowser()
}

// launch starts the program and returns when it serves and its certificate is there.
func (w *world) launch() error {
	ready, err := net.Listen("tcp", "127.0.0.1:0") // as Caddy's own `start` learns that its child is ready
	if err != nil {
		return err
	}
	defer ready.Close()
	if err := os.WriteFile(filepath.Join(w.dir, "Caddyfile"), []byte(configuration), 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(w.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	w.program = exec.Command(w.path, "run", "--adapter", "caddyfile", "--config", "Caddyfile", "--pingback", ready.Addr().String())
	w.program.Env, w.program.Dir, w.program.Stdin = w.env, w.dir, strings.NewReader("ready")
	w.program.Stdout, w.program.Stderr = log, log
	if err := w.program.Start(); err != nil {
		return err
	}
	w.ended = make(chan error, 1)
	go func() { w.ended <- w.program.Wait() }()
	live := make(chan struct{})
	go func() {
		if conn, err := ready.Accept(); err == nil {
			conn.Close()
			close(live)
		}
	}()
	select {
	case <-live:
		return w.certified()
	case err = <-w.ended:
	case <-time.After(patience):
		err = errors.New("not ready in time")
		_ = w.program.Process.Kill()
	}
	said, _ := os.ReadFile(w.logFile())
	return fmt.Errorf("%w: %s", err, said)
}

func (w *world) logFile() string { return filepath.Join(w.dir, "log") }

// rootFile is the certificate of the authority that Caddy made.
func (w *world) rootFile() string {
	return filepath.Join(w.dir, "data/caddy/pki/authorities/local/root.crt")
}

func (w *world) certified() error {
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	waiting := []string{w.site, w.one, w.two}
	for end := time.Now().Add(patience); time.Now().Before(end); <-every.C {
		name, _, _ := net.SplitHostPort(strings.TrimPrefix(waiting[0], "https://"))
		conn, err := tls.Dial("tcp", strings.TrimPrefix(w.site, "https://"), &tls.Config{InsecureSkipVerify: true, ServerName: name}) // looked at below
		if err != nil {
			continue
		}
		conn.Close()
		if waiting = waiting[1:]; len(waiting) > 0 {
			continue
		}
		pem, err := os.ReadFile(w.rootFile())
		w.roots = x509.NewCertPool()
		if err == nil && !w.roots.AppendCertsFromPEM(pem) {
			err = errors.New("the authority has no certificate")
		}
		return err
	}
	return errors.New("the site has no certificate")
}

// exchange is a client that trusts the instance and follows nothing.
func (w *world) exchange() *http.Client {
	return &http.Client{
		Timeout:       patience,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.roots}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// openBrowser starts Chromium. Root cannot use its sandbox, and the pages are ours.
func (w *world) openBrowser() error {
	path := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path == "" {
			path, _ = exec.LookPath(name)
		}
	}
	if path == "" {
		return errors.New("there is no chromium")
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.IgnoreCertErrors,
		chromedp.UserDataDir(filepath.Join(w.dir, "chromium")))...)
	ctx, stop := chromedp.NewContext(allocator)
	w.browser, w.close = ctx, func() { stop(); cancel() }
	return chromedp.Do(ctx)
}

// end stops what begin has started; the program has to end well.
func (w *world) end() error {
	w.close()
	w.app.Close()
	if err := w.program.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-w.ended:
		return err
	case <-time.After(patience):
		_ = w.program.Process.Kill()
		return errors.New("still running after SIGTERM")
	}
}

// user adds an account with the password of the tests.
func (w *world) user(t *testing.T, name string) {
	t.Helper()
	w.add(t, password, name, "--email", name+"@example.com", "--display-name", "Alice Example", "--password-stdin")
}

// add adds an account.
func (w *world) add(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), w.path, append(append([]string{"issuer", "user", "add"}, args...), "--address", w.admin)...)
	cmd.Env, cmd.Dir, cmd.Stdin = w.env, w.dir, strings.NewReader(stdin+"\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// freePorts lie below those that the system gives to outgoing connections.
func freePorts(n int) (ports []string, err error) {
	for tries := 0; len(ports) < n; tries++ {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			if tries > 100 {
				return nil, err
			}
			continue
		}
		defer listener.Close()
		ports = append(ports, port)
	}
	return ports, nil
}
