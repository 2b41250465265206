package postgrestest

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
)

// Role makes a role that may come in and nothing else, and returns its name and the
// address as which it comes. It goes with the test, with what it has made.
func Role(tb testing.TB, address string) (name, as string) {
	tb.Helper()
	u, err := url.Parse(address)
	if err != nil {
		tb.Fatal("an address of this package is a URL")
	}
	name = "r" + strings.ToLower(rand.Text()[:12])
	Exec(tb, address, "CREATE ROLE "+name+" LOGIN PASSWORD 'x'")
	tb.Cleanup(func() { Exec(tb, address, "DROP OWNED BY "+name+"; DROP ROLE "+name) })
	u.User = url.UserPassword(name, "x")
	return name, u.String()
}
