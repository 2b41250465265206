package caddymodule

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// What clients put into a query, tokens among it, is in no line about a request that
// was refused or failed, whoever writes the line.
func TestRefusalsAndFailuresLeaveNoQueryInTheLog(t *testing.T) {
	const hidden = "eyJhbGciOiJub25lIn0.of-the-query"
	asks := func(w *world, path string, lines ...string) answer {
		return w.get(path+"access_token="+hidden, append(lines, "Cookie: s="+hidden)...)
	}
	w := newWorld(t)
	a := newAbroad(w)
	a.down.Store(true)
	site := strings.Replace(a.site(""), "token_gate {", "token_gate @asked {\nexcept /open", 1)
	site = strings.Replace(site, "token_gate", "@asked expression int({query.n} + \"1\") > 0\ntoken_gate", 1)
	w.load("", site)
	for path, c := range map[string]struct {
		lines  []string
		status int
	}{
		"/?":         {nil, http.StatusUnauthorized},
		"/x?n=2&":    {[]string{a.bearer(t, a.key)}, http.StatusServiceUnavailable},
		"/y?":        {[]string{"Authorization: Bearer x", "Authorization: Bearer y"}, http.StatusBadRequest},
		"/z?n=none&": {nil, http.StatusInternalServerError},
	} {
		if got := asks(w, path, c.lines...); got.status != c.status || got.body != "" {
			t.Errorf("%s: %v", path, got)
		}
	}
	for line := range strings.Lines(w.logged()) {
		if strings.Contains(line, hidden) || strings.Contains(line, `"http.log.error"`) {
			t.Errorf("%s", line)
		}
	}
	if e := w.events("request not served"); len(e) != 1 || e[0]["level"] != "error" || e[0]["path"] != "/z" || text(e[0]["at"]) == "" {
		t.Errorf("%v", e)
	}
}

// Who has said how errors are answered is obeyed, wherever it stands.
func TestErrorsAreHandledWhereTheConfigurationSaysSo(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, oneSite+"\nhttp://other.example.com {\nhandle_errors {\nrespond \"other page\"\n}\n}")
	if a := w.get("/"); a.status != http.StatusUnauthorized || a.body != "" || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("of another site: %v", a)
	}
	w.load(oneIssuer, strings.Replace(oneSite, "token_gate", "token_gate\nhandle_errors {\nrespond \"{err.status_code} page\" 418\n}", 1))
	if a := w.get("/"); a.status != http.StatusTeapot || a.body != "401 page" || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("of the site: %v", a)
	}
	inner := strings.Replace(string(w.caddyfile(oneIssuer, oneSite)), `"handler":"subroute"`,
		`"handler":"subroute","errors":{"routes":[{"handle":[{"handler":"static_response","status_code":418,"body":"inner page"}]}]}`, 1)
	if !json.Valid([]byte(inner)) {
		t.Fatal(inner)
	}
	if err := caddy.Load([]byte(inner), true); err != nil {
		t.Fatal(err)
	}
	if a := w.get("/"); a.status != http.StatusTeapot || a.body != "inner page" {
		t.Errorf("of a subroute: %v", a)
	}
}

// The filter that the documentation shows for what fails behind the gate.
func TestShownFilterKeepsTokensOutOfCaddysOwnLine(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer+`
	log errors {
		include http.log.error
		output file $DIR/errors
		format filter {
			wrap json
			request>uri query {
				replace token REDACTED
				replace access_token REDACTED
			}
		}
	}`, oneSite)
	if a := w.get("/orders?a=b&access_token=hidden&token=hidden", "Authorization: Bearer "+w.token()); a.status != http.StatusBadGateway {
		t.Fatalf("there is no backend: %v", a)
	}
	text, err := os.ReadFile(filepath.Join(w.dir, "errors"))
	if err != nil || !strings.Contains(string(text), "/orders?") || !strings.Contains(string(text), "access_token=REDACTED") || strings.Contains(string(text), "hidden") {
		t.Errorf("%s %v", text, err)
	}
}
