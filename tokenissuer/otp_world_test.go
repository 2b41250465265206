package tokenissuer_test

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

// post is what carries messages: a real mail server and a real webhook over
// HTTPS. Down, both fail.
type post struct {
	mu     sync.Mutex
	to     []string          // of every message, in their order
	codes  map[string]string // the last one, by address
	bodies []map[string]string
	told   []string // to whom notices went, with their texts
	down   bool
	refuse error         // of the mail server, to RCPT TO
	news   chan struct{} // closed at the next message
	mail   string
	hook   *httptest.Server
	ca     string
}

func newPost(t *testing.T) *post {
	t.Helper()
	p := &post{codes: map[string]string{}, news: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.mail = listener.Addr().String()
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &letter{post: p}, nil }))
	srv.Domain = "mail.test"
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	p.hook = httptest.NewTLSServer(http.HandlerFunc(p.text))
	p.ca = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.hook.Certificate().Raw})
	if err := os.WriteFile(p.ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.hook.Close()
		_ = listener.Close()
		_ = srv.Close()
		<-done
	})
	return p
}

// text is the webhook.
func (p *post) text(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var body map[string]string
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("Idempotency-Key") != body["id"] || r.Header.Get("Authorization") != "Bearer sms-key" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if p.down {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	p.bodies = append(p.bodies, body)
	p.arrived(body["to"], body["code"])
}

func (p *post) arrived(to, code string) {
	p.to = append(p.to, to)
	p.codes[to] = code
	close(p.news)
	p.news = make(chan struct{})
}

// notices waits until there are n, and returns them.
func (p *post) notices(t *testing.T, n int) []string {
	t.Helper()
	late := time.After(time.Minute)
	for {
		p.mu.Lock()
		told, news := slices.Clone(p.told), p.news
		p.mu.Unlock()
		if len(told) >= n {
			return told
		}
		select {
		case <-news:
		case <-late:
			t.Fatalf("%d notices, want %d", len(told), n)
		}
	}
}

// await waits until n messages were sent: some leave after the answer.
func (p *post) await(t *testing.T, n int) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		p.mu.Lock()
		sent, news := len(p.to), p.news
		p.mu.Unlock()
		if sent >= n {
			return
		}
		select {
		case <-news:
		case <-late:
			t.Fatalf("%d messages, want %d", sent, n)
		}
	}
}

func (p *post) set(down bool, refuse error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down, p.refuse = down, refuse
}

// code is the last one that an address got; sent, how many messages there were.
func (p *post) code(to string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.codes[to]
}

func (p *post) sent() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.to)
}

// letter is one conversation with the mail server.
type letter struct {
	post *post
	to   string
}

func (l *letter) Reset()                               {}
func (l *letter) Logout() error                        { return nil }
func (l *letter) Mail(string, *smtp.MailOptions) error { return nil }

func (l *letter) Rcpt(to string, _ *smtp.RcptOptions) error {
	l.post.mu.Lock()
	defer l.post.mu.Unlock()
	l.to = to
	return l.post.refuse
}

var mailed = regexp.MustCompile(`(?m)^(\d{1,6})\r?$`)

func (l *letter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	l.post.mu.Lock()
	defer l.post.mu.Unlock()
	if l.post.down {
		return &smtp.SMTPError{Code: 451, Message: "not now"}
	}
	if m := mailed.FindSubmatch(text); m != nil {
		l.post.arrived(l.to, string(m[1]))
	} else {
		l.post.told = append(l.post.told, l.to+" "+string(text))
		close(l.post.news)
		l.post.news = make(chan struct{})
	}
	return nil
}

const (
	sms      = "http://tencentciam.com/oauth2/grant-type/otp/sms"
	mail     = "http://tencentciam.com/oauth2/grant-type/otp/email"
	number   = "13612345678"
	e164     = "+8613612345678"
	mailbox  = "ann@example.com"
	asJSON   = "Content-Type: application/json"
	sendPath = "/otp/send"
)

// otp is a configuration with both kinds of codes. Its numbers get as many
// messages as tests want.
func (p *post) otp() tokenissuer.Config {
	hook := message.WebhookConfig{URL: p.hook.URL, CAFile: p.ca, Header: http.Header{"Authorization": {"Bearer sms-key"}}}
	out := message.SMTPConfig{URL: "smtp://" + p.mail, From: "Example <no-reply@example.com>"}
	grants := []string{sms, mail, "refresh_token"}
	return tokenissuer.Config{
		OTPPerNumber: []tokenissuer.Rate{{Count: 1000, Within: time.Second}, {Count: 1000, Within: time.Hour}},
		Sources: []tokenissuer.Source{
			{ID: "staff", Type: "password", Identifiers: []string{"username", "phone_number"}},
			{ID: "sms", Type: "sms_otp", Webhook: hook},
			{ID: "mail", Type: "email_otp", SMTP: out},
			{ID: "short", Type: "sms_otp", Webhook: hook, Digits: 4, Lifetime: 300 * time.Second},
			{ID: "other", Type: "sms_otp", Webhook: hook},
		},
		Clients: []tokenissuer.Client{
			{ID: "shop", Type: "web", Secrets: []string{secret}, Grants: grants, Sources: []string{"sms", "mail", "short", "staff"}, SignUp: true},
			{ID: "second", Type: "web", Secrets: []string{secret}, Grants: grants, Sources: []string{"sms"}},
			{ID: "spa", Type: "spa", Grants: grants, Sources: []string{"sms"}},
			{ID: "open", Type: "spa", Grants: grants, Sources: []string{"sms", "mail"}, OTPSendWithoutSecret: true},
			{ID: "app", Type: "mobile", Secrets: []string{secret}, Grants: grants, Sources: []string{"sms"}},
			{ID: "modern", Type: "web", Secrets: []string{secret}, Grants: grants, Sources: []string{"sms"}, Scopes: []string{"profile"}, Dialect: "oauth"},
			{ID: "legacy", Type: "web", Secrets: []string{secret}, Grants: []string{"password"}, Sources: []string{"staff"}, Dialect: "idaas"},
			{ID: "robot", Type: "m2m", Secrets: []string{secret}, Grants: []string{"client_credentials"}, Scopes: []string{"x"}},
			{ID: "off", Type: "web", Secrets: []string{secret}, Grants: grants, Sources: []string{"sms"}, Disabled: true},
		},
	}
}

// person adds an account with a number.
func (s *server) person(phone, email string) tokenissuer.User {
	s.t.Helper()
	u, err := s.issuer.AddUser(s.t.Context(), tokenissuer.NewUser{PhoneNumber: phone, Email: email})
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

// object is a JSON object of texts, but for true.
func object(pairs ...string) string {
	var b strings.Builder
	for n := 0; n < len(pairs); n += 2 {
		b.WriteString(`,"` + pairs[n] + `":`)
		if pairs[n+1] == "true" {
			b.WriteString("true")
			continue
		}
		b.WriteString(`"` + pairs[n+1] + `"`)
	}
	return "{" + b.String()[1:] + "}"
}

// ask has a code sent, and returns its otp_token.
func (s *server) ask(client string, pairs ...string) string {
	s.t.Helper()
	a := s.send(http.MethodPost, sendPath, object(pairs...), asJSON, basic(client, secret))
	if a.status != http.StatusOK {
		s.t.Fatalf("%v: %d %s", pairs, a.status, a.body)
	}
	return a.text(s.t, "otp_token")
}

// shown is the request that shows a code sent by SMS.
func shown(client, token, code string, more ...string) string {
	return form(append([]string{
		"grant_type", sms, "client_id", client, "client_secret", secret, "auth_source_id", "sms",
		"phone_number", number, "otp_token", token, "otp", code,
	}, more...)...)
}

// wrong is a code that is not the one.
func wrong(code string) string {
	if strings.HasSuffix(code, "0") {
		return code[:len(code)-1] + "1"
	}
	return code[:len(code)-1] + "0"
}
