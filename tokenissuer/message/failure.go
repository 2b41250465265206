package message

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"regexp"
	"strings"
	"unicode"
)

// said is an error of our own words, which may be shown as it is.
type said string

func (s said) Error() string { return string(s) }

const errNoSMTPUTF8 = said("the server takes no address outside ASCII")

// failure is the error of one step of a delivery.
func (s *server) failure(ctx context.Context, step, to string, err error) error {
	failed := &Error{Host: s.address, Step: step}
	reply, answered := errors.AsType[*textproto.Error](err)
	switch {
	case answered:
		failed.Refused = refuses(step, reply)
		failed.Cause = s.replied(step, reply, to)
	case ctx.Err() != nil:
		failed.Cause = plain(ctx.Err())
	default:
		failed.Refused = errors.Is(err, errNoSMTPUTF8)
		failed.Cause = plain(err)
	}
	return failed
}

// replied is a server's negative answer. Its text says what an operator needs,
// but not after AUTH and not after the message: a server that explains what it
// did not like then quotes the password or the code. The address is a person's
// and stays out of the log too.
func (s *server) replied(step string, reply *textproto.Error, to string) error {
	if step == "AUTH" || step == "message" {
		return said(strings.TrimSpace(fmt.Sprintf("the server answered %d %s", reply.Code, enhanced.FindString(reply.Msg))))
	}
	text := strings.ReplaceAll(reply.Msg, to, "the recipient")
	if s.password != "" {
		base64 := base64.StdEncoding.EncodeToString
		plain, login := base64([]byte("\x00"+s.user+"\x00"+s.password)), base64([]byte(s.password))
		text = strings.NewReplacer(plain, "…", login, "…", s.password, "…").Replace(text)
	}
	return said(fmt.Sprintf("the server answered %d %q", reply.Code, quoted(text)))
}

// enhanced is the status code of RFC 2034 §4 that a reply's text may begin with.
var enhanced = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// refuses says whether a reply is about the address, and final (RFC 5321
// §4.2.1). What the server has against us, our network or the text is our
// operator's to mend: whoever waits for the code is told to try later.
func refuses(step string, reply *textproto.Error) bool {
	if reply.Code < 500 || step != "RCPT TO" && step != "message" {
		return false
	}
	switch code := enhanced.FindString(reply.Msg); code {
	case "", "5.0.0":
		// RFC 5321 §4.2.3 and RFC 7504 §4: unknown, not local, not allowed as a
		// name, a domain without mail. After the text 550 is more often about the text.
		return step == "RCPT TO" && (reply.Code == 550 || reply.Code == 551 || reply.Code == 553 || reply.Code == 556)
	case "5.1.7", "5.1.8": // the sender's address
		return false
	case "5.2.1", // the mailbox is disabled
		"5.6.7": // an address outside ASCII (RFC 6531 §3.5)
		return true
	case "5.4.1": // Exchange Online's word for an unknown recipient
		return step == "RCPT TO"
	default:
		return strings.HasPrefix(code, "5.1.") // RFC 3463 §3.2: the addressing
	}
}

// plain is an error of the network in words that the other side has no part in.
// The text of any other error may quote what was read, and what was read may be
// what we had just sent.
func plain(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("given up: %w", context.Canceled)
	}
	if ours, ok := errors.AsType[said](err); ok {
		return ours
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return bad
	}
	if bad, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return said("this is not TLS: " + bad.Msg)
	}
	if bad, ok := errors.AsType[tls.AlertError](err); ok {
		return said("TLS: " + bad.Error())
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		return failed
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return said("this is not TLS")
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return said("the connection was closed")
	}
	return said("the answer makes no sense")
}

// quoted is a foreign text, cut to what a log line can bear.
func quoted(s string) string {
	const most = 200
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	runes := []rune(s)
	return string(runes[:min(len(runes), most)])
}
