package caddymodule

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

// Send says what hands one-time codes on.
type Send struct {
	// Where this was written.
	At string `json:"at,omitempty"`

	// `webhook`, or `smtp` for email_otp.
	Type string `json:"type,omitempty"`

	// Of a webhook https, or http on loopback: it gets the message as JSON `{"id",
	// "to", "text", "code", "usage", "locale", "client_id"}` and an
	// `Idempotency-Key`. Of a mail server `smtp://user:password@host:587`, which
	// starts TLS and sends nothing without it, or `smtps://` with TLS from the first
	// byte; without TLS on loopback alone, where no user is named.
	URL string `json:"url,omitempty"`

	// Headers of a webhook's requests, for the key it asks for.
	Headers []SendHeader `json:"headers,omitempty"`

	// The sender of mails: `Example <no-reply@example.com>`.
	From string `json:"from,omitempty"`

	// A PEM file with the authorities that the certificate of the mail server or the
	// webhook is verified against, instead of the system's. It is read when the
	// configuration is loaded.
	CAFile string `json:"ca_file,omitempty"`
}

// SendHeader is one header of a webhook's requests.
type SendHeader struct {
	// Its name.
	Name string `json:"name,omitempty"`

	// Its value, best with a placeholder.
	Value string `json:"value,omitempty"`
}

// send parses:
//
//	send webhook <url> {
//		header <name> <value>
//		ca_file <path>
//	}
//	send smtp <url> {
//		from <sender>
//		ca_file <path>
//	}
func (b *block) send(into **Send) word {
	return word{read: func() error {
		s := &Send{At: at(b.Dispenser)}
		if !b.Args(&s.Type, &s.URL) || s.URL == "" {
			return b.Errf("%s: send: expected webhook or smtp, and a URL", b.name)
		}
		inner := newBlock(b.Dispenser, "send "+s.Type)
		var ws words
		switch s.Type {
		case "webhook":
			ws = words{"header": {repeat: true, read: func() error { return inner.sendHeader(s) }}, "ca_file": inner.text(&s.CAFile)}
		case "smtp":
			ws = words{"from": inner.text(&s.From), "ca_file": inner.text(&s.CAFile)}
		default:
			return b.notOneOf("send", s.Type, []string{"webhook", "smtp"})
		}
		if b.NextArg() {
			return b.Errf("%s: unexpected %q after the URL of send", b.name, b.Val())
		}
		*into = s
		err := inner.read(ws)
		if line, ok := inner.lines["ca_file"]; ok {
			b.lines["send ca_file"] = line
		}
		return err
	}}
}

func (b *block) sendHeader(s *Send) error {
	var h SendHeader
	if !b.AllArgs(&h.Name, &h.Value) || h.Name == "" || h.Value == "" {
		return b.Errf("%s: header: expected a name and a value", b.name)
	}
	s.Headers = append(s.Headers, h)
	return nil
}

// rates reads a number and a duration, over one line or several.
func (b *block) rates(into *[]Rate) word {
	return word{repeat: true, read: func() error {
		var r *Rate
		if err := b.rate(&r).read(); err != nil {
			return err
		}
		*into = append(*into, *r)
		return nil
	}}
}

// translate puts the sender into the issuer's own terms.
func (s *Send) translate(r *reader, c *tokenissuer.Source) {
	if s == nil {
		return
	}
	url, _ := r.text("send", s.URL)
	file := s.authorities(r, url)
	switch kind, _ := r.text("send", s.Type); kind {
	case "smtp":
		c.SMTP.URL = url
		c.SMTP.From, _ = r.text("send", s.From)
		c.SMTP.CAFile = file
	case "webhook":
		c.Webhook = message.WebhookConfig{URL: url, Header: http.Header{}, CAFile: file}
		for _, h := range s.Headers {
			value, _ := r.text("send", h.Value)
			c.Webhook.Header.Add(h.Name, value)
		}
	default:
		r.fail("send", s.Type, "expected webhook or smtp")
	}
}

// authorities is the file of ca_file. Beside http it does nothing: there is no
// certificate. A mail server on loopback starts TLS because of it.
func (s *Send) authorities(r *reader, url string) string {
	const word = "send ca_file"
	if strings.HasPrefix(url, "http:") && s.CAFile != "" {
		r.fail(word, s.CAFile, "without effect: http has no certificate to verify; write https in the URL of send")
	}
	file := r.authorities(word, s.CAFile)
	if r.repl == nil {
		return "" // the issuer would read it
	}
	return file
}

// authorities reads a word that names a PEM file. While a Caddyfile is adapted the
// file is nobody's: it is on the machine that the configuration is for.
func (r *reader) authorities(word, value string) string {
	file, known := r.text(word, value)
	if r.repl == nil || !known {
		return file
	}
	if _, err := message.Authorities(file); err != nil {
		r.fail(word, value, err.Error())
	}
	return file
}

// translate puts the limits into the issuer's own terms.
func (l *Limits) translate(r *reader, c *tokenissuer.Config) {
	if l == nil {
		return
	}
	rate := func(option string, from *Rate) tokenissuer.Rate {
		if from == nil {
			return tokenissuer.Rate{}
		}
		return tokenissuer.Rate{Count: r.number(option, from.Count), Within: r.duration(option, from.Within)}
	}
	tokens := rate("limits tokens_per_address", l.TokensPerAddress)
	c.FailuresPerAddress, c.FailuresWindow = tokens.Count, tokens.Within
	for _, each := range l.OTPPerNumber {
		c.OTPPerNumber = append(c.OTPPerNumber, rate("limits otp_per_number", &each))
	}
	c.OTPPerClient = rate("limits otp_per_client", l.OTPPerClient)
}

// grantTypes are the values of grant_type that the words of `grants` stand for.
func grantTypes(words []string) []string {
	var all []string
	for _, w := range words {
		if w == "otp" {
			all = append(all, tokenissuer.GrantsOTP...)
			continue
		}
		all = append(all, w)
	}
	return all
}

// showMessage writes what the development inbox keeps to the log: the one log
// line that holds a code, on a machine of which everybody is the developer.
func (a *App) showMessage(m message.Message) {
	a.logger.Info("development inbox", zap.String("to", m.To), zap.String("text", m.Text))
}

var secretName = regexp.MustCompile(`(?i)auth|key|token|secret|password|signature`)

// literal reports whether the sender's credential is written in the
// configuration: in the URL, or in a header that is called like one.
func (s *Send) literal() bool {
	if s == nil {
		return false
	}
	if !hasPlaceholder(s.URL) && strings.Contains(s.URL, "@") {
		return true
	}
	return slices.ContainsFunc(s.Headers, func(h SendHeader) bool { return !hasPlaceholder(h.Value) && secretName.MatchString(h.Name) })
}
