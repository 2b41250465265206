package message_test

import (
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

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
