package caddymodule

import (
	"database/sql"
	"net/http"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
)

// A token of an issuer elsewhere goes on being good after a sign-out. Processes that
// share a store tell each other that it is over, and one that starts anew knows it.
func TestSignOutOfAForeignLoginIsKnownToAllOfAStore(t *testing.T) {
	t.Setenv("PARTNER_SECRET", partnerSecret)
	w := newWorld(t)
	w.backend(endless)
	n := newNeighbour(w)
	start := func() { w.load(oneIssuer, n.sites()+"\nhttp://auth.example.com {\n\ttoken_issuer\n}") }
	start()
	script := func(p *visitor) int {
		return p.do(http.MethodGet, "https://app.example.com/", "", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin").status
	}

	p := n.goesAbroad(w.visitor())
	p.signIn("https://app.example.com/", "alice")
	copied := p.cookies("app.example.com")[loginCookie]
	if a := p.visit("https://app.example.com/.gatehouse/logout", "Sec-Fetch-Site: same-origin"); a.status != http.StatusSeeOther {
		t.Fatal(a)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	start()
	p.set("app.example.com", loginCookie, copied)
	if got := script(p); got != http.StatusUnauthorized {
		t.Errorf("the cookie of before, after a new start: %d", got)
	}

	// Another node says that somebody has signed out there.
	p = n.goesAbroad(w.visitor())
	p.signIn("https://app.example.com/", "alice")
	streams := []*opened{p.events("app.example.com", "text/event-stream"), p.events("app.example.com", "*/*")}
	app, err := caddy.ActiveContext().App("token_issuer")
	if err != nil {
		t.Fatal(err)
	}
	run, r := app.(*App).running.Load(), &http.Request{Host: "app.example.com", Header: http.Header{"Cookie": {loginCookie + "=" + p.cookies("app.example.com")[loginCookie]}}}
	brought := login.Read(r.Header)
	s, ok := run.keys.Session(r, &brought)
	if !ok || script(p) != http.StatusOK {
		t.Fatal("not signed in")
	}
	if err := run.state.EndForeign(t.Context(), s.SignIn(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, o := range streams {
		select {
		case <-o.over:
		case <-time.After(far):
			t.Errorf("%s goes on", o.name)
		}
	}
	if got := script(p); got != http.StatusUnauthorized {
		t.Errorf("signed out at another node: %d", got)
	}
}

// An issuer that cannot be told goes on renewing: the sign-in is over for longer than
// its access token.
func TestSignOutIsRememberedWhereTheIssuerCannotBeTold(t *testing.T) {
	t.Setenv("PARTNER_SECRET", partnerSecret)
	for _, deaf := range []bool{false, true} {
		w := newWorld(t)
		w.backend(nil)
		n := newNeighbour(w)
		n.deaf.Store(deaf)
		w.load(oneIssuer, n.sites()+"\nhttp://auth.example.com {\n\ttoken_issuer\n}")
		p := n.goesAbroad(w.visitor())
		p.signIn("https://app.example.com/", "alice")
		if a := p.visit("https://app.example.com/.gatehouse/logout", "Sec-Fetch-Site: same-origin"); a.status != http.StatusSeeOther {
			t.Fatal(a)
		}
		db, err := sql.Open("sqlite", w.dir+"/store/issuer.db")
		if err != nil {
			t.Fatal(err)
		}
		var until int64
		if err := db.QueryRow(`SELECT MAX(expires) FROM revoked_tokens`).Scan(&until); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if left := time.Until(time.UnixMilli(until)); (left > 23*time.Hour) != deaf {
			t.Errorf("cannot be told: %v; over for %s", deaf, left)
		}
	}
}
