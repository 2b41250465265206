package caddymodule

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// An operator writes how somebody is reached, under the rules of every other way:
// as it is stored, one account each, a number that a code reaches, and not proved.
func TestOperatorSetsAddresses(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, oneSite)
	w.must("correct horse battery\n", []string{"user", "add", "alice", "--email", "alice@example.com", "--password-stdin"})
	w.must("", []string{"user", "add", "bob", "--email", "bob@example.com", "--phone", "+8613800138000"})
	token := w.accessToken(w.signIn("alice", "correct horse battery"))

	w.must("", []string{"user", "set-address", "alice", "--email", "Alice@New.example", "--phone", "+86 139 1234 5678"}, "alice@new.example", "+8613912345678")
	w.must("", []string{"user", "set-address", "alice@new.example", "--email", "alice@newer.example"}, "alice@newer.example", "+8613912345678") // found by what it had
	w.must("", []string{"user", "set-address", "alice", "--phone", "+8613912345678"}, "+8613912345678")                                         // as it is
	w.fails([]string{"user", "show", "alice@example.com"}, "not found")
	if a := w.get("/userinfo", "Authorization: Bearer "+token); a.status != 200 {
		t.Errorf("the sign-in before: %d %s", a.status, a.body)
	}

	w.fails([]string{"user", "set-address", "alice", "--email", "BOB@example.com"}, "email: already taken")
	w.fails([]string{"user", "set-address", "alice", "--email", "x@example.com", "--phone", "+8613800138000"}, "phone_number: already taken")
	w.fails([]string{"user", "set-address", "alice", "--email", "alice"}, "email is not an address of the form name@domain")
	w.fails([]string{"user", "set-address", "alice", "--phone", "123"}, "phone_number cannot be sent a code")
	w.fails([]string{"user", "set-address", "nobody", "--email", "x@example.com"}, `user "nobody": not found`)
	w.fails([]string{"user", "set-address", "alice"}, "nothing to set: expected --email or --phone")
	if out := w.must("", []string{"user", "show", "alice"}, "alice@newer.example", "+8613912345678"); strings.Contains(out, "x@example.com") {
		t.Errorf("half of it was written:\n%s", out)
	}

	if out := w.must("", []string{"user", "set-address", "alice", "--phone", ""}, "alice@newer.example"); strings.Contains(out, "+86") {
		t.Error(out)
	}
	w.must("", []string{"user", "add", "", "--email", "only@example.com"}, "only@example.com")
	w.fails([]string{"user", "set-address", "only@example.com", "--email", ""}, "account needs a username, an e-mail address or a phone number")
}

// Who sits at a terminal is told that the program waits.
func TestTerminalIsToldToType(t *testing.T) {
	null, err := os.Open(os.DevNull) // a character device, as a terminal is
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	for _, args := range [][]string{{"user", "add", "a", "--password-stdin"}, {"user", "set-password", "a", "--password-stdin"}} {
		root := &cobra.Command{Use: "issuer", SilenceErrors: true}
		addCommands(root)
		var told bytes.Buffer
		root.SetErr(&told)
		root.SetArgs(args)
		root.SetIn(null)
		if err := root.Execute(); err == nil || !strings.Contains(err.Error(), "no password on standard input") || !strings.HasPrefix(told.String(), "Type the password") {
			t.Errorf("%v, told %q", err, told.String())
		}
		told.Reset()
		root.SetIn(strings.NewReader(""))
		if err := root.Execute(); err == nil || told.Len() != 0 {
			t.Errorf("piped: %v, told %q", err, told.String())
		}
	}
}
