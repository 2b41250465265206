package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// Nodes count by the database's clock. One whose own is minutes off signs people in
// all the same.
func TestSignInWhereTheClockIsWrong(t *testing.T) {
	for _, ahead := range []string{"4 seconds", "-400 seconds", "20 minutes"} {
		t.Run(ahead, func(t *testing.T) {
			database := postgrestest.URL(t)
			postgrestest.Exec(t, database, `
				CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
					AS $$ SELECT pg_catalog.clock_timestamp() + interval '`+ahead+`' $$;
				DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$`)
			t.Setenv("DATABASE_OF_TEST", database)
			w := newWorld(t)
			w.backend(nil)
			w.load(strings.Replace(loginGlobal, "store sqlite $DIR/store/issuer.db", "store postgres {env.DATABASE_OF_TEST}", 1), loginSites)
			w.must(herPassword+"\n", []string{"user", "add", "alice", "--password-stdin"})
			if ahead := theState(t).state.Ahead(); ahead.Abs().Seconds() < 3 {
				t.Fatalf("the database is %s ahead", ahead)
			}
			p := w.visitor()
			const page = "https://app.example.com/orders"
			if a, way := p.signIn(page, "alice"); a.status != http.StatusOK || way[len(way)-1] != page {
				t.Fatalf("%v by %q", a, way)
			}
			if a := p.visit(page); a.status != http.StatusOK || a.header["Set-Cookie"] != nil {
				t.Errorf("the next page: %v", a)
			}
		})
	}
}
