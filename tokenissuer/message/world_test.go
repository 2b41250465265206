package message_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

// TestMain is goleak.VerifyTestMain with patience: that waits for less than half a second in
// all, within which the last connections need not have ended on a busy machine.
func TestMain(m *testing.M) {
	status := m.Run()
	if status == 0 {
		err := goleak.Find()
		for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); {
			err = goleak.Find()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

const (
	code     = "918273"
	password = "s3cret/p#ss:w@rd" // as a generator makes them: all that ends a part of a URL
)

// mailed is a message as an issuer would send it.
func mailed(to string) message.Message {
	return message.Mail(message.Message{
		ID: "m-1", To: to, Code: code, Usage: "login", Locale: "en", ClientID: "shop",
		Time: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC),
	}, "Example", time.Minute)
}

// authority signs certificates for one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	a.key = generate(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(a.file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func generate(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// serves is the TLS configuration of a server with a certificate for name.
func (a *authority) serves(t testing.TB, name string) *tls.Config {
	t.Helper()
	key := generate(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

// received is one letter in the server's hands.
type received struct {
	from, to, user, text string
	utf8                 bool
}

// postOffice is a real mail server. What it refuses is set before it is used.
type postOffice struct {
	mechanism      string // of AUTH; "" takes mail from everybody
	refuseRcpt     error
	refuseData     error
	takesUTF8      bool
	mu             sync.Mutex
	letters        []received
	conversations  int
	authentication int
}

// open starts the server and returns its address. certificate nil means that it
// speaks no TLS at all.
func (o *postOffice) open(t testing.TB, certificate *tls.Config, implicit bool) string {
	t.Helper()
	listener := listen(t)
	address := listener.Addr().String()
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		o.mu.Lock()
		o.conversations++
		o.mu.Unlock()
		return &counter{office: o}, nil
	}))
	srv.Domain, srv.TLSConfig, srv.EnableSMTPUTF8 = "mail.test", certificate, o.takesUTF8
	srv.ErrorLog = quiet{}
	if implicit {
		listener = tls.NewListener(listener, certificate)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	t.Cleanup(func() {
		_ = listener.Close() // a server that has not begun to serve does not know its listener
		_ = srv.Close()
		<-done
	})
	return address
}

func (o *postOffice) got() []received {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.letters
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// counter is one conversation at the post office.
type counter struct {
	office *postOffice
	letter received
}

func (c *counter) Reset()        { c.letter = received{user: c.letter.user} }
func (c *counter) Logout() error { return nil }

func (c *counter) Mail(from string, opts *smtp.MailOptions) error {
	if c.office.mechanism != "" && c.letter.user == "" {
		return smtp.ErrAuthRequired
	}
	c.letter.from, c.letter.utf8 = from, opts.UTF8
	return nil
}

func (c *counter) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.letter.to = to
	return c.office.refuseRcpt
}

func (c *counter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if c.office.refuseData != nil {
		return c.office.refuseData
	}
	c.letter.text = string(text)
	c.office.mu.Lock()
	defer c.office.mu.Unlock()
	c.office.letters = append(c.office.letters, c.letter)
	return nil
}

func (c *counter) AuthMechanisms() []string {
	if c.office.mechanism == "" {
		return nil
	}
	return []string{c.office.mechanism}
}

func (c *counter) Auth(mechanism string) (sasl.Server, error) {
	check := func(user, given string) error {
		c.office.mu.Lock()
		c.office.authentication++
		c.office.mu.Unlock()
		if user != "robot" || given != password {
			return errors.New("wrong user or password")
		}
		c.letter.user = user
		return nil
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, given string) error { return check(user, given) }), nil
	case "LOGIN":
		return &login{check: check}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// login is the mechanism that nobody wrote down and everybody offers.
type login struct {
	check func(user, password string) error
	user  string
	step  int
}

func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(response))
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// scripted answers each line it reads with what the script says; "" says
// nothing and leaves the client waiting. The first line is the greeting's, "".
func scripted(t *testing.T, certificate *tls.Config, script func(line string) string) string {
	t.Helper()
	listener := listen(t)
	address := listener.Addr().String()
	if certificate != nil {
		listener = tls.NewListener(listener, certificate)
	}
	var conversations sync.WaitGroup
	conversations.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conversations.Go(func() { converse(conn, script) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		conversations.Wait()
	})
	return address
}

func converse(conn net.Conn, script func(line string) string) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for line := ""; ; line = lines.Text() {
		if answer := script(line); answer != "" {
			if _, err := io.WriteString(conn, strings.ReplaceAll(answer, "\n", "\r\n")+"\r\n"); err != nil {
				return
			}
		}
		if !lines.Scan() {
			return
		}
	}
}

// silent is the log of a server that complains about the client it is tested with.
func silent() *log.Logger { return log.New(io.Discard, "", 0) }
