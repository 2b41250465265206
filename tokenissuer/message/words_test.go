package message_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

var usages = []string{"login", "signup", "update_userinfo", "reset_password", "something_new"}

func TestEveryMessageIsWhole(t *testing.T) {
	seen := map[string]string{}
	link := regexp.MustCompile(`(?i)https?:|www\.|href|src=|mailto:|url\(`)
	for _, locale := range []string{"en", "zh"} {
		for _, usage := range usages {
			m := message.Message{ID: "m-1", Code: code, Usage: usage, Locale: locale}
			sms, mail := message.SMS(m, "Example", 5*time.Minute), message.Mail(m, "Example", 5*time.Minute)
			for _, text := range []string{sms.Text, mail.Text, mail.HTML} {
				if strings.Count(text, code) != 1 || !strings.Contains(text, "Example") || !strings.Contains(text, "5 ") {
					t.Errorf("%s %s: code, portal or lifetime is missing, or twice: %s", locale, usage, text)
				}
				if strings.Contains(text, "%!") || strings.Contains(text, "}.") || strings.Contains(text, "{p") || link.MatchString(text) {
					t.Errorf("%s %s: a gap or a link: %s", locale, usage, text)
				}
			}
			if strings.Contains(sms.Text, "\n") || sms.HTML != "" || sms.Subject != "" || len([]rune(sms.Text)) > 160 {
				t.Errorf("%s %s: not one short message: %q", locale, usage, sms.Text)
			}
			if mail.Subject == "" || strings.Contains(mail.Subject, code) {
				t.Errorf("%s %s: subject %q", locale, usage, mail.Subject)
			}
			if other, twice := seen[sms.Text]; twice {
				t.Errorf("%s %s says the same as %s", locale, usage, other)
			}
			seen[sms.Text] = locale + " " + usage
			wellFormed(t, mail.HTML)
		}
	}
}

// wellFormed reads the page as XML does, so that no element is left open.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	page = strings.ReplaceAll(page, "<!doctype html>", "")
	d := xml.NewDecoder(strings.NewReader(page))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in %s", err, page)
		}
	}
}

func TestLanguageIsFoundByItsTag(t *testing.T) {
	for locale, want := range map[string]string{
		"": "en", "en": "en", "en-GB": "en", "zh": "zh", "zh-CN": "zh", "zh_TW": "zh", "ZH-Hant-HK": "zh", "de": "en", "zhx": "en", "../zh": "en",
	} {
		if got := message.SMS(message.Message{Locale: locale}, "Example", time.Minute).Locale; got != want {
			t.Errorf("%q: %q, want %q", locale, got, want)
		}
	}
}

func TestLifetimeIsNotRoundedUp(t *testing.T) {
	for lifetime, want := range map[time.Duration]string{
		time.Second: "1 second.", 60 * time.Second: "60 seconds.", 119 * time.Second: "119 seconds.", 179 * time.Second: "2 minutes.", 5 * time.Minute: "5 minutes.",
	} {
		if text := message.SMS(message.Message{Code: code}, "Example", lifetime).Text; !strings.Contains(text, want) {
			t.Errorf("%v: %s", lifetime, text)
		}
	}
}

func TestPortalsNameIsText(t *testing.T) {
	const name = "<script>alert(1)</script>\u202e & {code} {once}"
	m := message.Mail(message.Message{Code: code, Usage: "login"}, name, time.Minute)
	if strings.Contains(m.HTML, "<script") || strings.Contains(m.HTML+m.Text, "\u202e") || strings.Count(m.Text, code) != 1 {
		t.Errorf("%s\n%s", m.Text, m.HTML)
	}
	wellFormed(t, m.HTML)
	long := message.Mail(message.Message{Code: code}, strings.Repeat("名", 1000), time.Minute)
	if n := len([]rune(long.Subject)); n > 100 {
		t.Errorf("subject of %d characters", n)
	}
}

func TestInboxKeepsTheLastMessages(t *testing.T) {
	var told []string
	inbox := message.NewInbox(3, func(m message.Message) { told = append(told, m.Code) })
	for i := range 5 {
		m := message.SMS(message.Message{ID: fmt.Sprint("m-", i), To: "+8613800138000", Code: fmt.Sprint(1000 + i)}, "Example", time.Minute)
		if err := inbox.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	kept := ""
	for _, m := range inbox.Messages() {
		kept += m.Code + " "
	}
	if kept != "1004 1003 1002 " || len(told) != 5 {
		t.Errorf("kept %q, told of %d", kept, len(told))
	}
	failed(t, inbox.Send(t.Context(), message.Message{}), "message")
}

// A notice has no code and no link, and does not say which address it was.
func TestNoticeSaysWhatHappenedAndNothingElse(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	address := func(email, phone bool) func(message.Message) message.Message {
		return func(m message.Message) message.Message { return message.Notice(m, "Example", email, phone) }
	}
	password := func(first bool) func(message.Message) message.Message {
		return func(m message.Message) message.Message { return message.PasswordNotice(m, "Example", first) }
	}
	for _, c := range []struct {
		locale, says, usage string
		write               func(message.Message) message.Message
	}{
		{"en", "The e-mail address of your account at Example was changed.", message.AddressChanged, address(true, false)},
		{"en", "The phone number of your account at Example was changed.", message.AddressChanged, address(false, true)},
		{"en", "The e-mail address and phone number of your account at Example were changed.", message.AddressChanged, address(true, true)},
		{"en", "The password of your account at Example was changed.", message.PasswordChanged, password(false)},
		{"en", "A password was set for your account at Example.", message.PasswordChanged, password(true)},
		{"zh", "账号的邮箱已更改。", message.AddressChanged, address(true, false)},
		{"zh", "账号的手机号已更改。", message.AddressChanged, address(false, true)},
		{"zh", "账号的邮箱和手机号已更改。", message.AddressChanged, address(true, true)},
		{"zh", "账号的密码已修改。", message.PasswordChanged, password(false)},
		{"zh", "的账号已设置密码。", message.PasswordChanged, password(true)},
	} {
		locale, says := c.locale, c.says
		m := c.write(message.Message{ID: "m-1", To: "ann@example.com", Code: code, Locale: locale, Time: at})
		if m.Code != "" || m.Locale != locale || m.Usage != c.usage || !strings.Contains(m.Subject, "Example") {
			t.Errorf("%+v", m)
		}
		for _, text := range []string{m.Text, m.HTML} {
			if !strings.Contains(text, "2026-11-20 12:00 UTC") {
				t.Errorf("when is not in %s", text)
			}
			text = strings.ReplaceAll(text, "2026-11-20", "")
			if !strings.Contains(text, says) || regexp.MustCompile(`[0-9]{4}|https?:|ann@|%!|\{p`).MatchString(text) {
				t.Errorf("%s: %s", locale, text)
			}
		}
		wellFormed(t, m.HTML)
		office := &postOffice{}
		if err := newSMTP(t, message.SMTPConfig{URL: "smtp://" + office.open(t, nil, false)}).Send(t.Context(), m); err != nil {
			t.Error(err)
		}
		hook, err := message.NewWebhook(message.WebhookConfig{URL: "https://localhost/"})
		if err != nil {
			t.Fatal(err)
		}
		if e := failed(t, hook.Send(t.Context(), m), "message"); message.Notices(hook) || !strings.Contains(e.Error(), "promised a code") {
			t.Error(e)
		}
	}
}
