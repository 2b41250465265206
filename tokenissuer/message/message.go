// Package message writes to people by mail or text message. It does not make the
// codes that it sends, limit them or know what they are good for.
package message

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// Timeout is what sending one message may take in all, where a configuration
// does not say: somebody is waiting for the answer of /otp/send.
const Timeout = 10 * time.Second

// under is how many messages a sender has under way at once. The others wait
// inside their own time: a mail server that hangs costs connections, not memory.
const under = 16

// Sender hands one message on. It returns nil when the next hop has taken
// responsibility for it, and otherwise an *Error.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// The Usages of notices, which have no code.
const (
	AddressChanged  = "address_changed"
	PasswordChanged = "password_changed" // or set for the first time
)

// Message is one one-time code, or notice, on its way to one person. SMS, Mail,
// Notice and PasswordNotice write the parts that a person reads.
type Message struct {
	ID       string    // unique, of [A-Za-z0-9._-], no secret: a receiver knows repetitions by it
	To       string    // an e-mail address, or a number in E.164
	Code     string    //
	Usage    string    // login, signup, update_userinfo, reset_password; AddressChanged, PasswordChanged
	Locale   string    // BCP 47; what the catalogue does not have is English
	ClientID string    // the client that asked
	Time     time.Time // when the code was made

	Subject, Text, HTML string // Subject and HTML are a mail's alone
}

// String hides the code, which is also in the text.
func (m Message) String() string { return "message " + m.ID }

// GoString hides the code from %#v.
func (m Message) GoString() string { return m.String() }

// LogValue hides the code from logs.
func (m Message) LogValue() slog.Value { return slog.StringValue(m.String()) }

// check refuses what would be more than one value where it is written: the
// identifier becomes a header of a request and a part of a Message-ID.
func (m Message) check() error {
	const most = 128
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	}
	switch {
	case m.ID == "" || len(m.ID) > most || strings.ContainsFunc(m.ID, bad):
		return fmt.Errorf("the identifier must be 1 to %d letters, digits, dots, underscores or hyphens", most)
	case m.To == "" || m.Code == "" && m.Usage != AddressChanged && m.Usage != PasswordChanged || m.Text == "":
		return errors.New("an address, a code or a text is missing")
	}
	return nil
}

// Notices reports whether a sender takes messages without a code. A webhook is
// promised one: what stands behind it may have no other template.
func Notices(s Sender) bool {
	_, hook := s.(*Webhook)
	return !hook
}

// Error says which step of sending failed, and where. Neither the code nor a
// credential is ever in it, nor what the other side wrote at a moment when it
// had just read one of them.
type Error struct {
	Refused bool   // the address is no good and will not be: not worth another try
	Host    string // the mail server or webhook
	Step    string // connect, STARTTLS, AUTH, RCPT TO …
	Cause   error
}

func (e *Error) Error() string { return "message: " + e.Host + ": " + e.Step + ": " + e.Cause.Error() }

// Unwrap returns the cause: context.DeadlineExceeded is in it where the time was over.
func (e *Error) Unwrap() error { return e.Cause }

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
