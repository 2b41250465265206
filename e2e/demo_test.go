package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// demo serves Caddyfile.example as `make run` does, and returns its site.
func demo(t *testing.T) string {
	t.Helper()
	ports, err := freePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	// What it prints last says that it is ready; it ends when nobody reads on.
	run := exec.CommandContext(t.Context(), "../scripts/demo", "sh", "-c", "echo ready; read end")
	run.Cancel = func() error { return run.Process.Signal(syscall.SIGTERM) } // before the test's own end it has to be alone
	run.Env = append(os.Environ(), "GATEHOUSE="+program, "DEMO_FOLDER="+t.TempDir(),
		"HTTPS_PORT="+ports[0], "BACKEND_PORT="+ports[1], "ADMIN=127.0.0.1:"+ports[2])
	run.Stderr = os.Stderr
	stdin, err := run.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "ready" {
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		_ = run.Wait()
	})
	if lines.Text() != "ready" {
		t.Fatal("the demo did not start")
	}
	return "https://localhost:" + ports[0]
}

var kept = regexp.MustCompile(`\b[0-9]{6}\b`)

// inbox is the newest code of the development inbox.
func inbox(t *testing.T, site string) string {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, site+"/portal/dev/inbox", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	code := kept.FindString(string(page))
	if code == "" {
		t.Fatalf("no code in the inbox: %s", page)
	}
	return code
}

// readInbox looks at the inbox with a code in it.
func readInbox(t *testing.T, site string) {
	for _, l := range looks {
		t.Run("inbox "+l.name, func(t *testing.T) {
			b := here.tab(t, l)
			b.visit(site+"/portal/dev/inbox", "/portal/dev/inbox")
			b.shows(".letter")
			b.seen("inbox")
		})
	}
}

// TestDemoInABrowser does what `make run` prints for people: the page sends them
// to the issuer, a code is in the inbox, and the page's token passes the gate.
func TestDemoInABrowser(t *testing.T) {
	site := demo(t)
	b := here.tab(t, looks[0])
	b.visit(site+"/shop", "/shop")
	b.seen("demo")
	b.press("#go[href^='/oauth2/authorize']", "/portal/login")
	b.seen("demo-login")
	login := read[string](b, "location.href")
	b.fill("username", "alice@example.com")
	b.press("form button", "/portal/code")
	// Too soon for another code: it leads to the one that is there.
	b.visit(login, "/portal/login") // as the back button does
	b.fill("username", "alice@example.com")
	b.press("form button", "/portal/code")
	b.shows("[role=status]")
	b.seen("code-again")
	readInbox(t, site)
	b.fill("code", inbox(t, site))
	b.press("form button", "/portal/consent")
	b.seen("demo-consent")
	b.press("button[value=allow]", "/shop")
	b.do(chromedp.WaitVisible(chromedp.CSS("#seen")))
	if got := b.text("#seen"); !strings.Contains(got, "The backend saw GET /hello") || !strings.Contains(got, "X-Auth-Client: page") || strings.Contains(got, "Bearer") {
		t.Errorf("through the gate: %s", got)
	}
	if got := b.text("#what"); !strings.HasPrefix(got, "Signed in: ") {
		t.Errorf("the page says %q", got)
	}
	b.seen("demo-signed-in")
	b.press("#go[href^='/logout']", "/shop")
	if got := b.text("#what"); got != "Nobody is signed in." {
		t.Errorf("signed out, the page says %q", got)
	}
	b.press("#go[href^='/oauth2/authorize']", "/portal/login") // and is asked again
}
