package caddymodule

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-smtp"
)

// letters is a mail server that counts what arrives.
type letters struct{ arrived atomic.Int32 }

func (l *letters) NewSession(*smtp.Conn) (smtp.Session, error) { return l, nil }
func (l *letters) Mail(string, *smtp.MailOptions) error        { return nil }
func (l *letters) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (l *letters) Reset()                                      {}
func (l *letters) Logout() error                               { return nil }
func (l *letters) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	l.arrived.Add(1)
	return err
}

// TestCodesLeaveThroughServersOfAPrivateCA: a mail server, by STARTTLS and by TLS
// from the first byte, and a webhook, whose authority the system does not know.
func TestCodesLeaveThroughServersOfAPrivateCA(t *testing.T) {
	office, texts := &letters{}, atomic.Int32{}
	hook := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ Code string }
		if json.NewDecoder(r.Body).Decode(&m) == nil && m.Code != "" {
			texts.Add(1)
		}
	}))
	defer hook.Close()
	listen := func(implicit bool) string {
		server := smtp.NewServer(office)
		server.Domain, server.TLSConfig = "127.0.0.1", hook.TLS.Clone()
		server.TLSConfig.NextProtos = nil
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if implicit {
			listener = tls.NewListener(listener, server.TLSConfig)
		}
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(func() { _ = server.Close() })
		return listener.Addr().String()
	}
	w := newWorld(t)
	w.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})))
	starttls, implicit := listen(false), listen(true)
	for name, c := range map[string]struct {
		kind, send, ask, to string
		count               func() int32
	}{
		"STARTTLS":     {"email_otp", "smtp smtp://" + starttls, "email", "ann@example.com", office.arrived.Load},
		"implicit TLS": {"email_otp", "smtp smtps://" + implicit, "email", "ann@example.com", office.arrived.Load},
		"webhook":      {"sms_otp", "webhook " + hook.URL, "phone_number", "13612345678", texts.Load},
	} {
		t.Run(name, func(t *testing.T) {
			ask := func(extra string, status int) {
				t.Helper()
				from := ""
				if c.kind == "email_otp" {
					from = "from no-reply@example.com"
				}
				source := "auth_source codes {\n type " + c.kind + "\n send " + c.send + " {\n" + from + "\n" + extra + "\n}\n}\n" +
					"limits {\n otp_per_number 9 1s\n}\nclient shop {\n"
				global := strings.Replace(oneIssuer, "client shop {", source, 1)
				global = strings.Replace(global, "grants password client_credentials", "auth_sources codes\n grants otp client_credentials", 1)
				global = strings.Replace(global, "client phone {", "auth_source staff {\n type password\n}\nclient phone {\n auth_sources staff\n", 1)
				w.load(global, oneSite)
				a := w.post("/otp/send", url.Values{
					"usage": {"login"}, "auth_source_id": {"codes"}, "client_id": {"shop"}, "client_secret": {shopSecret}, c.ask: {c.to},
				})
				if a.status != status {
					t.Errorf("%q: %v", extra, a)
				}
			}
			before := c.count()
			ask("ca_file "+w.dir+"/ca.pem", http.StatusOK)
			if got := c.count() - before; got != 1 {
				t.Errorf("%d messages arrived, want 1", got)
			}
			if c.kind == "email_otp" && strings.Contains(c.send, "smtp://") {
				return // without a ca_file loopback is plain text
			}
			ask("", http.StatusServiceUnavailable)
			if got := c.count() - before; got != 1 {
				t.Errorf("%d messages arrived at a server nobody vouches for", got-1)
			}
		})
	}
}

func TestAuthorityThatCannotBeReadNamesItsLine(t *testing.T) {
	w := newWorld(t)
	w.write("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	for file, wants := range map[string][]string{
		"none.pem": {"none.pem: no such file or directory: expected a PEM file with the certificate"},
		"key.pem":  {"key.pem has no certificate: expected PEM, -----BEGIN CERTIFICATE-----"},
	} {
		for _, send := range []string{"smtp smtps://mail.internal {\nfrom no-reply@example.com", "webhook https://sms.internal/send {\nheader X-Key {env.SHOP_SECRET}"} {
			global := strings.Replace(oneIssuer, "grants password client_credentials refresh_token", "grants client_credentials", 1)
			global = strings.Replace(global, "type mobile\n\t\t\tgrants password refresh_token", "type mobile\n\t\t\tgrants otp\n\t\t\tauth_sources codes", 1)
			global = strings.Replace(global, "client shop {", "auth_source codes {\ntype email_otp\nsend "+send+"\nca_file $DIR/"+file+"\n}\n}\nclient shop {", 1)
			err := w.validate(global, oneSite)
			for _, want := range append(wants, "auth_source codes: send ca_file: CA file: ", "at Caddyfile:21") {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		}
	}
}
