package caddymodule

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// manyNodes is oneIssuer with its records in PostgreSQL.
var manyNodes = strings.Replace(oneIssuer, "store sqlite $DIR/store/issuer.db", "store postgres {env.DATABASE_OF_TEST}", 1)

// TestSignInsInPostgreSQL outlive reloads and restarts.
func TestSignInsInPostgreSQL(t *testing.T) {
	t.Setenv("DATABASE_OF_TEST", postgrestest.URL(t))
	w := newWorld(t)
	w.backend(nil)
	w.load(manyNodes, oneSite)
	w.must("correct horse battery\n", []string{"user", "add", "ann", "--password-stdin"})
	var got struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	tokens := func(a answer) string {
		t.Helper()
		if err := json.Unmarshal([]byte(a.body), &got); a.status != http.StatusOK || err != nil {
			t.Fatal(a, err)
		}
		return got.Access
	}
	refreshed := func() answer {
		t.Helper()
		return w.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"phone"}, "refresh_token": {got.Refresh}})
	}
	opens := func(token string) int { return w.get("/", "Authorization: Bearer "+token).status }

	first := tokens(w.signIn("ann", "correct horse battery"))
	before := theState(t)
	w.underRequests(func() {
		for range 10 {
			w.load(manyNodes, oneSite)
		}
	})
	if theState(t) != before {
		t.Error("a reload opened the state anew")
	}
	second := tokens(refreshed())
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	w.load(manyNodes, oneSite)
	third := tokens(refreshed())
	for _, token := range []string{first, second, third} {
		if status := opens(token); status != http.StatusOK {
			t.Errorf("a token of the sign-in: %d", status)
		}
	}
	w.must("", []string{"user", "lock", "ann"})
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	w.load(manyNodes, oneSite)
	if opens(third) != http.StatusUnauthorized || refreshed().status != http.StatusBadRequest {
		t.Error("what ended before the restart is good after it")
	}
}

// TestNewPasswordOfTheDatabase comes from its file with a reload; one that the database does not
// take is refused, and the running configuration goes on.
func TestNewPasswordOfTheDatabase(t *testing.T) {
	s := postgrestest.Start(t)
	text := s.Database(t)
	postgrestest.Exec(t, text, "CREATE ROLE "+postgrestest.Passworded+"; GRANT ALL ON SCHEMA public TO "+postgrestest.Passworded+
		"; CREATE ROLE app LOGIN PASSWORD 'hunter1' IN ROLE "+postgrestest.Passworded)
	with := func(password string) string {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("app", password)
		return u.String()
	}
	load := func(w *world, password string) error {
		w.write("address", with(password)+"\n")
		return caddy.Load(w.caddyfile(strings.Replace(manyNodes, "{env.DATABASE_OF_TEST}", "{file.$DIR/address}", 1), oneSite), true)
	}
	w := newWorld(t)
	w.backend(nil)
	if err := load(w, "hunter1"); err != nil {
		t.Fatal(err)
	}
	before := theState(t)
	// Not by a reload: Caddy takes a socket from the configuration that goes on.
	wrong, err := postgres.ParseAddress(with("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = join(database{address: wrong}, before.governed)
	if err == nil || !strings.Contains(err.Error(), "password authentication failed") || strings.Contains(err.Error(), "hunter") {
		t.Errorf("a wrong password: %v", err)
	}
	postgrestest.Exec(t, text, "ALTER ROLE app PASSWORD 'hunter2'")
	if err := load(w, "hunter2"); err != nil {
		t.Fatal(err)
	}
	if theState(t) != before {
		t.Error("another password opened the state anew")
	}
	if n := postgrestest.Terminate(t, text, ""); n == 0 {
		t.Fatal("no connection was open")
	}
	w.token() // over a new connection
	if a := w.get("/health"); a.status != http.StatusOK {
		t.Errorf("after the old connections ended: %v", a)
	}
	if strings.Contains(w.logged(), "hunter") {
		t.Error("a password is in the log")
	}
}

// TestMistakesInTheDatabaseNameTheirLine, and never a password.
func TestMistakesInTheDatabaseNameTheirLine(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		address, block string
		starts         bool // it can only be seen when the database is opened
		want           []string
	}{
		"unset":                         {"", "", false, []string{"store: ", "{env.DATABASE_OF_TEST} is empty", "at Caddyfile:15"}},
		"another database":              {"mysql://app:hunter2@db.example.com/x", "", false, []string{"store: expected a URL such as postgres://", "at Caddyfile:15"}},
		"a password's #":                {"postgres://app:1#hunter2@db.example.com/x", "", false, []string{"write %23", "at Caddyfile:15"}},
		"no such authority":             {"postgres://app:hunter2@db.example.com/x?sslmode=verify-full&sslrootcert=/none.pem", "", false, []string{"/none.pem", "at Caddyfile:15"}},
		"what libpq knows":              {"postgres://app:hunter2@db.example.com/x?keepalives_idle=30", "", false, []string{"store: keepalives_idle: leave it out, or write tcp_keepalives_idle", "at Caddyfile:15"}},
		"what pgxpool knows":            {"postgres://app:hunter2@db.example.com/x?pool_min_conns=2", "", false, []string{"store: pool_min_conns: leave it out", "pool_max_conns", "at Caddyfile:15"}},
		"staleness":                     {"postgres://app:hunter2@127.0.0.1/x", " {\n\t\t\tmax_staleness {env.WRONG}\n\t\t}", false, []string{"max_staleness", `"wrong"`, "at Caddyfile:16"}},
		"staleness of less than a look": {"postgres://app:hunter2@127.0.0.1/x", " {\n\t\t\tmax_staleness 999ms\n\t\t}", false, []string{"max_staleness", "expected 1s or more", "at Caddyfile:16"}},
		"when stale":                    {"postgres://app:hunter2@127.0.0.1/x", " {\n\t\t\twhen_stale {env.WRONG}\n\t\t}", false, []string{"when_stale", `"wrong": expected refuse or serve`, "at Caddyfile:16"}},
		"no such database":              {strings.Replace(postgrestest.URL(t), "/t", "/none-", 1), "", true, []string{"store postgres://", "does not exist", "at Caddyfile:15"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DATABASE_OF_TEST", c.address)
			t.Setenv("WRONG", "wrong")
			config := w.caddyfile(strings.Replace(manyNodes, "{env.DATABASE_OF_TEST}", "{env.DATABASE_OF_TEST}"+c.block, 1), oneSite)
			var parsed caddy.Config
			if err := caddy.StrictUnmarshalJSON(config, &parsed); err != nil {
				t.Fatal(err)
			}
			err := caddy.Validate(&parsed)
			if c.starts {
				if err != nil {
					t.Fatalf("validating asks the database: %v", err)
				}
				err = caddy.Load(config, true)
			}
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), "\n") {
				t.Errorf("a password, or more than one line: %v", err)
			}
		})
	}
}

// TestOpenWayToTheDatabaseIsWarnedOf, and a password that the configuration shows.
func TestOpenWayToTheDatabaseIsWarnedOf(t *testing.T) {
	w := newWorld(t)
	for address, want := range map[string][]string{
		"postgres://app:hunter2@db.example.com/x?sslmode=require":          {literalSecret, "without a look at the certificate", "sslmode=verify-full"},
		"postgres://app@db.example.com/x?sslmode=disable&password=hunter2": {literalSecret, "without encryption"},
		"postgres://app@db.example.com/x?sslmode=verify-full":              {},
		"postgres://app@127.0.0.1/x?sslmode=disable":                       {},
	} {
		w.write("log", "")
		config := w.caddyfile(strings.Replace(manyNodes, "{env.DATABASE_OF_TEST}", address, 1), oneSite)
		var parsed caddy.Config
		if err := caddy.StrictUnmarshalJSON(config, &parsed); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&parsed); err != nil {
			t.Fatal(err)
		}
		logged := w.logged()
		for _, word := range []string{literalSecret, "without a look at the certificate", "without encryption", "sslmode=verify-full"} {
			expected := false
			for _, want := range want {
				expected = expected || want == word || word == "sslmode=verify-full"
			}
			if strings.Contains(logged, word) != expected {
				t.Errorf("%s: %q in the log: %v\n%s", address, word, !expected, logged)
			}
		}
		if strings.Contains(logged, "hunter") {
			t.Errorf("%s: the password is in the log", address)
		}
	}
}

// TestHeldTableStopsWhatNeedsIt and nothing else: neither what a load balancer asks,
// nor a gate.
func TestHeldTableStopsWhatNeedsIt(t *testing.T) {
	text := postgrestest.URL(t)
	t.Setenv("DATABASE_OF_TEST", postgrestest.With(text, "pool_max_conns", "1"))
	w := newWorld(t)
	w.backend(nil)
	w.load(manyNodes, oneSite)
	token := w.token()
	operator, err := pgx.Connect(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = operator.Close(context.Background()) }()
	if _, err := operator.Exec(t.Context(), "BEGIN; LOCK TABLE families"); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan answer)
	go func() {
		stopped <- w.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"phone"}, "refresh_token": {strings.Repeat("x", 128)}})
	}()
	if a := w.get("/health"); a.status != http.StatusOK {
		t.Errorf("while a table is held: %v", a)
	}
	if a := w.get("/", "Authorization: Bearer "+token); a.status != http.StatusOK {
		t.Errorf("while a table is held: %v", a)
	}
	<-stopped
}

// TestReloadWithoutTheDatabase is what an operator needs in that hour: to have gates go
// on, or to change what has nothing to do with it.
func TestReloadWithoutTheDatabase(t *testing.T) {
	s := postgrestest.Start(t)
	text := s.Database(t)
	t.Setenv("DATABASE_OF_TEST", text)
	w := newWorld(t)
	w.backend(nil)
	when := func(stale string) string {
		return strings.Replace(manyNodes, "{env.DATABASE_OF_TEST}", "{env.DATABASE_OF_TEST} {\n\t\t\tmax_staleness 1s\n\t\t\twhen_stale "+stale+"\n\t\t}", 1)
	}
	w.load(when("refuse"), oneSite)
	token := w.token()
	opens := func() int { return w.get("/", "Authorization: Bearer "+token).status }
	s.Stop()
	waitFor(t, func() bool { return opens() == http.StatusServiceUnavailable })
	if a := w.get("/health/gate"); a.status != http.StatusServiceUnavailable {
		t.Errorf("health of gates that refuse: %v", a)
	}
	w.load(when("serve"), oneSite)
	if status := opens(); status != http.StatusOK {
		t.Errorf("told to go on, the gate answers %d", status)
	}
	if a := w.get("/health/gate"); a.status != http.StatusOK || !strings.Contains(a.body, "behind_seconds") {
		t.Errorf("health of gates that go on: %v", a)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	w.load(when("refuse"), oneSite)
	waitFor(t, func() bool { return opens() == http.StatusOK })
	w.token()
	waitFor(t, func() bool { return len(w.events("background work goes on")) > 0 })
	if began, over := w.events("background work"), w.events("background work goes on"); len(began) != 1 || len(over) != 1 || over[0]["level"] != "info" {
		t.Errorf("one outage is %v and %v in the log", began, over)
	}
}

// TestClockOfTheDatabaseIsNoStopwatch: how long a request took is the same wherever
// the database thinks that it is.
func TestClockOfTheDatabaseIsNoStopwatch(t *testing.T) {
	text := postgrestest.URL(t)
	postgrestest.Exec(t, text, `CREATE FUNCTION public.clock_timestamp() RETURNS TIMESTAMPTZ LANGUAGE SQL
		AS $$ SELECT pg_catalog.clock_timestamp() + INTERVAL '5 minutes' $$`)
	t.Setenv("DATABASE_OF_TEST", postgrestest.With(text, "search_path", "public,pg_catalog"))
	w := newWorld(t)
	w.load(manyNodes, oneSite)
	w.token()
	took := regexp.MustCompile(`"msg":"issuer request".*"duration":([-0-9.e]+)`).FindStringSubmatch(w.logged())
	if len(took) != 2 {
		t.Fatal(w.logged())
	}
	if seconds, err := strconv.ParseFloat(took[1], 64); err != nil || seconds < 0 || seconds > 60 {
		t.Errorf("a request took %s s, %v", took[1], err)
	}
}
