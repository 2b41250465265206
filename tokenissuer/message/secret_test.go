package message_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

// clean fails when a text that goes to a log holds what must not be in one.
func clean(t *testing.T, text string) {
	t.Helper()
	secrets := []string{
		code, password, "hook-key", base64.StdEncoding.EncodeToString([]byte(password)),
		base64.StdEncoding.EncodeToString([]byte("\x00robot\x00" + password))[:16], "ann@example.org",
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %q", secret, text)
		}
	}
}

// shown is an error, or another value, in every form that a log gives it.
func shown(v any) string {
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("", "v", v)
	slog.New(slog.NewTextHandler(&log, nil)).Info("", "v", v)
	text := fmt.Sprintf("%v %+v %#v %s", v, v, v, log.String())
	if err, ok := v.(error); ok {
		for ; err != nil; err = errors.Unwrap(err) {
			text += fmt.Sprintf(" %v %+v %#v", err, err, err)
		}
	}
	return text
}

// The server has just read a secret and says it back, at each step in turn.
func TestServerThatEchoesGetsNoSecretIntoAnError(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.serves(t, "127.0.0.1")
	for _, step := range []string{"AUTH", "MAIL FROM", "RCPT TO", "DATA", "message"} {
		for _, kind := range []string{"reply", "cut reply", "garbage"} {
			t.Run(step+" "+kind, func(t *testing.T) {
				heard := ""
				address := scripted(t, certificate, func(line string) string {
					if heard += line + " "; strings.Contains(line, code) {
						heard = " DATA " + line // as near as it gets: a long answer is cut in the log
					}
					inData := strings.Contains(heard, " DATA ") && step == "message"
					switch {
					case line == "":
						if inData {
							return ""
						}
						return "220 mail.test"
					case strings.HasPrefix(line, step), line == "." && inData:
						if kind == "cut reply" {
							return "554 5.7.0 you said: " + heard[:len(heard)-8]
						}
						if kind == "garbage" {
							return strings.ToLower(heard) + heard
						}
						return "554 5.7.0 you said: " + heard
					case line == "DATA":
						return "354 go on"
					case inData:
						return ""
					case strings.HasPrefix(line, "EHLO"):
						return "250-mail.test\n250 AUTH PLAIN"
					case strings.HasPrefix(line, "AUTH"):
						return "235 welcome"
					}
					return "250 ok"
				})
				sender := newSMTP(t, message.SMTPConfig{
					URL: "smtps://robot:" + password + "@" + address, CAFile: ca.file, Timeout: 10 * time.Second,
				})
				e := failed(t, sender.Send(t.Context(), mailed("ann@example.org")), step)
				clean(t, shown(e))
				if e.Refused {
					t.Error("an echo is not about the address")
				}
			})
		}
	}
}

func TestServerCannotFillMemory(t *testing.T) {
	address := scripted(t, nil, func(string) string { return "220 " + strings.Repeat("a", 3<<20) })
	sender := newSMTP(t, message.SMTPConfig{URL: "smtp://" + address})
	e := failed(t, sender.Send(t.Context(), mailed("ann@example.org")), "greeting")
	if !strings.Contains(e.Error(), "too much") {
		t.Error(e)
	}
}

func TestNothingThatHoldsASecretPrintsIt(t *testing.T) {
	smtpConfig := message.SMTPConfig{URL: "smtps://robot:" + password + "@mail.example.com", From: from}
	hookConfig := message.WebhookConfig{URL: "https://sms.example.com/send?key=hook-key", Header: http.Header{"Authorization": {"hook-key"}}}
	hook, err := message.NewWebhook(hookConfig)
	if err != nil {
		t.Fatal(err)
	}
	inbox := message.NewInbox(1, nil)
	m := mailed("ann@example.org")
	if err := inbox.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{smtpConfig, hookConfig, newSMTP(t, smtpConfig), hook, inbox, m, []message.Message{m}} {
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("", "v", v)
		clean(t, fmt.Sprintf("%v %+v %#v %s", v, v, v, log.String()))
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("", "message", m)
	clean(t, log.String())
}
