package account

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

const right = "correct horse battery"

var (
	noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

	home     = netip.MustParseAddr("198.51.100.7")
	stranger = netip.MustParseAddr("203.0.113.9")

	staff = Source{
		ID:          "staff",
		Identifiers: []store.IdentifierKind{store.ByUsername, store.ByEmail, store.ByPhone},
		Failures:    5,
		Lock:        15 * time.Minute,
	}
)

// world is accounts over a real store, with hashes that take no time.
type world struct {
	*Accounts
	t  testing.TB
	st *store.Store
}

func newWorld(t testing.TB, o Options) world {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "issuer.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if o.Memory == 0 {
		o.Memory, o.Passes = 8, 1
	}
	if o.Wait == 0 {
		o.Wait = time.Minute
	}
	o.Key = make([]byte, 32)
	rand.Read(o.Key)
	a, err := New(st, o)
	if err != nil {
		t.Fatal(err)
	}
	return world{a, t, st}
}

func (w world) create(in Create) store.Account {
	w.t.Helper()
	account, writes, err := w.Create(w.t.Context(), noon, "operator", staff, in)
	if err != nil {
		w.t.Fatal(err)
	}
	w.apply(noon, writes)
	return account
}

func (w world) apply(now time.Time, writes []store.Write) {
	w.t.Helper()
	if err := w.st.Apply(w.t.Context(), now, writes...); err != nil {
		w.t.Fatal(err)
	}
}

// try is a sign-in whose writes are applied, as the issuer does.
func (w world) try(now time.Time, name, password string, from netip.Addr) oauth.Reason {
	w.t.Helper()
	_, writes, err := w.Password(w.t.Context(), now, staff, name, password, from)
	if err == nil {
		w.apply(now, writes)
	} else if len(writes) > 0 {
		w.t.Errorf("writes beside the error %v", err)
	}
	return reason(err)
}

func reason(err error) oauth.Reason {
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		return oauth.Reason("no protocol error: " + err.Error())
	}
	return e.Reason
}

func (w world) want(want oauth.Reason, got oauth.Reason) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("got %q, want %q", got, want)
	}
}

// fail tries wrong passwords until n failures are counted.
func (w world) fail(n int, now time.Time, name string, from netip.Addr) {
	w.t.Helper()
	for range n {
		w.want(oauth.WrongCredentials, w.try(now, name, "wrong", from))
	}
}
