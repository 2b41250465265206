package tokenissuer_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// odd is a secret that the two readings of Basic tell apart: as it is, and
// form-urlencoded (RFC 6749 §2.3.1).
const odd = "p@ss:w%rd+&= 0123456789"

// documented is an issuer with a client for each of the documents, and people in
// every state.
type documented struct {
	*server
	post    *post
	browser *browser
}

func newDocumented(t *testing.T) documented {
	t.Helper()
	p := newPost(t)
	c := p.peopled()
	all := []string{"password", "client_credentials", "authorization_code", "refresh_token", sms, mail}
	c.Sources = append(c.Sources, tokenissuer.Source{ID: "aged", Type: "password", Identifiers: []string{"username"}, PasswordMaxAge: time.Nanosecond, LockoutFailures: 100})
	c.Sources[0].LockoutFailures = 100 // rows are repeated in every spelling
	shop := &c.Clients[0]
	shop.Secrets, shop.Grants, shop.Scopes = append(shop.Secrets, odd), all, []string{"openid", "identity_proofing"}
	c.Clients = append(c.Clients,
		tokenissuer.Client{ID: "rival", Type: "web", Secrets: []string{odd}, Grants: []string{"authorization_code"}, RedirectURIs: []string{callback}, Sources: []string{"staff"}},
		tokenissuer.Client{ID: "phone", Type: "mobile", Secrets: []string{odd}, Grants: []string{"password"}, Sources: []string{"staff"}},
		tokenissuer.Client{ID: "idaas", Type: "web", Dialect: "idaas", Secrets: []string{odd}, Grants: []string{"password", "refresh_token"}, Sources: []string{"staff"}},
		tokenissuer.Client{ID: "strict", Type: "web", Dialect: "idaas", Secrets: []string{odd}, Grants: []string{"password"}, Sources: []string{"aged"}})
	d := documented{start(t, c), p, nil}
	for n, name := range []string{"alice", "frozen", "locked"} {
		_, err := d.issuer.AddUser(t.Context(), tokenissuer.NewUser{Username: name, Email: name + "@example.com", PhoneNumber: fmt.Sprint("1361234567", n), Password: password})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, state := range []store.AccountState{store.Frozen, store.Locked} {
		if _, err := d.issuer.SetUserState(t.Context(), string(state), state, ""); err != nil {
			t.Fatal(err)
		}
	}
	d.browser = d.server.browser()
	d.browser.follow(d.browser.submit(d.browser.click(d.browser.follow(d.browser.get(toPortal)), "source=staff"), "username", "alice", "password", password))
	return d
}

// code is an authorization code of shop's.
func (d documented) code() string {
	d.t.Helper()
	return d.browser.signedIn(toPortal, "").Get("code")
}

// otp has a code sent to one of the three people, or to nobody.
func (d documented) otp(to string) (token, code string) {
	d.t.Helper()
	a := d.send(http.MethodPost, sendPath, object("phone_number", to, "auth_source_id", "sms"), asJSON, basic("shop", secret))
	return a.text(d.t, "otp_token"), d.post.code("+86" + to)
}

// spelling is a way to write one request: how the client shows its secret, and
// the parameters.
type spelling struct {
	name  string
	basic bool
	send  func(s *server, path, id, pass string, pairs []string) answer
}

func credentials(id, pass string, pairs []string) []string {
	var all []string
	if id != "" {
		all = append(all, "client_id", id)
	}
	if pass != "" {
		all = append(all, "client_secret", pass)
	}
	return append(all, pairs...)
}

// encoded is Basic with every byte form-urlencoded: whoever reads it as it stands
// finds no client of that name.
func encoded(id, pass string) string {
	all := func(s string) (out string) {
		for _, b := range []byte(s) {
			out += fmt.Sprintf("%%%02X", b)
		}
		return out
	}
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(all(id)+":"+all(pass)))
}

var (
	inForm = spelling{"form", false, func(s *server, path, id, pass string, pairs []string) answer {
		return s.send(http.MethodPost, path, form(credentials(id, pass, pairs)...))
	}}
	inJSON = spelling{"JSON", false, func(s *server, path, id, pass string, pairs []string) answer {
		return s.send(http.MethodPost, path, object(credentials(id, pass, pairs)...), asJSON)
	}}
	byBasic = spelling{"form, Basic", true, func(s *server, path, id, pass string, pairs []string) answer {
		return s.send(http.MethodPost, path, form(pairs...), encoded(id, pass))
	}}
	byBasicJSON = spelling{"JSON, Basic", true, func(s *server, path, id, pass string, pairs []string) answer {
		return s.send(http.MethodPost, path, object(pairs...), asJSON, basic(id, pass))
	}}
	byRawBasic = spelling{"form, Basic as it is", true, func(s *server, path, id, pass string, pairs []string) answer {
		return s.send(http.MethodPost, path, form(pairs...), raw(id, pass))
	}}
)

// spellings are those that the API at a path reads.
func spellings(path string) []spelling {
	if path == idaasToken {
		return []spelling{inForm, byBasic, byRawBasic}
	}
	return []spelling{inForm, inJSON, byBasic, byBasicJSON}
}

// said is an error body.
func said(code string, more ...string) string {
	body := `{"error":"` + code + `"`
	for n, name := range []string{"error_description", "error_uri"} {
		if n < len(more) {
			body += `,"` + name + `":"` + more[n] + `"`
		}
	}
	return body + "}"
}

// described checks the head of an answer as the documents show it.
func described(t *testing.T, a answer, bare bool) {
	t.Helper()
	media := jsonUTF8
	if bare {
		media = ""
	}
	for name, want := range map[string]string{"Content-Type": media, "Cache-Control": "no-store", "Pragma": "no-cache"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	if bare != (a.header.Get("Content-Length") == "0") {
		t.Errorf("Content-Length %q", a.header.Get("Content-Length"))
	}
}

// challenged says whether an answer asks for Basic, which it does of those alone
// who used it: a browser would show a password box to everybody else.
func challenged(a answer) bool {
	return strings.HasPrefix(a.header.Get("WWW-Authenticate"), `Basic realm="`)
}
