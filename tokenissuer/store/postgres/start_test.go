package postgres_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// TestServerThatStartsWithUsIsWaitedFor, as in a machine that boots.
func TestServerThatStartsWithUsIsWaitedFor(t *testing.T) {
	s := postgrestest.Start(t)
	text := s.Database(t)
	s.Stop()
	text = postgrestest.With(text, "sslmode", "prefer") // with TLS, and without
	soon, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if _, err := opener(t, text)(soon); err == nil || !strings.Contains(err.Error(), "does not answer: ") || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a server that does not start: %v", err)
	}
	address, err := postgres.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	opened, seen := make(chan error, 1), make(chan error, 1)
	go func() {
		opened <- patiently(func() error {
			st, err := opener(t, text)(t.Context())
			if err == nil {
				err = st.Close()
			}
			return err
		})
	}()
	go func() { // an import asks this before it opens anything
		seen <- patiently(func() error {
			_, err := address.Serving(t.Context())
			return err
		})
	}()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-opened, <-seen); err != nil {
		t.Errorf("a server that came a little later: %v", err)
	}
}

// patiently does again what has waited for a server as long as it waits for any: on a
// busy machine one takes longer to start.
func patiently(open func() error) (err error) {
	for range 6 {
		began := time.Now()
		if err = open(); err == nil || time.Since(began) < 10*time.Second {
			return err
		}
	}
	return err
}

// TestSameAddressNeedsNoServer: nothing new is asked of it. Another one nobody has tried.
func TestSameAddressNeedsNoServer(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	text := s.Database(t)
	parse := func(text string) *postgres.Address {
		t.Helper()
		a, err := postgres.ParseAddress(text)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := parse(text)
	s.Stop()
	if err := a.Change(t.Context(), parse(text)); err != nil {
		t.Errorf("the same address: %v", err)
	}
	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := a.Change(soon, parse(postgrestest.With(text, "connect_timeout", "3"))); err == nil || !strings.Contains(err.Error(), "does not answer: ") {
		t.Errorf("another address: %v", err)
	}
}

// TestWhatNoRecordCanHave is in none: PostgreSQL refuses texts that SQLite takes,
// and that is no outage.
func TestWhatNoRecordCanHave(t *testing.T) {
	st := open(t, postgrestest.URL(t))
	for _, text := range []string{"a\x00b", "\xff"} {
		if _, err := st.FindAccount(t.Context(), store.ByUsername, text); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%q is looked up: %v", text, err)
		}
		if all, err := st.SessionsOf(t.Context(), now, text); err != nil || len(all) != 0 {
			t.Errorf("sessions of %q: %v, %v", text, all, err)
		}
		err := st.Apply(t.Context(), now, store.PutAccount{Account: store.Account{ID: "1", Username: text, State: store.Active}})
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("%q is stored: %v", text, err)
		}
	}
}

// authority signs for one host and returns the files of both.
func authority(t *testing.T, host string) (ca, cert, key []byte) {
	t.Helper()
	made := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = own
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, own.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		return der, own
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, rootKey := made(root, root, nil)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour)}
	if ip := net.ParseIP(host); ip != nil {
		leaf.IPAddresses = []net.IP{ip}
	} else {
		leaf.DNSNames = []string{host}
	}
	leafDER, leafKey := made(leaf, root, rootKey)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return block("CERTIFICATE", rootDER), block("CERTIFICATE", leafDER), block("PRIVATE KEY", keyDER)
}

// encrypted is how many connections of the store are.
func encrypted(t *testing.T, text string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	err = conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
		WHERE ssl AND datname = current_database() AND application_name = 'gatehouse'`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestServersCertificateIsLookedAt as the address says.
func TestServersCertificateIsLookedAt(t *testing.T) {
	s := postgrestest.Start(t)
	ca, cert, key := authority(t, "127.0.0.1")
	s.Certify(t, cert, key)
	other, _, _ := authority(t, "127.0.0.1")
	file := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := s.Database(t)
	checked := func(ca []byte) string {
		return postgrestest.With(postgrestest.With(text, "sslmode", "verify-full"), "sslrootcert", file("ca.pem", ca))
	}
	st := open(t, checked(ca))
	if err := st.Apply(t.Context(), now, store.PutEvent{}); err != nil {
		t.Error(err)
	}
	if n := encrypted(t, text); n == 0 {
		t.Error("no connection is encrypted")
	}
	for what, c := range map[string]struct{ text, want string }{
		"another authority": {checked(other), "certificate signed by unknown authority"},
		"another name":      {strings.Replace(checked(ca), "127.0.0.1", "localhost", 1), "wanted to match localhost"},
		"the system's":      {postgrestest.With(text, "sslmode", "verify-full"), "unknown authority"},
	} {
		if _, err := opener(t, c.text)(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}
