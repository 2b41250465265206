package caddymodule

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
)

// command runs `gatehouse issuer ARGS` against the world's Caddy.
func (w *world) command(stdin string, args ...string) (stdout string, err error) {
	w.Helper()
	asks := args[0] != "import" && args[0] != "restore" && !slices.Contains(args, "--stopped") && !slices.Contains(args, "--address")
	if asks {
		args = append(args, "--address", "unix/"+w.dir+"/admin")
	}
	var out bytes.Buffer
	// As in do: the admin endpoint, too, drops a connection when it is reloaded.
	for end := time.Now().Add(far); ; time.Sleep(time.Millisecond) {
		root := &cobra.Command{Use: "issuer", SilenceErrors: true}
		addCommands(root)
		out.Reset()
		root.SetOut(&out)
		root.SetErr(io.Discard)
		root.SetIn(strings.NewReader(stdin))
		root.SetArgs(args)
		err = root.Execute()
		if dropped := err != nil && strings.Contains(err.Error(), "performing request"); !dropped || !asks || time.Now().After(end) {
			return out.String(), err
		}
	}
}

// must runs a command that succeeds and prints these words.
func (w *world) must(stdin string, args []string, words ...string) string {
	w.Helper()
	out, err := w.command(stdin, args...)
	if err != nil {
		w.Fatalf("%v: %v", args, err)
	}
	for _, word := range words {
		if !strings.Contains(out, word) {
			w.Errorf("%v: no %q in\n%s", args, word, out)
		}
	}
	return out
}

// fails runs a command that says in one line what is wrong.
func (w *world) fails(args []string, want string) {
	w.Helper()
	out, err := w.command("", args...)
	switch {
	case err == nil:
		w.Errorf("%v: worked:\n%s", args, out)
	case !strings.Contains(err.Error(), want) || strings.Contains(strings.TrimSpace(err.Error()), "\n"):
		w.Errorf("%v: got %q, want %q on one line", args, err, want)
	}
}

func (w *world) signIn(name, password string) answer {
	w.Helper()
	return w.post("/oauth2/token", url.Values{
		"grant_type": {"password"}, "client_id": {"phone"}, "auth_source_id": {"password"}, "username": {name}, "password": {password},
	})
}

// userID is the id of a user with this name.
func (w *world) userID(name string) string {
	w.Helper()
	var user struct{ ID string }
	if err := json.Unmarshal([]byte(w.must("", []string{"user", "show", name, "--json"})), &user); err != nil || user.ID == "" {
		w.Fatal(user, err)
	}
	return user.ID
}

func TestAnswerToAnAdditionIsTheUsersOwn(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	added := w.must("", []string{"user", "add", "carol", "--json"}, `"created"`)
	if shown := w.must("", []string{"user", "show", "carol", "--json"}); shown != added {
		t.Errorf("added %s, shown %s", added, shown)
	}
}

func TestOperatorKeepsUsersFromTheCommandLine(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, oneSite)

	w.must("correct horse battery\n", []string{"user", "add", "alice", "--email", "Alice@Example.com", "--password-stdin"}, "alice", "alice@example.com", "active", "set")
	w.must("", []string{"user", "add", "bob"}, "bob", "none")
	w.must("", []string{"user", "list"}, "USERNAME", "alice", "bob")
	w.must("", []string{"user", "show", "alice@example.com"}, "alice")
	w.fails([]string{"user", "add", "alice"}, "username: already taken")
	w.fails([]string{"user", "add", "anna", "--email", "alice@example.com"}, "email: already taken")
	w.fails([]string{"user", "add", "Alice", "--email", "ALICE@example.com"}, "username, email: already taken")
	w.fails([]string{"user", "add"}, "add: NAME is missing: expected add NAME [--email E]")
	w.fails([]string{"user", "add", "a", "b"}, `add: unexpected "b" after NAME`)
	w.fails([]string{"user", "add", "a", "--mail", "a@example.com"}, "add: unknown flag --mail, did you mean --email?: expected add NAME [--email E]")
	w.fails([]string{"user", "show", "a", "--jsn"}, "show: unknown flag --jsn, did you mean --json?: expected show NAME")
	w.fails([]string{"user", "show"}, "show: NAME is missing: expected show NAME")
	w.fails([]string{"user", "show", "nobody"}, `user "nobody": not found`)
	w.fails([]string{"user", "set-password", "alice"}, "--password-stdin")

	bearer := "Authorization: Bearer " + w.accessToken(w.signIn("alice", "correct horse battery"))
	if a := w.get("/", bearer); a.status != http.StatusOK {
		t.Fatalf("signed in: %v", a)
	}
	w.must("", []string{"user", "freeze", "alice"}, "alice is frozen (was active)\n")
	w.must("", []string{"user", "show", "alice"}, "frozen")
	if a := w.get("/", bearer); a.status != http.StatusUnauthorized {
		t.Errorf("frozen, and its token opens the gate: %v", a)
	}
	w.fails([]string{"user", "unlock", "alice"}, "frozen")
	w.must("", []string{"user", "lock", "alice"}, "alice is locked (was frozen)\n")
	w.must("", []string{"user", "freeze", "alice"}, "alice is frozen (was locked)\n")
	w.must("", []string{"user", "unfreeze", "alice"}, "alice is active (was frozen)\n")
	w.must("", []string{"user", "unfreeze", "alice"}, "alice is active, as before\n")
	w.must("", []string{"user", "lock", "alice", "--json"}, `"username": "alice"`, `"state": "locked"`, `"was": "active"`)
	if a := w.signIn("alice", "correct horse battery"); a.status != http.StatusBadRequest {
		t.Errorf("locked: %v", a)
	}
	w.fails([]string{"user", "unfreeze", "alice"}, "locked")
	w.must("", []string{"user", "unlock", "alice"})
	w.must("another horse battery\n", []string{"user", "set-password", "alice", "--password-stdin"}, "alice has a new password")
	if a := w.signIn("alice", "correct horse battery"); a.status != http.StatusBadRequest {
		t.Errorf("the old password: %v", a)
	}
	w.accessToken(w.signIn("alice", "another horse battery"))
	id := w.userID("alice")
	w.must("", []string{"user", "remove", "alice", "--json"}, `"removed": "`+id+`"`)
	w.fails([]string{"user", "show", "alice"}, "not found")

	var users []map[string]any
	if err := json.Unmarshal([]byte(w.must("", []string{"user", "list", "--json"})), &users); err != nil || len(users) != 1 || users[0]["username"] != "bob" {
		t.Errorf("as JSON: %v, %v", users, err)
	}
}

func TestOperatorSeesClientsAndKeys(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	if out := w.must("", []string{"client", "list"}, "shop", "web", "orders:read", "phone"); strings.Contains(out, shopSecret) {
		t.Error("the list shows a secret")
	}
	w.must("", []string{"client", "show", "shop", "--json"}, `"id": "shop"`)
	w.fails([]string{"client", "show", "stranger"}, `client "stranger": not found`)

	w.must("", []string{"key", "list"}, "ES256", "signing")
	w.must("", []string{"key", "rotate"}, "signing", "announced")
	w.fails([]string{"key", "rotate"}, "is already announced; it signs from 20")
	if _, set := w.get("/oauth2/jwks"), w.get("/oauth2/jwks").body; strings.Count(set, `"kid"`) != 2 {
		t.Errorf("the announced key is not published: %s", set)
	}
	w.token()
}

func TestCommandLineMistakesNameTheRightWord(t *testing.T) {
	w := newWorld(t)
	w.load("", "http://app.example.com {\n\trespond ok\n}")
	w.fails([]string{"user", "list"}, "no token issuer is configured")
	w.fails([]string{"user", "ad"}, "did you mean add?")
	w.fails([]string{"usr", "add"}, "did you mean user?")
	w.fails([]string{"user"}, "expected add, ")
	w.fails([]string{"key", "list", "--addr", "x"}, "--addr")
	w.fails([]string{"key", "list", "--address", "unix/" + w.dir + "/nobody"}, "does it run?")
}

func TestAdminAPIIsNotForPagesInABrowser(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	const user = `{"username":"mallory","password":"correct horse battery"}`
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", ""} {
		if status, text := w.admin(http.MethodPost, "/token_issuer/users", user, "Content-Type: "+kind); status != http.StatusUnsupportedMediaType {
			t.Errorf("as %q: %d %s", kind, status, text)
		}
	}
	for body, want := range map[string]int{
		`{"username":"mallory","admin":true}`: http.StatusBadRequest,
		`{"username":`:                        http.StatusBadRequest,
		`{"username":"x","name":"` + strings.Repeat("x", 70<<10) + `"}`: http.StatusBadRequest,
		`{"username":"mallory","password":"short"}`:                     http.StatusBadRequest,
		user: http.StatusOK,
	} {
		if status, text := w.admin(http.MethodPost, "/token_issuer/users", body, "Content-Type: application/json"); status != want {
			t.Errorf("%.60s: %d %s", body, status, text)
		}
	}
	// Nothing of it is on the sites.
	if a := w.get("/token_issuer/users"); a.status != http.StatusUnauthorized {
		t.Errorf("on a site: %v", a)
	}
}

// A reload that failed leaves the admin endpoint with a configuration that
// never ran; its operations must reach the one that does.
func TestAdminAPISpeaksToTheRunningIssuerAfterAFailedReload(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite)
	w.must("correct horse battery\n", []string{"user", "add", "alice", "--password-stdin"}, "alice")
	w.write("file", "not a folder")
	if err := caddy.Load(w.caddyfile(strings.Replace(oneIssuer, "$DIR/store", "$DIR/file", 1), oneSite), true); err == nil {
		t.Fatal("loaded")
	}
	w.must("", []string{"user", "list"}, "alice")
}

// TestPersonCannotRaiseWhatAGateChecks: a role is the operator's word. Whoever has
// the person's token cannot write it, and what people can write no gate reads.
func TestPersonCannotRaiseWhatAGateChecks(t *testing.T) {
	w := newWorld(t)
	w.backend(func(wr http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(wr, "role "+r.Header.Get("X-Role"))
	})
	global := strings.Replace(oneIssuer, "client phone {", "attribute team\n\t\toperator_attribute role\n\t\tclient phone {\n\t\t\tclaims team role", 1)
	site := strings.Replace(oneSite, "token_gate", "token_gate {\n\t\tclaim role admin owner\n\t\theader X-Role {claim.role}\n\t}", 1)
	w.load(global, site)
	w.must("correct horse battery\n", []string{"user", "add", "alice", "--password-stdin"})

	signedIn := w.signIn("alice", "correct horse battery")
	bearer := "Authorization: Bearer " + w.accessToken(signedIn)
	if a := w.get("/", bearer); a.status != http.StatusForbidden {
		t.Fatalf("without the role: %v", a)
	}
	for body, want := range map[string]string{
		`{"role":"admin"}`:                "Unsupported user attribute(s) found.",
		`{"team":"admin","role":"admin"}`: "Unsupported user attribute(s) found.",
		`{"operator/role":"admin"}`:       `{"error":"invalid_request"`,
		`{"team":"admin"}`:                `"team":"admin"`,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, "http://app.example.com/userinfo", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {strings.TrimPrefix(bearer, "Authorization: ")}, "Content-Type": {"application/json"}}
		if a, err := w.do(r); err != nil || !strings.Contains(a.body, want) {
			t.Errorf("PATCH %s: %v %v", body, a, err)
		}
	}
	own := w.accessToken(w.signIn("alice", "correct horse battery"))
	if a := w.get("/", "Authorization: Bearer "+own); a.status != http.StatusForbidden {
		t.Fatalf("raised by its own word: %v", a)
	}
	if payload, err := base64.RawURLEncoding.DecodeString(strings.Split(own, ".")[1]); err != nil || bytes.Contains(payload, []byte("team")) {
		t.Errorf("what people write is in the access token: %s %v", payload, err)
	}

	w.must("", []string{"user", "set", "alice", "role=admin"}, "role=admin team=admin")
	w.must("", []string{"user", "show", "alice", "--json"}, `"role": "admin"`)
	if a := w.get("/", bearer); a.status != http.StatusUnauthorized {
		t.Errorf("a token with the old role: %v", a)
	}
	var first struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(signedIn.body), &first); err != nil {
		t.Fatal(err)
	}
	again := w.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"phone"}, "refresh_token": {first.Refresh}})
	bearer = "Authorization: Bearer " + w.accessToken(again)
	if a := w.get("/", bearer); a.status != http.StatusOK || a.body != "role admin" {
		t.Errorf("with the role, after a refresh: %v", a)
	}
	w.must("", []string{"user", "set", "alice", "role="}, "team=admin")
	if a := w.get("/", bearer); a.status != http.StatusUnauthorized {
		t.Errorf("taken away, and still let through: %v", a)
	}
	w.fails([]string{"user", "set", "alice", "rule=admin"}, `"rule" is no attribute: expected team, role`)
	w.fails([]string{"user", "set", "alice", "role"}, "expected ATTRIBUTE=VALUE")
	w.fails([]string{"user", "set", "alice"}, "nothing to set")
	w.fails([]string{"user", "set", "nobody", "role=x"}, "not found")
	w.fails([]string{"user", "set", "alice", "role=" + strings.Repeat("x", 257)}, "role is longer than 256 bytes")

	// What a person wrote does not become the operator's word by a change of words.
	w.load(strings.Replace(global, "attribute team", "operator_attribute team", 1), site)
	if out := w.must("", []string{"user", "show", "alice", "--json"}); strings.Contains(out, "admin") {
		t.Errorf("written by the person, shown as the operator's: %s", out)
	}
}
