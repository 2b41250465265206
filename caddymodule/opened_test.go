package caddymodule

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// TestStartSaysWhatItServesFrom, with the nodes beside it and without a password.
// Reloads say nothing.
func TestStartSaysWhatItServesFrom(t *testing.T) {
	text := postgrestest.URL(t)
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), "hunter2")
	t.Setenv("DATABASE_OF_TEST", u.String())
	beside, err := postgres.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	for n, c := range []struct {
		global, store string
		nodes         any
	}{
		{oneIssuer, w.dir + "/store/issuer.db", nil},
		{manyNodes, beside.String(), 2.},
	} {
		if c.nodes != nil {
			st, err := postgres.Open(t.Context(), beside)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = st.Close() }()
			if _, err := st.Position(t.Context()); err != nil { // as one that serves
				t.Fatal(err)
			}
		}
		w.load(c.global, oneSite)
		w.load(c.global, oneSite)
		said := w.events("store opened")
		if len(said) != n+1 {
			t.Fatalf("%s: %v", c.store, said)
		}
		e := said[n]
		if e["level"] != "info" || e["logger"] != "token_issuer" || !strings.HasSuffix(fmt.Sprint(e["store"]), c.store) || e["schema"] == nil || e["schema"] == 0. || e["nodes"] != c.nodes {
			t.Errorf("%v, want %s and %v nodes", e, c.store, c.nodes)
		}
		if err := caddy.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(w.logged(), "hunter") {
		t.Error("the password is in the log")
	}
}
