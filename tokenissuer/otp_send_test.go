package tokenissuer_test

import (
	"database/sql"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

func TestOTPSendAnswer(t *testing.T) {
	p := newPost(t)
	c := p.otp()
	odd := "a/b:c+d e%f"
	c.Clients = append(c.Clients, tokenissuer.Client{ID: "odd", Type: "web", Secrets: []string{odd}, Grants: []string{sms}, Sources: []string{"sms"}})
	s := start(t, c)
	body := object("phone_number", number, "auth_source_id", "sms")
	encoded := base64.StdEncoding.EncodeToString([]byte("odd:" + url.QueryEscape(odd)))
	for name, r := range map[string]struct {
		body    string
		headers []string
	}{
		"JSON, Basic":                    {body, []string{asJSON, basic("shop", secret)}},
		"JSON, Basic urlencoded":         {body, []string{asJSON, "Authorization: Basic " + encoded}},
		"JSON, credentials in the body":  {object("client_id", "shop", "client_secret", secret, "phone_number", number, "auth_source_id", "sms"), []string{asJSON}},
		"form, credentials in the body":  {form("client_id", "shop", "client_secret", secret, "phone_number", number, "auth_source_id", "sms"), nil},
		"form, Basic":                    {form("usage", "login", "phone_number", number, "auth_source_id", "sms"), []string{basic("shop", secret)}},
		"an integer for a number":        {`{"phone_number":` + number + `,"auth_source_id":"sms"}`, []string{asJSON, basic("shop", secret)}},
		"sign-up":                        {object("usage", "signup", "phone_number", number), []string{asJSON, basic("shop", secret)}},
		"an m2m client, for a new value": {object("usage", "update_userinfo", "email", "new@example.com"), []string{asJSON, basic("robot", secret)}},
	} {
		t.Run(name, func(t *testing.T) {
			before := p.sent()
			a := s.send(http.MethodPost, sendPath, r.body, r.headers...)
			if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %s %v", a.status, a.body, a.header)
			}
			if keys(t, a.body) != "otp_token" || len(a.text(t, "otp_token")) != 64 || p.sent() != before+1 {
				t.Errorf("%s, %d messages", a.body, p.sent()-before)
			}
		})
	}
	t.Run("what the webhook is told", func(t *testing.T) {
		s.ask("shop", "phone_number", number, "auth_source_id", "short")
		p.mu.Lock()
		defer p.mu.Unlock()
		m := p.bodies[len(p.bodies)-1]
		if m["to"] != e164 || m["usage"] != "login" || m["client_id"] != "shop" || m["locale"] != "en" || !strings.Contains(m["text"], m["code"]) || !strings.Contains(m["text"], "auth.example.com") {
			t.Errorf("%v", m)
		}
	})
}

// TestOTPSendRows is section 2.1.1 with the additions of 4.3.
func TestOTPSendRows(t *testing.T) {
	p := newPost(t)
	s := start(t, p.otp())
	s.person(number, mailbox)
	ask := func(pairs ...string) row {
		return row{form: object(pairs...), headers: []string{asJSON, basic("shop", secret)}, status: 400}
	}
	named := func(name, body string, r row) row { r.name, r.body = name, body; return r }
	for _, r := range []row{
		named("phone format", `{"error":"malformed_phone_number"}`, ask("phone_number", "1361234567", "auth_source_id", "sms")),
		named("phone format: letters", `{"error":"malformed_phone_number"}`, ask("phone_number", "nobody", "auth_source_id", "sms")),
		named("phone format: too short", `{"error":"malformed_phone_number"}`, ask("usage", "signup", "phone_number", "12345")),
		named("email format", `{"error":"malformed_email"}`, ask("email", "ann@", "auth_source_id", "mail")),
		named("email format: two addresses", `{"error":"malformed_email"}`, ask("usage", "reset_password", "email", "a@x.example,b@x.example")),
		named("email format: a line break", `{"error":"malformed_email"}`, ask("email", `a@x.example\r\nBcc: b@x.example`, "auth_source_id", "mail")),
		named("email already signed up", `{"error":"email_is_used"}`, ask("usage", "signup", "email", "ANN@example.com")),
		named("phone already signed up", `{"error":"phone_number_is_used"}`, ask("usage", "signup", "phone_number", "+86 13612345678")),
		named("email is another's", `{"error":"email_is_used"}`, ask("usage", "update_userinfo", "email", mailbox)),
		named("phone is another's", `{"error":"phone_number_is_used"}`, ask("usage", "update_userinfo", "phone_number", number)),
		named("neither", invalidRequest, ask("auth_source_id", "sms")),
		named("both", invalidRequest, ask("phone_number", number, "email", mailbox, "auth_source_id", "sms")),
		named("usage unknown", invalidRequest, ask("usage", "logout", "phone_number", number, "auth_source_id", "sms")),
		named("login without a source", parameterMissing("auth_source_id"), ask("phone_number", number)),
		named("login with a foreign source", notYours, ask("phone_number", number, "auth_source_id", "other")),
		named("login with a source of the other kind", notYours, ask("email", mailbox, "auth_source_id", "sms")),
		named("login with a source of passwords", notYours, ask("phone_number", number, "auth_source_id", "staff")),
		named("repeated parameter", parameterMissing("phone_number"), row{form: `{"phone_number":"1","phone_number":"2"}`, headers: []string{asJSON, basic("shop", secret)}, status: 400}),
		{name: "wrong secret", form: object("phone_number", number), headers: []string{asJSON, basic("shop", "wrong")}, status: 401, body: invalidClient, basic: true},
		{name: "wrong secret in the body", form: object("client_id", "shop", "client_secret", "wrong"), headers: []string{asJSON}, status: 401, body: invalidClient},
		{name: "unknown client", form: object("client_id", "nobody", "client_secret", secret), headers: []string{asJSON}, status: 401, body: invalidClient},
		{name: "disabled client", form: object("phone_number", number), headers: []string{asJSON, basic("off", secret)}, status: 401, body: invalidClient, basic: true},
		{name: "no client", form: object("phone_number", number), headers: []string{asJSON}, status: 401, bare: true},
		{name: "a web client without its secret", form: object("client_id", "shop", "phone_number", number), headers: []string{asJSON}, status: 401, body: invalidClient},
		{name: "a spa without leave", form: object("client_id", "spa", "phone_number", number, "auth_source_id", "sms"), headers: []string{asJSON}, status: 401, body: invalidClient},
		{name: "a client of the other API", form: object("phone_number", number), headers: []string{asJSON, basic("legacy", secret)}, status: 401, body: invalidClient, basic: true},
	} {
		t.Run(r.name, func(t *testing.T) { s.check(t, sendPath, r) })
	}
	t.Run("GET", func(t *testing.T) {
		if a := s.send(http.MethodGet, sendPath, ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
			t.Errorf("%d %v", a.status, a.header)
		}
	})
	if p.sent() != 0 {
		t.Errorf("%d messages were sent", p.sent())
	}
}

// What goes wrong on the way is 503, and leaves nothing behind: with the server
// up again the same number gets its code at once.
func TestFailedMessageLeavesNothing(t *testing.T) {
	p := newPost(t)
	c := p.otp()
	c.OTPPerNumber = nil // 1 in 30s
	path := filepath.Join(t.TempDir(), "issuer.db")
	s := startAt(t, path, c)
	for kind, body := range map[string]string{
		"webhook":     object("phone_number", number, "auth_source_id", "sms"),
		"mail server": object("email", mailbox, "auth_source_id", "mail"),
	} {
		t.Run(kind, func(t *testing.T) {
			r := row{form: body, headers: []string{asJSON, basic("shop", secret)}, status: 503, body: failed}
			p.set(true, nil)
			s.check(t, sendPath, r)
			s.check(t, sendPath, r)
			p.set(false, nil)
			a := s.send(http.MethodPost, sendPath, body, r.headers...)
			if a.status != http.StatusOK {
				t.Fatalf("%d %s", a.status, a.body)
			}
		})
	}
	t.Run("the mail server knows no such mailbox", func(t *testing.T) {
		p.set(false, &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"})
		s.check(t, sendPath, row{
			form: object("email", "gone@example.com", "auth_source_id", "mail"), headers: []string{asJSON, basic("shop", secret)},
			status: 400, body: `{"error":"invalid_email"}`,
		})
	})
	if p.sent() != 2 {
		t.Errorf("%d messages were sent", p.sent())
	}
	s.stop()
	if stored := codesIn(t, path); stored != 2 {
		t.Errorf("%d codes are stored", stored)
	}
}

// codesIn counts the one-time codes of a database that nobody has open.
func codesIn(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM one_time_codes").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A server that hangs is given up, and the number keeps what it paid: nobody
// knows whether a message is on its way.
func TestHangingServerIsGivenUp(t *testing.T) {
	p := newPost(t)
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(func() { close(hang); slow.Close() })
	c := p.otp()
	c.OTPPerNumber = nil
	c.Sources[1].Webhook = message.WebhookConfig{URL: slow.URL, Timeout: 500 * time.Millisecond}
	s := start(t, c)
	r := row{form: object("phone_number", number, "auth_source_id", "sms"), headers: []string{asJSON, basic("shop", secret)}, status: 503, body: failed}
	s.check(t, sendPath, r)
	r.status, r.body = 400, exceeded
	s.check(t, sendPath, r)
}

func TestOneMessageANumberInHalfAMinute(t *testing.T) {
	p := newPost(t)
	c := p.otp()
	c.OTPPerNumber = nil
	s := start(t, c)
	s.ask("shop", "phone_number", number, "auth_source_id", "sms")
	for name, again := range map[string][]string{
		"the same":       {"shop", "phone_number", number, "auth_source_id", "sms"},
		"spelled anew":   {"shop", "phone_number", "+86 136 1234 5678", "auth_source_id", "sms"},
		"another source": {"shop", "phone_number", number, "auth_source_id", "short"},
		"another client": {"second", "phone_number", number, "auth_source_id", "sms"},
		"another usage":  {"shop", "phone_number", number, "usage", "signup"},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.send(http.MethodPost, sendPath, object(again[1:]...), asJSON, basic(again[0], secret))
			wait, err := strconv.Atoi(a.header.Get("Retry-After"))
			if a.status != 400 || a.body != exceeded || err != nil || wait < 1 || wait > 30 {
				t.Errorf("%d %s, Retry-After %q", a.status, a.body, a.header.Get("Retry-After"))
			}
		})
	}
	s.ask("shop", "email", mailbox, "auth_source_id", "mail")
	if a := s.send(http.MethodPost, sendPath, object("email", mailbox, "auth_source_id", "mail"), asJSON, basic("shop", secret)); a.status != 400 ||
		a.body != `{"error":"email_rate_limit_exceeded","error_description":"Email rate limit exceeded for same email address"}` {
		t.Errorf("%d %s", a.status, a.body)
	}
	if p.sent() != 2 {
		t.Errorf("%d messages", p.sent())
	}
}

func TestMessagesOfAClientAreBounded(t *testing.T) {
	p := newPost(t)
	c := p.otp()
	c.OTPPerClient = tokenissuer.Rate{Count: 3, Within: time.Hour}
	s := start(t, c)
	to := func(n int) string { return "1370000000" + strconv.Itoa(n) }
	for n := range 3 {
		s.ask("shop", "phone_number", to(n), "auth_source_id", "sms")
	}
	over := row{form: object("phone_number", to(4), "auth_source_id", "sms"), headers: []string{asJSON, basic("shop", secret)}, status: 400, body: `{"error":"insufficient_sms_quota"}`}
	s.check(t, sendPath, over)
	over.form, over.body = object("email", mailbox, "auth_source_id", "mail"), `{"error":"insufficient_email_quota"}`
	s.check(t, sendPath, over)
	s.ask("second", "phone_number", to(4), "auth_source_id", "sms")
}

// Whoever shows no secret is held to account by address.
func TestMessagesWithoutASecretAreBoundedByAddress(t *testing.T) {
	p := newPost(t)
	s := start(t, p.otp())
	ask := func(n int) answer {
		return s.send(http.MethodPost, sendPath, object("client_id", "open", "phone_number", "137000000"+strconv.Itoa(10+n), "auth_source_id", "sms"), asJSON)
	}
	for n := range 30 {
		if a := ask(n); a.status != http.StatusOK {
			t.Fatalf("message %d: %d %s", n, a.status, a.body)
		}
	}
	if a := ask(30); a.status != http.StatusTooManyRequests || a.body != `{"error":"temporarily_unavailable"}` || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s %v", a.status, a.body, a.header)
	}
	s.ask("shop", "phone_number", "13700000099", "auth_source_id", "sms")
}

// A reset for an address that nobody has looks like any other, also while the
// mail server is down.
func TestResetTellsNobodyWhoHasAnAccount(t *testing.T) {
	p := newPost(t)
	c := p.otp()
	s := &server{t: t}
	reports := make(chan error, 10)
	s.open(t, filepath.Join(t.TempDir(), "issuer.db"), c, func(err error) { reports <- err })
	s.person("", mailbox)
	for _, r := range []struct {
		email string
		down  bool
	}{{mailbox, false}, {"nobody@example.com", false}, {mailbox, true}, {"nobody@example.com", true}} {
		p.set(r.down, nil)
		if token := s.ask("shop", "usage", "reset_password", "email", r.email); len(token) != 64 {
			t.Errorf("%+v: otp_token %q", r, token)
		}
		switch {
		case r.email != mailbox:
		case !r.down:
			p.await(t, 1) // it is sent after the answer, while the mail server is there
		default:
			if err := <-reports; !strings.Contains(err.Error(), "451") {
				t.Error(err)
			}
		}
	}
	s.stop() // waits for what is sent after the answer
	if p.sent() != 1 || p.code(mailbox) == "" {
		t.Errorf("%d messages", p.sent())
	}
}

// TestNoEventHoldsACode is K04 for one-time codes.
func TestNoEventHoldsACode(t *testing.T) {
	p := newPost(t)
	s := start(t, p.otp())
	s.person(number, "")
	token := s.ask("shop", "phone_number", number, "auth_source_id", "sms")
	code := p.code(e164)
	s.token(shown("shop", token, wrong(code)))
	s.good(shown("shop", token, code))
	p.set(true, nil)
	s.send(http.MethodPost, sendPath, object("phone_number", number, "auth_source_id", "sms"), asJSON, basic("shop", secret))
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, e := range s.events {
		text := strings.Join([]string{e.Endpoint, e.Grant, e.Client, e.Account, e.Scope, e.Error, e.Reason}, " ")
		if e.Cause != nil {
			text += e.Cause.Error()
		}
		for _, hidden := range []string{code, token, number, "sms-key", secret} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s shows %s", text, hidden)
			}
		}
	}
	if e := s.events[1]; e.Grant != sms || e.Reason != "wrong_otp" || e.Client != "shop" {
		t.Errorf("%+v", e)
	}
}
