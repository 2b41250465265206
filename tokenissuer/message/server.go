package message

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// server is one mail server, and how to speak to it.
type server struct {
	address, name  string // host:port, host
	helo           string
	user, password string // both or none
	implicit       bool   // TLS from the first byte
	plain          bool   // no TLS at all: loopback without credentials
	tls            *tls.Config
}

// deliver has one conversation with the server, all of it inside ctx. Each step
// is taken with the library's protocol client and not with its mail client, for
// three things: the step that failed is known and not read from a text, one
// deadline holds for all of it, and after a failure the connection is closed.
func (s *server) deliver(ctx context.Context, from, to string, letter []byte) error {
	raw, step, err := s.connect(ctx)
	if err != nil {
		return s.failure(ctx, step, to, err)
	}
	defer raw.Close() //nolint:errcheck // the message is accepted or not by now
	giveUp := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer giveUp()

	conn := net.Conn(raw)
	if s.implicit {
		secured := tls.Client(raw, s.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			return s.failure(ctx, "TLS", to, err)
		}
		conn = secured
	}
	c, err := smtp.NewClient(conn, s.name)
	if err != nil {
		return s.failure(ctx, "greeting", to, err)
	}
	if step, err := s.open(c); err != nil {
		return s.failure(ctx, step, to, err)
	}
	if step, err := send(c, from, to, letter); err != nil {
		return s.failure(ctx, step, to, err)
	}
	// The message is the server's now. A QUIT that fails or hangs must not turn
	// that into a failure, which would be answered by asking for another code.
	_ = raw.SetDeadline(time.Now().Add(time.Second))
	_ = c.Quit()
	return nil
}

func (s *server) connect(ctx context.Context) (*bounded, string, error) {
	conn, err := dial(ctx, s.address, s.plain)
	if err != nil {
		return nil, "connect", err
	}
	if end, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(end)
	}
	return &bounded{Conn: conn, left: 1 << 20}, "", nil
}

// open brings the conversation to where messages are taken: encrypted, and
// signed in.
func (s *server) open(c *smtp.Client) (step string, err error) {
	if err := c.Hello(s.helo); err != nil {
		return "EHLO", err
	}
	if !s.implicit && !s.plain {
		// An attacker on the way takes the word out of the server's answer, so
		// going on without it would be no encryption at all (RFC 3207 §6).
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return "STARTTLS", said("the server does not offer it, and nothing is sent in plain text")
		}
		if err := c.StartTLS(s.tls); err != nil {
			return "STARTTLS", err
		}
	}
	if s.user == "" {
		return "", nil
	}
	auth, err := s.auth(c)
	if err == nil {
		err = c.Auth(auth)
	}
	return "AUTH", err
}

// auth chooses how to sign in. Both ways show the password to the server, whose
// certificate has been verified by then.
func (s *server) auth(c *smtp.Client) (smtp.Auth, error) {
	_, list := c.Extension("AUTH")
	offered := strings.Fields(strings.ToUpper(list))
	switch {
	case slices.Contains(offered, "PLAIN"):
		return smtp.PlainAuth("", s.user, s.password, s.name, false), nil
	case slices.Contains(offered, "LOGIN"):
		return smtp.LoginAuth(s.user, s.password, s.name, false), nil
	}
	return nil, said(fmt.Sprintf("the server offers %q, and neither PLAIN nor LOGIN", quoted(list)))
}

func send(c *smtp.Client, from, to string, letter []byte) (step string, err error) {
	// Asked for, SMTPUTF8 has to be kept by every server on the way, and the
	// message comes back where one cannot (RFC 6531 §3.5).
	international := !ascii(to)
	if able, _ := c.Extension("SMTPUTF8"); international && !able {
		return "RCPT TO", errNoSMTPUTF8
	}
	c.SkipSMTPUTF8(!international)
	if err := c.Mail("<" + from + ">"); err != nil {
		return "MAIL FROM", err
	}
	if err := c.Rcpt("<" + to + ">"); err != nil {
		return "RCPT TO", err
	}
	w, err := c.Data()
	if err != nil {
		return "DATA", err
	}
	if _, err := w.Write(letter); err != nil {
		return "message", err
	}
	return "message", w.Close()
}

// bounded is a connection that a server cannot fill memory through: the client
// above it reads lines of any length.
type bounded struct {
	net.Conn
	left int
}

const errTooMuch = said("the server says too much")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
