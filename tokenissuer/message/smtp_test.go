package message_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

const from = "Example <no-reply@example.com>"

func newSMTP(t testing.TB, c message.SMTPConfig) *message.SMTP {
	t.Helper()
	if c.From == "" {
		c.From = from
	}
	s, err := message.NewSMTP(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// failed returns the error of sending that has to fail at step.
func failed(t *testing.T, err error, step string) *message.Error {
	t.Helper()
	e, ok := errors.AsType[*message.Error](err)
	if !ok {
		t.Fatalf("sent, or not a message.Error: %v", err)
	}
	if e.Step != step {
		t.Fatalf("failed at %q, want %q: %v", e.Step, step, err)
	}
	return e
}

func TestMailArrives(t *testing.T) {
	ca := newAuthority(t)
	user := "robot:" + password + "@"
	for _, c := range []struct {
		name, scheme, user, mechanism string
		tls, implicit                 bool
	}{
		{name: "STARTTLS and PLAIN", scheme: "smtp", user: user, mechanism: "PLAIN", tls: true},
		{name: "STARTTLS and LOGIN", scheme: "smtp", user: user, mechanism: "LOGIN", tls: true},
		{name: "STARTTLS alone", scheme: "smtp", tls: true},
		{name: "implicit TLS and PLAIN", scheme: "smtps", user: user, mechanism: "PLAIN", tls: true, implicit: true},
		{name: "encoded password", scheme: "smtps", user: "robot:" + url.QueryEscape(password) + "@", mechanism: "PLAIN", tls: true, implicit: true},
		{name: "plain text on loopback", scheme: "smtp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			office := &postOffice{mechanism: c.mechanism}
			config := message.SMTPConfig{}
			if c.tls {
				config.CAFile = ca.file
				config.URL = c.scheme + "://" + c.user + office.open(t, ca.serves(t, "127.0.0.1"), c.implicit)
			} else {
				config.URL = c.scheme + "://" + office.open(t, nil, false)
			}
			sender := newSMTP(t, config)
			if err := sender.Send(t.Context(), mailed("ann@example.org")); err != nil {
				t.Fatal(err)
			}
			letters := office.got()
			if len(letters) != 1 {
				t.Fatalf("%d letters", len(letters))
			}
			got := letters[0]
			if got.from != "no-reply@example.com" || got.to != "ann@example.org" || (got.user == "robot") != (c.mechanism != "") {
				t.Errorf("envelope from %q to %q by %q", got.from, got.to, got.user)
			}
			readLetter(t, got.text)
		})
	}
}

// readLetter reads a letter as a mail program does.
func readLetter(t *testing.T, text string) {
	t.Helper()
	letter, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"From": `"Example" <no-reply@example.com>`, "To": "<ann@example.org>", "Subject": "Your code to sign in to Example",
		"Message-Id": "<m-1@example.com>", "Auto-Submitted": "auto-generated", "Date": "Sun, 01 Nov 2026 12:00:00 +0000", "X-Mailer": "",
	} {
		if got := letter.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	kind, params, err := mime.ParseMediaType(letter.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("Content-Type %q: %v", kind, err)
	}
	parts := multipart.NewReader(letter.Body, params["boundary"])
	for _, want := range []string{"text/plain", "text/html"} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		if got := part.Header.Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("part %q, want %s", got, want)
		}
		if !strings.Contains(string(body), code) {
			t.Errorf("%s has no code: %s", want, body)
		}
	}
	for _, link := range []string{"http:", "https:", "mailto:", "href", "src="} {
		if strings.Contains(text, link) {
			t.Errorf("%q in a mail that has no link", link)
		}
	}
}

func TestPasswordIsNotSentInPlainText(t *testing.T) {
	// Somebody on the way takes STARTTLS out of the server's answer.
	office := &postOffice{mechanism: "PLAIN"}
	address := office.open(t, nil, false)
	sender := newSMTP(t, message.SMTPConfig{URL: "smtp://robot:" + password + "@" + address})
	failed(t, sender.Send(t.Context(), mailed("ann@example.org")), "STARTTLS")
	if office.authentication > 0 || len(office.got()) > 0 {
		t.Error("the server got a password or a letter")
	}
}

func TestCertificateOfAnotherIsRefused(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	for _, c := range []struct {
		name, caFile string
		by           *authority
		host         string
	}{
		{"another host's", ca.file, ca, "mail.example"},
		{"another authority's", ca.file, other, "127.0.0.1"},
		{"nobody's, for the system", "", ca, "127.0.0.1"},
	} {
		for scheme, step := range map[string]string{"smtp": "STARTTLS", "smtps": "TLS"} {
			t.Run(c.name+" "+scheme, func(t *testing.T) {
				office := &postOffice{mechanism: "PLAIN"}
				address := office.open(t, c.by.serves(t, c.host), scheme == "smtps")
				sender := newSMTP(t, message.SMTPConfig{URL: scheme + "://robot:" + password + "@" + address, CAFile: c.caFile})
				e := failed(t, sender.Send(t.Context(), mailed("ann@example.org")), step)
				if !strings.Contains(e.Error(), "certificate") || e.Refused {
					t.Error(e)
				}
				if office.authentication > 0 || len(office.got()) > 0 {
					t.Error("the server got a password or a letter")
				}
			})
		}
	}
}

func TestHangingServerEndsByTheTimeout(t *testing.T) {
	for _, c := range []struct {
		step   string
		script func(line string) string
	}{
		{"greeting", func(string) string { return "" }},
		{"EHLO", func(line string) string {
			if line == "" {
				return "220 mail.test"
			}
			return ""
		}},
		{"RCPT TO", func(line string) string {
			switch {
			case line == "":
				return "220 mail.test"
			case strings.HasPrefix(line, "RCPT"):
				return ""
			}
			return "250 ok"
		}},
	} {
		t.Run(c.step, func(t *testing.T) {
			sender := newSMTP(t, message.SMTPConfig{URL: "smtp://" + scripted(t, nil, c.script), Timeout: 150 * time.Millisecond})
			start := time.Now()
			e := failed(t, sender.Send(t.Context(), mailed("ann@example.org")), c.step)
			if !errors.Is(e, context.DeadlineExceeded) || e.Refused {
				t.Error(e)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestGoneCallerEndsTheConversation(t *testing.T) {
	reached := make(chan struct{}, 1)
	address := scripted(t, nil, func(line string) string {
		if line == "" {
			return "220 mail.test"
		}
		reached <- struct{}{}
		return ""
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	start := time.Now()
	e := failed(t, newSMTP(t, message.SMTPConfig{URL: "smtp://" + address}).Send(ctx, mailed("ann@example.org")), "EHLO")
	if took := time.Since(start); !errors.Is(e, context.Canceled) || took > message.Timeout/2 {
		t.Errorf("after %v: %v", took, e)
	}
}

func TestHangingServerCostsAFewConnections(t *testing.T) {
	const bound = 16
	reached := make(chan struct{}, bound)
	address := scripted(t, nil, func(string) string { reached <- struct{}{}; return "" })
	sender := newSMTP(t, message.SMTPConfig{URL: "smtp://" + address})
	ctx, cancel := context.WithCancel(t.Context())
	var sends sync.WaitGroup
	for range bound {
		sends.Go(func() { _ = sender.Send(ctx, mailed("ann@example.org")) })
	}
	for range bound {
		<-reached
	}
	impatient, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	e := failed(t, sender.Send(impatient, mailed("ann@example.org")), "wait for one of 16 connections")
	if !errors.Is(e, context.DeadlineExceeded) {
		t.Error(e)
	}
	cancel()
	sends.Wait()
}

func TestDeliveredMessageIsSentWhateverQUITSays(t *testing.T) {
	for name, quit := range map[string]string{"refused": "500 no", "hangs": ""} {
		t.Run(name, func(t *testing.T) {
			inData := false
			address := scripted(t, nil, func(line string) string {
				switch {
				case line == "" && !inData:
					return "220 mail.test"
				case line == "DATA":
					inData = true
					return "354 go on"
				case inData && line != ".":
					return ""
				case line == "QUIT":
					return quit
				}
				inData = false
				return "250 ok"
			})
			sender := newSMTP(t, message.SMTPConfig{URL: "smtp://" + address, Timeout: 5 * time.Second})
			start := time.Now()
			if err := sender.Send(t.Context(), mailed("ann@example.org")); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestRefusedAddressIsToldFromFailure(t *testing.T) {
	reply := func(code int, text string, enhanced ...int) error {
		e := &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: text}
		if len(enhanced) == 3 {
			e.EnhancedCode = smtp.EnhancedCode(enhanced)
		}
		return e
	}
	for _, c := range []struct {
		name       string
		rcpt, data error
		refused    bool
	}{
		{name: "550 unknown", rcpt: reply(550, "no such user"), refused: true},
		{name: "550 5.1.1", rcpt: reply(550, "no such user", 5, 1, 1), refused: true},
		{name: "550 5.2.1 disabled", rcpt: reply(550, "disabled", 5, 2, 1), refused: true},
		{name: "550 5.4.1 Exchange", rcpt: reply(550, "Access denied", 5, 4, 1), refused: true},
		{name: "551 not local", rcpt: reply(551, "not here"), refused: true},
		{name: "553 name not allowed", rcpt: reply(553, "bad name"), refused: true},
		{name: "556 no mail here", rcpt: reply(556, "null MX", 5, 1, 10), refused: true},
		{name: "550 5.1.1 after the text", data: reply(550, "no such user", 5, 1, 1), refused: true},
		{name: "550 after the text", data: reply(550, "looks like spam")},
		{name: "554 relay denied", rcpt: reply(554, "relay denied", 5, 7, 1)},
		{name: "550 5.7.1 policy", rcpt: reply(550, "we do not like you", 5, 7, 1)},
		{name: "550 5.1.8 bad sender", rcpt: reply(550, "your domain has no mail", 5, 1, 8)},
		{name: "552 full", rcpt: reply(552, "mailbox full", 5, 2, 2)},
		{name: "450 greylisted", rcpt: reply(450, "come back later", 4, 2, 0)},
		{name: "450 with a final enhanced code", rcpt: reply(450, "no such user", 5, 1, 1)},
		{name: "451 4.1.1", rcpt: reply(451, "cannot verify", 4, 1, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			office := &postOffice{refuseRcpt: c.rcpt, refuseData: c.data}
			sender := newSMTP(t, message.SMTPConfig{URL: "smtp://" + office.open(t, nil, false)})
			step := "RCPT TO"
			if c.data != nil {
				step = "message"
			}
			e := failed(t, sender.Send(t.Context(), mailed("ann@example.org")), step)
			if e.Refused != c.refused {
				t.Errorf("refused %v, want %v: %v", e.Refused, c.refused, e)
			}
			if !strings.Contains(e.Error(), c.name[:3]) {
				t.Errorf("the code is not in %q", e)
			}
		})
	}
}

func TestAddressIsOneBareAddress(t *testing.T) {
	office := &postOffice{}
	sender := newSMTP(t, message.SMTPConfig{URL: "smtp://" + office.open(t, nil, false)})
	for _, to := range []string{
		"", "ann", "@example.org", "ann@", "Ann <ann@example.org>", "ann@example.org (Ann)", "ann@example.org(Ann)", `"ann"@example.org`, "<ann@example.org>", `"a b"@example.org`,
		"ann@example.org, eve@example.org", "ann@example.org\r\nBcc: eve@example.org", "ann@example.org\r\nRCPT TO:<eve@example.org>",
		"ann@example.org> NOTIFY=NEVER", "ann@[127.0.0.1]", "ann@example.org\x00", " ann@example.org",
	} {
		if e := failed(t, sender.Send(t.Context(), mailed(to)), "address"); !e.Refused {
			t.Errorf("%q: %v", to, e)
		}
	}
	if office.conversations > 0 {
		t.Error("an address that is none reached the server")
	}
}

func TestAddressOutsideASCIINeedsAServerForIt(t *testing.T) {
	for _, able := range []bool{true, false} {
		office := &postOffice{takesUTF8: able}
		sender := newSMTP(t, message.SMTPConfig{URL: "smtp://" + office.open(t, nil, false)})
		err := sender.Send(t.Context(), mailed("用户@example.org"))
		if !able {
			if e := failed(t, err, "RCPT TO"); !e.Refused {
				t.Error(e)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := sender.Send(t.Context(), mailed("ann@example.org")); err != nil {
			t.Fatal(err)
		}
		if got := office.got(); !got[0].utf8 || got[1].utf8 {
			t.Errorf("SMTPUTF8 asked for: %v, and for an ASCII address %v", got[0].utf8, got[1].utf8)
		}
	}
}

func TestNoValueBecomesAHeader(t *testing.T) {
	const evil = "Ex\r\nBcc: eve@example.org\r\n\r\n<b>ample</b>\u202e"
	office := &postOffice{}
	config := message.SMTPConfig{URL: "smtp://" + office.open(t, nil, false)}
	sender := newSMTP(t, config)
	m := message.Mail(message.Message{
		ID: "m-1", To: "ann@example.org", Code: code, Usage: evil, Locale: evil, ClientID: evil,
	}, evil, time.Minute)
	raw := m
	raw.Subject = evil // as a caller that writes it itself
	for _, m := range []message.Message{m, raw} {
		if err := sender.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for _, got := range office.got() {
		letter, err := mail.ReadMessage(strings.NewReader(got.text))
		if err != nil {
			t.Fatal(err)
		}
		if letter.Header.Get("Bcc") != "" || got.to != "ann@example.org" {
			t.Errorf("a second recipient: %v", letter.Header)
		}
	}
	if strings.Contains(m.HTML, "<b>") {
		t.Errorf("the portal's name is markup: %s", m.HTML)
	}
	for _, id := range []string{"", "a b", "a\r\nBcc: x", "a>b", strings.Repeat("a", 129)} {
		m.ID = id
		failed(t, sender.Send(t.Context(), m), "message")
	}
	config.From = "Example <no-reply@example.com>\r\nBcc: eve@example.org"
	if _, err := message.NewSMTP(config); err == nil {
		t.Error("a sender with a second header is accepted")
	}
}

func TestServerIsReadStrictly(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{"smtp://mail.example.com", "smtp mail.example.com:587"},
		{"smtps://mail.example.com", "smtp mail.example.com:465"},
		{"smtps://robot:" + password + "@mail.example.com:2525", "smtp mail.example.com:2525"},
		{"SMTP://[::1]:25", "smtp [::1]:25"},
		{"smtp://[::1]", "smtp [::1]:587"},
	} {
		s, err := message.NewSMTP(message.SMTPConfig{URL: c.url, From: from})
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if s.String() != c.want {
			t.Errorf("%s is read as %q", c.url, s)
		}
	}
	for _, bad := range []string{
		"", "mail.example.com", "http://mail.example.com", "smtp://", "smtp://:25", "smtp://mail:0", "smtp://mail:70000", "smtp://mail:x",
		"smtp://mail/inbox", "smtp://mail?tls=off", "smtp://mail:25/x", "smtp://robot@mail", "smtp://:" + password + "@mail", "smtp://robot:@mail",
		"smtp://robot:" + password + "@", "smtp://robot:" + password + "@ma il", "smtp://robot:" + password + "@mail:x", "smtp://ma\r\nil",
	} {
		_, err := message.NewSMTP(message.SMTPConfig{URL: bad, From: from})
		if err == nil {
			t.Errorf("%q is accepted", bad)
		} else if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "p#ss") {
			t.Errorf("the password is in %q", err)
		}
	}
	for _, c := range []message.SMTPConfig{
		{URL: "smtp://mail", From: "nobody"},
		{URL: "smtp://mail", From: "Ünal <ünal@example.com>"},
		{URL: "smtp://mail", From: from, CAFile: "/no/such.pem"},
		{URL: "smtp://mail", From: from, CAFile: "smtp_test.go"},
	} {
		if _, err := message.NewSMTP(c); err == nil {
			t.Errorf("%#v is accepted", fmt.Sprint(c.From, c.CAFile))
		}
	}
}
