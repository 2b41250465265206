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
			t.Parallel()
			sender := newSMTP(t, message.SMTPConfig{URL: "smtp://" + scripted(t, nil, c.script), Timeout: 3 * time.Second})
			start := time.Now()
			e := failed(t, sender.Send(t.Context(), mailed("ann@example.org")), c.step)
			if !errors.Is(e, context.DeadlineExceeded) || e.Refused {
				t.Error(e)
			}
			if took := time.Since(start); took >= message.Timeout {
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
	e := failed(t, newSMTP(t, message.SMTPConfig{URL: "smtp://" + address, Timeout: time.Minute}).Send(ctx, mailed("ann@example.org")), "EHLO")
	if took := time.Since(start); !errors.Is(e, context.Canceled) || took > 30*time.Second {
		t.Errorf("after %v: %v", took, e)
	}
}

func TestHangingServerCostsAFewConnections(t *testing.T) {
	const bound = 16
	reached := make(chan struct{}, bound)
	address := scripted(t, nil, func(string) string { reached <- struct{}{}; return "" })
	sender := newSMTP(t, message.SMTPConfig{URL: "smtp://" + address, Timeout: time.Minute})
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
			sender := newSMTP(t, message.SMTPConfig{URL: "smtp://" + address, Timeout: time.Minute})
			start := time.Now()
			if err := sender.Send(t.Context(), mailed("ann@example.org")); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
		})
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
