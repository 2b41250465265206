package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

func TestReloadsUnderRequestsLoseNothing(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, oneSite)
	if n := len(openFiles(t, w.dir)); n == 0 {
		t.Fatal("no store is open")
	}
	before := theState(t)
	w.underRequests(func() {
		for range 20 {
			w.load(oneIssuer, oneSite)
		}
	})
	if theState(t) != before {
		t.Error("the state was opened anew")
	}
}

// underRequests does something while tokens are asked for and shown; each has to
// be answered with 200.
func (w *world) underRequests(do func()) {
	t := w.T
	t.Helper()
	bearer := "Bearer " + w.token()
	stop := make(chan struct{})
	var loops sync.WaitGroup
	var served [2]int
	for n, request := range []func() *http.Request{
		func() *http.Request {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://app.example.com/", nil)
			r.Header.Set("Authorization", bearer)
			return r
		},
		func() *http.Request {
			form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"shop"}, "client_secret": {shopSecret}}.Encode()
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://app.example.com/oauth2/token", strings.NewReader(form))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return r
		},
	} {
		loops.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a, err := w.do(request())
				if err != nil {
					continue // a fresh connection that Caddy itself dropped
				}
				if a.status != http.StatusOK {
					t.Errorf("during a reload: %v", a)
					return
				}
				served[n]++
			}
		})
	}
	do()
	close(stop)
	loops.Wait()
	if served[0] == 0 || served[1] == 0 {
		t.Errorf("served %v requests: the test tested nothing", served)
	}
}

// theState is the one that is open.
func theState(t *testing.T) (s *shared) {
	t.Helper()
	states.Range(func(_, value any) bool {
		if s != nil {
			t.Error("two states are open")
		}
		s = value.(*shared)
		return true
	})
	return s
}

func openFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "store", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A request of the old configuration is half way through when the new one, with
// another store, takes over.
func TestRequestOutlivesItsConfigurationAndItsStore(t *testing.T) {
	w := newWorld(t)
	patient := bytes.Replace(w.caddyfile(oneIssuer, oneSite), []byte(`"grace_period":5000000000`), []byte(`"grace_period":60000000000`), 1)
	if err := caddy.Load(patient, true); err != nil {
		t.Fatal(err)
	}
	old := theState(t)

	body, rest := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://app.example.com/oauth2/token", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answers := make(chan answer)
	go func() {
		a, err := w.do(r)
		if err != nil {
			t.Error(err)
		}
		answers <- a
	}()
	if _, err := rest.Write([]byte("grant_type=client_credentials&client_id=shop&")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return old.users.Load() == 2 })

	w.load(strings.Replace(oneIssuer, "$DIR/store", "$DIR/other", 1), oneSite)
	if theState(t) == old {
		t.Fatal("the store did not change")
	}
	if _, err := rest.Write([]byte("client_secret=" + url.QueryEscape(shopSecret))); err != nil {
		t.Fatal(err)
	}
	_ = rest.Close()
	w.accessToken(<-answers)
	waitFor(t, func() bool { return old.users.Load() < 0 }) // and only then it is closed
}

// A store that is about to close for want of a configuration is taken over by
// the next that names it.
func TestEndingStateIsTakenOverNotOpenedTwice(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	old := theState(t)
	if !old.acquire() {
		t.Fatal("closed")
	}
	w.load("", "http://app.example.com {\n\trespond ok\n}")
	if _, ok := ending.Load(old.key); !ok {
		t.Fatal("the state does not wait for its request")
	}
	w.load(oneIssuer, oneSite)
	if theState(t) != old {
		t.Error("one file is open twice")
	}
	old.release()
	w.token()
}

func TestReloadThatFailsLeavesTheRunningConfigurationAlone(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, oneSite)
	bearer := "Authorization: Bearer " + w.token()
	w.write("file", "not a folder")

	for name, global := range map[string]string{
		"at Start":     strings.Replace(oneIssuer, "$DIR/store", "$DIR/file", 1),
		"at Provision": strings.Replace(oneIssuer, "{env.SHOP_SECRET}", "{env.NOT_SET_HERE}", 1),
		// The first app starts and the second does not.
		"of another app": strings.Replace(oneIssuer, "ES256", "EdDSA", 1),
	} {
		site := oneSite
		if name == "of another app" {
			site += "\nhttp://b.example.com {\n\tbind unix/$DIR/no/such/folder\n\ttoken_issuer\n}"
		}
		err := caddy.Load(w.caddyfile(global, site), true)
		if err == nil {
			t.Fatalf("%s: loaded", name)
		}
		if name != "of another app" && !strings.Contains(err.Error(), ", at Caddyfile:") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error is not one line that names the line: %v", name, err)
		}
		if a := w.get("/", bearer); a.status != http.StatusOK {
			t.Errorf("%s: %v", name, a)
		}
		w.token()
		if rules := theState(t).governed; rules.Algorithm != "ES256" {
			t.Errorf("%s: keys are governed by the rules of the configuration that failed: %s", name, rules.Algorithm)
		}
	}
}

func TestValidatingOpensAndMakesNothing(t *testing.T) {
	w := newWorld(t)
	if err := w.validate(oneIssuer, oneSite); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "log" {
			t.Errorf("there is a file %s", e.Name())
		}
	}
}

func TestCleanupWithoutStartIsHarmless(t *testing.T) {
	t.Parallel()
	if err := new(App).Cleanup(); err != nil {
		t.Error(err)
	}
}

func TestRequestBeforeStartWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &App{ready: make(chan struct{})}
		if _, err := app.lease(t.Context()); !errors.Is(err, errNotRunning) {
			t.Errorf("after five seconds without a start: %v", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := app.lease(gone); !errors.Is(err, errNotRunning) {
			t.Errorf("for a client that left: %v", err)
		}
		s := &shared{}
		s.users.Store(1)
		got := make(chan error)
		go func() {
			_, err := app.lease(t.Context())
			got <- err
		}()
		synctest.Wait()
		app.running.Store(&running{shared: s})
		app.settle.Do(func() { close(app.ready) })
		if err := <-got; err != nil {
			t.Errorf("after the start: %v", err)
		}
	})
}

func TestLeaseOfAClosedStateIsRefused(t *testing.T) {
	t.Parallel()
	s, err := join(database{}, tokenissuer.KeyRules{})
	if err != nil {
		t.Fatal(err)
	}
	if !s.acquire() {
		t.Fatal("refused while it is open")
	}
	if err := s.leave(tokenissuer.KeyRules{}); err != nil {
		t.Fatal(err)
	}
	if !s.acquire() {
		t.Error("refused while a request has it open")
	}
	s.release()
	s.release()
	if s.acquire() {
		t.Error("a closed state was leased")
	}
}

// A reload that fails after our Start has changed the rules for keys; those of
// the configuration that goes on hold again.
func TestRulesForKeysAreThoseOfTheNewestConfigurationThatStays(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "issuer.db")
	stays := tokenissuer.Config{SigningAlgorithm: "ES256"}.KeyRules("")
	fails := tokenissuer.Config{SigningAlgorithm: "EdDSA"}.KeyRules("")
	s, err := join(database{file: file}, stays)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := join(database{file: file}, fails); err != nil || s.governed != fails {
		t.Fatalf("the newest does not govern: %v", err)
	}
	if err := s.leave(fails); err != nil || s.governed != stays {
		t.Errorf("after it left: %v, %+v", err, s.governed)
	}
	if err := s.leave(stays); err != nil {
		t.Error(err)
	}
	if s.acquire() {
		t.Error("open after the end")
	}
}

func TestOneFileHasOneKeyHoweverItIsSpelled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	want, err := realPath(filepath.Join(dir, "sub", "issuer.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir + "/link/sub/issuer.db", dir + "/sub/../link/./sub//issuer.db"} {
		if got, err := realPath(path); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", path, got, err, want)
		}
	}
}

// waitFor waits until something has happened.
func waitFor(t *testing.T, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(far); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

// What a configuration can do and should not is a line in the log, without what
// is secret about it.
func TestWeakSecretAndUnservedIssuerAreWarnings(t *testing.T) {
	w := newWorld(t)
	t.Setenv("SHORT_SECRET", "hunter2-hunter2")
	w.load(strings.Replace(oneIssuer, "{env.SHOP_SECRET}", "{env.SHORT_SECRET}", 1), strings.Replace(oneSite, "\ttoken_issuer\n", "", 1))
	log := w.logged()
	for _, want := range []string{`shorter than 16 characters`, `"client":"shop","at":"Caddyfile:19"`, "no site serves the issuer", `"issuer":"https://auth.example.com"`} {
		if !strings.Contains(log, want) {
			t.Errorf("%s is not in the log:\n%s", want, log)
		}
	}
	if strings.Contains(log, "hunter2") {
		t.Error("the secret is in the log")
	}
	w.load(oneIssuer, oneSite)
	if again := strings.TrimPrefix(w.logged(), log); strings.Contains(again, "shorter than") || strings.Contains(again, "no site serves") {
		t.Errorf("a good configuration is warned of:\n%s", again)
	}
}

// Each word that no client uses is told of, at its line.
func TestWordsThatDoNothingYetAreWarnings(t *testing.T) {
	w := newWorld(t)
	words := "iss_parameter\n portal {\n color \"#0a5\"\n }\n limits {\n otp_per_client 9 1m\n }\n scope orders:raed \"Read\"\n"
	sources := "auth_source staff {\n type password\n }\n auth_source spare {\n type password\n }\n"
	global := strings.Replace(oneIssuer, "client shop {", words+sources+"client shop {\n auth_sources staff\n signup", 1)
	global = strings.Replace(global, "client phone {", "client phone {\n auth_sources staff\n scopes orders:late", 1)
	w.load(global, oneSite)
	for text, line := range map[string]string{
		"token_issuer: iss_parameter: without effect":                                       "17",
		"token_issuer: portal: without effect":                                              "18",
		"token_issuer: limits otp_per_client: without effect":                               "22",
		"auth_source spare: auth_source: without effect: no client names it":                "28",
		"client shop: signup: without effect but for user names":                            "33",
		"token_issuer: scope orders:raed: without effect: no client has this scope":         "24",
		"client phone: scopes orders:late: without effect: no grant of the client gives it": "41",
	} {
		found := false
		for _, logged := range strings.Split(w.logged(), "\n") {
			found = found || strings.Contains(logged, `"level":"warn"`) && strings.Contains(logged, text) && strings.Contains(logged, `"at":"Caddyfile:`+line+`"`)
		}
		if !found {
			t.Errorf("%s is not said of line %s:\n%s", text, line, w.logged())
		}
	}
}

func TestHalfProtectionIsAWarning(t *testing.T) {
	w := newWorld(t)
	t.Setenv("BASIC_SECRET", "hunter2+hunter2%hunter2")
	keys := filepath.Join(w.dir, "keys.json")
	if err := os.WriteFile(keys, []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"oct","k":"c2VjcmV0"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	w.load(strings.Replace(oneIssuer, "{env.SHOP_SECRET}", "{env.BASIC_SECRET}", 1), strings.Replace(oneSite, "\ttoken_gate\n", `
	token_gate /admin/* {
		issuer https://login.partner.example {
			audience api
			jwks_file $DIR/keys.json
		}
	}
	@get method GET
	token_gate @get
	@both method GET HEAD
	token_gate @both
`, 1))
	log := w.logged()
	for _, want := range []string{
		"secret has + or %", "/admin/* does not match /admin itself", `"at":"Caddyfile:34"`,
		"write `method GET HEAD`\",\"at\":\"Caddyfile:41\"",
		"a key of the issuer is not used: key 1: a private or shared key",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("%s is not in the log:\n%s", want, log)
		}
	}
	if told := strings.Count(log, "does not match HEAD"); told != 1 {
		t.Errorf("told of HEAD %d times", told)
	}
	if strings.Contains(log, "hunter2") || strings.Contains(log, "c2VjcmV0") {
		t.Error("a secret is in the log")
	}
}

func TestWrongKeyEncryptionKeyNamesItsOwnLine(t *testing.T) {
	w := newWorld(t)
	t.Setenv("KEK", "one key-encryption key of the operator")
	sealed := strings.Replace(oneIssuer, "signing_algorithm ES256", "key_encryption_key {env.KEK}\n\t\tsigning_algorithm ES256", 1)
	w.load(sealed, oneSite)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KEK", "another key-encryption key")
	if err := caddy.Load(w.caddyfile(sealed, oneSite), true); err == nil || !strings.Contains(err.Error(), "does not open them; set the one they were sealed with, at Caddyfile:16") {
		t.Errorf("another key: %v", err)
	}
	if err := caddy.Load(w.caddyfile(oneIssuer, oneSite), true); err == nil || !strings.Contains(err.Error(), "set key_encryption_key, at Caddyfile:13") {
		t.Errorf("no key: %v", err)
	}
}
