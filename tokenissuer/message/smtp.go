package message

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"os"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// SMTPConfig says through which server mail goes.
type SMTPConfig struct {
	// smtp://user:password@host:port starts with STARTTLS and sends nothing
	// without it; smtps:// is TLS from the first byte. Default ports 587 and 465.
	// User and password are percent-encoded as in any URL; what is not valid
	// percent-encoding is taken as it stands. Without a user, smtp:// to a loopback
	// host is plain text, unless CAFile is set.
	URL string

	// From is the sender: `Example <no-reply@example.com>`.
	From string

	// CAFile is a PEM file with the authorities that the server's certificate is
	// verified against. Default: the system's.
	CAFile string

	// Timeout ends sending one message, from the look-up of the host to the
	// server's receipt. Default Timeout.
	Timeout time.Duration
}

// String hides the password.
func (c SMTPConfig) String() string { return "smtp from " + c.From }

// GoString hides the password from %#v.
func (c SMTPConfig) GoString() string { return c.String() }

// SMTP sends mail, each on a connection of its own: nothing has to be kept alive,
// and no message meets a connection that the server has meanwhile forgotten.
type SMTP struct {
	server  server
	from    *mail.Address
	timeout time.Duration
	slots   chan struct{}
}

// NewSMTP reads the configuration. It does not connect.
func NewSMTP(c SMTPConfig) (*SMTP, error) {
	server, err := readServer(c.URL)
	if err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	from, err := mail.ParseAddress(c.From)
	if err != nil || !ascii(from.Address) {
		return nil, fmt.Errorf("smtp: from: %q is no address like \"Example <no-reply@example.com>\"", c.From)
	}
	if server.helo, err = os.Hostname(); err != nil || !ascii(server.helo) {
		server.helo = "localhost"
	}
	server.tls, err = tlsConfig(server.name, c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	server.plain = !server.implicit && server.user == "" && c.CAFile == "" && loopback(server.name)
	return &SMTP{server: server, from: from, timeout: positive(c.Timeout), slots: make(chan struct{}, under)}, nil
}

func (s *SMTP) String() string { return "smtp " + s.server.address }

// GoString hides the password from %#v.
func (s *SMTP) GoString() string { return s.String() }

// Send hands the message to the server.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	fail := func(step string, err error) error {
		return &Error{Host: s.server.address, Step: step, Cause: err}
	}
	to, err := recipient(m.To)
	if err != nil {
		return &Error{Refused: true, Host: s.server.address, Step: "address", Cause: err}
	}
	if err := m.check(); err != nil {
		return fail("message", err)
	}
	var letter bytes.Buffer
	if err := s.write(&letter, m, to); err != nil {
		return fail("message", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return fail(fmt.Sprintf("wait for one of %d connections", cap(s.slots)), plain(ctx.Err()))
	}
	return s.server.deliver(ctx, s.from.Address, to.Address, letter.Bytes())
}

// write composes the letter. The library encodes every header, so that a name
// with a line break is a strange name and not a second header.
func (s *SMTP) write(into *bytes.Buffer, m Message, to *mail.Address) error {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(s.from)
	msg.ToMailAddress(to)
	msg.Subject(m.Subject)
	// Whoever gets it twice, from whatever queue, can see that it is the same.
	_, domain, _ := strings.Cut(s.from.Address, "@")
	msg.SetMessageIDWithValue(m.ID + "@" + domain)
	if !m.Time.IsZero() {
		msg.SetDateWithValue(m.Time)
	}
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5: no answers from people on holiday
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	_, err := msg.WriteTo(into)
	return err
}

// recipient reads a bare address. What has a name, a comment or quotes is
// refused: an address ends up in a command of a line protocol, and whoever has
// such a mailbox has a simpler one too.
func recipient(to string) (*mail.Address, error) {
	address, err := mail.ParseAddress(to)
	if err != nil || address.Address != to || strings.ContainsAny(to, "[]<> ") {
		return nil, errors.New("not a bare e-mail address")
	}
	return address, nil
}

// readServer reads the URL by hand. url.Parse would stumble over the `/` and `#`
// of a generated password, and quote it in its error.
func readServer(raw string) (server, error) {
	const expected = "expected smtp://user:password@host:port or smtps://user:password@host:port"
	scheme, rest, _ := strings.Cut(raw, "://")
	var srv server
	port := "587"
	switch strings.ToLower(scheme) {
	case "smtp":
	case "smtps":
		srv.implicit, port = true, "465"
	default:
		return server{}, errors.New(expected)
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, password, _ := strings.Cut(rest[:at], ":")
		srv.user, srv.password = unescaped(user), unescaped(password)
		if srv.user == "" || srv.password == "" {
			return server{}, errors.New("user or password is empty; " + expected)
		}
		rest = rest[at+1:]
	}
	host, given, err := net.SplitHostPort(rest)
	if err != nil {
		host, given = strings.TrimSuffix(strings.TrimPrefix(rest, "["), "]"), port
	}
	if host == "" || !ascii(host) || strings.ContainsAny(host, "/?#[]@%") || !portNumber(given) {
		return server{}, errors.New("no good host and port; " + expected)
	}
	srv.name, srv.address = host, net.JoinHostPort(host, given)
	return srv, nil
}

func tlsConfig(name, caFile string) (*tls.Config, error) {
	roots, err := Authorities(caFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{ServerName: name, RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
