package main

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // to look into the store of a program that has ended
)

// rows counts what a store holds of people's sign-ins. The program that owns the
// store must have ended.
func (i *instance) rows(table string) (n int) {
	i.Helper()
	db, err := sql.Open("sqlite", i.file("data/caddy/token_issuer/issuer.db"))
	if err != nil {
		i.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(i.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		i.Fatal(err)
	}
	return n
}

func TestBadTokenRequestsEarnTheContractsErrorAndLeaveNothing(t *testing.T) {
	i := newInstance(t)
	i.configure(threeClients, oneSite)
	i.start()
	i.addAlice()

	const (
		invalid   = `{"error":"invalid_request"}`
		grantType = `{"error":"invalid_request","error_description":"OAuth 2.0 Parameter: grant_type","error_uri":"https://datatracker.ietf.org/doc/html/rfc6749#section-5.2"}`
		username  = `{"error":"invalid_request","error_description":"OAuth 2.0 Parameter: username","error_uri":"https://datatracker.ietf.org/doc/html/rfc6749#section-5.2"}`
		content   = `{"error":"invalid_request","error_description":"Unsupported content type"}`
		noClient  = `{"error":"invalid_client"}`
	)
	good := byPassword("phone").Encode()
	form, object := "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json"
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("shop:"+shopSecret))
	for name, c := range map[string]struct {
		method, query, body string
		lines               []string
		status              int
		want                string
	}{
		"another content type":        {body: good, lines: []string{"Content-Type: text/plain"}, status: 400, want: content},
		"no content type":             {body: good, lines: []string{"Content-Type: "}, status: 400, want: content},
		"two content types":           {body: good, lines: []string{form, object}, status: 400, want: content},
		"JSON that says it is a form": {body: `{"grant_type":"password"}`, lines: []string{form}, status: 400, want: invalid},
		"a form that says it is JSON": {body: good, lines: []string{object}, status: 400, want: invalid},
		"grant_type twice":            {body: good + "&grant_type=password", status: 400, want: grantType},
		"grant_type twice, differing": {body: good + "&grant_type=refresh_token", status: 400, want: grantType},
		"username twice":              {body: good + "&username=bob", status: 400, want: username},
		"client_id twice":             {body: good + "&client_id=phone", status: 400, want: invalid},
		"a key twice in JSON":         {body: `{"grant_type":"password","grant_type":"password"}`, lines: []string{object}, status: 400, want: grantType},
		"a megabyte":                  {body: good + "&more=" + strings.Repeat("x", 1<<20), status: 413, want: invalid},
		"a megabyte of JSON":          {body: `{"more":"` + strings.Repeat("x", 1<<20) + `"}`, lines: []string{object}, status: 413, want: invalid},
		"broken UTF-8":                {body: good + "&more=%ff%fe", status: 400, want: invalid},
		"broken UTF-8 in JSON":        {body: "{\"more\":\"\xff\"}", lines: []string{object}, status: 400, want: invalid},
		"broken percent encoding":     {body: good + "&more=%zz", status: 400, want: invalid},
		"an array":                    {body: `["password"]`, lines: []string{object}, status: 400, want: invalid},
		"a JSON string":               {body: `"password"`, lines: []string{object}, status: 400, want: invalid},
		"null":                        {body: `null`, lines: []string{object}, status: 400, want: invalid},
		"an object in the object":     {body: `{"grant_type":{"is":"password"}}`, lines: []string{object}, status: 400, want: invalid},
		"an object and more":          {body: `{"grant_type":"password"}{}`, lines: []string{object}, status: 400, want: invalid},
		"a GET":                       {method: http.MethodGet, query: "?" + good, status: 405, want: invalid},
		"everything in the query":     {query: "?" + good, lines: []string{form}, status: 401, want: ""},
		"query, with good Basic":      {query: "?" + good, lines: []string{form, basic}, status: 400, want: grantType},
		"the secret in the query":     {query: "?client_secret=" + shopSecret, body: byPassword("shop").Encode(), status: 401, want: noClient},
		"two Authorization headers":   {body: good, lines: []string{form, basic, basic}, status: 400, want: invalid},
		"Basic and a bearer token":    {body: good, lines: []string{form, basic, "Authorization: Bearer x"}, status: 400, want: invalid},
		"Basic and body at once":      {body: with(byPassword("shop"), "client_secret", shopSecret).Encode(), lines: []string{form, basic}, status: 400, want: invalid},
		"Basic and another client_id": {body: good, lines: []string{form, basic}, status: 401, want: noClient},
		"Basic that is not base64":    {body: good, lines: []string{form, "Authorization: Basic !"}, status: 400, want: invalid},
	} {
		method := c.method
		if method == "" {
			method = http.MethodPost
		}
		a, err := i.ask(method, "/oauth2/token"+c.query, c.body, c.lines...)
		if err != nil || a.status != c.status || a.body != c.want {
			t.Errorf("%s: %d %s, %v; want %d %s", name, a.status, a.body, err, c.status, c.want)
		}
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control: %q", name, a.header["Cache-Control"])
		}
	}
	if _, err := i.post("/oauth2/token", byPassword("phone")).tokens(); err != nil {
		t.Errorf("and then a good one: %v", err)
	}
	i.stop()
	for _, table := range []string{"families", "refresh_tokens", "tokens"} {
		if n := i.rows(table); n != 1 {
			t.Errorf("%d rows in %s; only the good request should have left one", n, table)
		}
	}
}

// A site that somebody serves on plain http by mistake gets no secret processed.
func TestPlainHTTPEarnsNothingFromAnHTTPSIssuer(t *testing.T) {
	i := newInstance(t)
	ports, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	open, behind := "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[1]
	i.configure(threeClients, oneSite+open+" {\n\ttoken_issuer\n}\n"+behind+" {\n\ttoken_issuer\n}\n",
		"\tservers :"+ports[1]+" {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t}\n")
	i.start()
	i.addAlice()
	good := i.earn(byPassword("phone"))

	const sealed = "X-Forwarded-Proto: https"
	form := "Content-Type: application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		site, method, path, body string
		lines                    []string
		status                   int
	}{
		"a token":                             {open, "POST", "/oauth2/token", byRobot().Encode(), nil, 403},
		"a token by a password":               {open, "POST", "/oauth2/token", byPassword("phone").Encode(), nil, 403},
		"a token, says the client, by https":  {open, "POST", "/oauth2/token", byRobot().Encode(), []string{form, sealed}, 403},
		"a revocation":                        {open, "POST", "/oauth2/revoke", with(byRobot(), "token", good.Access).Encode(), nil, 403},
		"userinfo":                            {open, "GET", "/userinfo", "", []string{bearer(good.Access)}, 403},
		"the keys":                            {open, "GET", "/oauth2/jwks", "", nil, 200},
		"health":                              {open, "GET", "/health", "", nil, 200},
		"health of the gates":                 {open, "GET", "/health/gate", "", nil, 200},
		"a token through a proxy by http":     {behind, "POST", "/oauth2/token", byRobot().Encode(), []string{form, "X-Forwarded-Proto: http"}, 403},
		"a token through a proxy that is mum": {behind, "POST", "/oauth2/token", byRobot().Encode(), nil, 403},
		"a token through a proxy by https":    {behind, "POST", "/oauth2/token", byRobot().Encode(), []string{form, sealed}, 200},
		"userinfo through a proxy by https":   {behind, "GET", "/userinfo", "", []string{bearer(good.Access), sealed}, 200},
	} {
		a, err := i.ask(c.method, c.site+c.path, c.body, c.lines...)
		if err != nil || a.status != c.status || c.status == 403 && a.body != "" {
			t.Errorf("%s: %d %s, %v; want %d", name, a.status, a.body, err, c.status)
		}
	}
	if _, err := i.post("/oauth2/token", byRefresh("phone", good.Refresh)).tokens(); err != nil {
		t.Errorf("the sign-in that was to be revoked: %v", err)
	}
	if !strings.Contains(i.metrics(), `gatehouse_issuer_requests_total{client="unknown",endpoint="unknown",error="forbidden",grant="none"} 7`) {
		t.Error("the seven refusals are not counted")
	}
}

// What is wrong is said in one line, with the place and the mend.
func TestConfigurationThatCannotWorkIsRefusedInOneLineAndWhatRunsGoesOn(t *testing.T) {
	i := newInstance(t)
	i.configure(threeClients, oneSite)
	i.start()
	i.stop()
	i.newerStore("newer.db")
	i.start()
	robot := i.earn(byRobot()).Access
	fine, err := os.ReadFile(i.file("Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	idle := newInstance(t) // the same files, with ports that nobody has yet
	if err := os.Rename(i.file("newer.db"), idle.file("newer.db")); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"newer.db", "not-a-folder"} {
		if err := os.Symlink(idle.file(link), i.file(link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(idle.file("not-a-folder"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		old, new string
		late     bool // found when the store is opened: validate opens nothing
		want, at string
	}{
		"an unknown word": {
			old: "grants password refresh_token", new: "grant password refresh_token",
			want: `client phone: unknown word "grant", did you mean grants?: expected `, at: "Caddyfile:23",
		},
		"a client without a grant": {
			old: "grants password refresh_token", new: "name \"The Phone\"",
			want: `client phone: grants: a client without a grant gets no token; name one of `, at: "Caddyfile:21",
		},
		"a scope no client has": {
			old: "\ttoken_gate\n", new: "\ttoken_gate {\n\t\tscope orders:wirte\n\t}\n",
			want: `token_gate: scope orders:wirte: no client has this scope, did you mean orders:read?`, at: "Caddyfile:31",
		},
		"a secret from an unset variable": {
			old: "{env.ROBOT_SECRET}", new: "{env.NOT_SET_ANYWHERE}",
			want: `client robot: secret: evaluated placeholder {env.NOT_SET_ANYWHERE} is empty`, at: "Caddyfile:17",
		},
		"a store path that cannot be": {
			old: "\t\tissuer {$SITE}\n", new: "\t\tissuer {$SITE}\n\t\tstore sqlite not-a-folder/issuer.db\n",
			want: `token_issuer: store path: not a directory`, at: "Caddyfile:8",
		},
		"a store of a newer version": {
			old: "\t\tissuer {$SITE}\n", new: "\t\tissuer {$SITE}\n\t\tstore sqlite newer.db\n", late: true,
			want: `newer.db: store is of a newer version: schema 9999, this program knows up to `, at: "Caddyfile:8",
		},
	} {
		text := strings.Replace(string(fine), c.old, c.new, 1)
		if text == string(fine) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if err := os.WriteFile(i.file("Caddyfile"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		commands := [][]string{{"reload", "--adapter", "caddyfile", "--config", "Caddyfile", "--address", i.admin}}
		if !c.late {
			commands = append(commands, []string{"validate", "--adapter", "caddyfile", "--config", "Caddyfile"})
		}
		for _, command := range commands {
			out, err := i.command("", command...)
			if err == nil {
				t.Errorf("%s: %s accepts it", name, command[0])
			}
			if said := errorsOf(out); !oneLine(said, c.want, c.at) {
				t.Errorf("%s: %s says %q, want one line with %q and %s", name, command[0], said, c.want, c.at)
			}
		}
		if said := errorsOf(idle.refusedStart(text)); !oneLine(said, c.want, c.at) {
			t.Errorf("%s: run says %q, want one line with %q and %s", name, said, c.want, c.at)
		}
		if a := i.must(http.MethodGet, "/oauth2/jwks", ""); a.status != http.StatusOK {
			t.Errorf("%s: what ran does not: %v", name, a)
		}
		if a := i.must(http.MethodGet, "/", "", bearer(robot)); a.status != http.StatusBadGateway {
			t.Errorf("%s: the gate that ran answers %d", name, a.status)
		}
	}
}

// oneLine reports whether an error was said once, with its reason and its place.
func oneLine(said []string, want, at string) bool {
	return len(said) == 1 && strings.Contains(said[0], want) && strings.Contains(said[0], ", at "+at)
}

// refusedStart starts the program with a configuration that it must refuse, and
// returns what it said.
func (i *instance) refusedStart(caddyfile string) string {
	i.Helper()
	if err := os.WriteFile(i.file("Caddyfile"), []byte(caddyfile), 0o600); err != nil {
		i.Fatal(err)
	}
	p, err := launch(program{path: i.path, caddyfile: "Caddyfile", dir: i.dir, log: i.file("log"), env: i.env})
	refusal, ended := errors.AsType[*refusal](err)
	if !ended || refusal.exit == nil {
		i.running = p
		i.Fatalf("the program runs, or ended well: %v", err)
	}
	return refusal.said
}

// errorsOf are the errors among the lines that a command printed.
func errorsOf(out string) (said []string) {
	for line := range strings.Lines(out) {
		var entry struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &entry) != nil || entry.Level == "error" {
			said = append(said, entry.Msg)
		}
	}
	return said
}

// newerStore makes a copy of the store as a later version would leave it. The
// program that owns the store must have ended.
func (i *instance) newerStore(name string) {
	i.Helper()
	text, err := os.ReadFile(i.file("data/caddy/token_issuer/issuer.db"))
	if err != nil {
		i.Fatal(err)
	}
	if err := os.WriteFile(i.file(name), text, 0o600); err != nil {
		i.Fatal(err)
	}
	db, err := sql.Open("sqlite", i.file(name))
	if err != nil {
		i.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(i.Context(), "INSERT INTO schema_versions (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		i.Fatal(err)
	}
}
