package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// certificate makes one for all sites, which is its own authority: a file with its key,
// as HAProxy takes it and Caddy can, and one without.
func (b *balanced) certificate() (whole, root string) {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"auth.example.com", "wiki.example.com", "near.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		b.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		b.Fatal(err)
	}
	folder := b.TempDir()
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range map[string][]byte{
		"whole.pem": append(public[:len(public):len(public)], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...),
		"root.pem":  public,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.roots = x509.NewCertPool()
	b.roots.AppendCertsFromPEM(public)
	return filepath.Join(folder, "whole.pem"), filepath.Join(folder, "root.pem")
}

// cable carries connections to a database until it is cut.
type cable struct {
	address string // of the database, by it

	mu   sync.Mutex
	cut  bool
	ends map[net.Conn]bool
}

func newCable(t *testing.T, database string) *cable {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{ends: map[net.Conn]bool{}}
	to := u.Host
	u.Host = l.Addr().String()
	c.address = u.String()
	t.Cleanup(func() { _ = l.Close(); c.pull() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			c.carry(near, far)
		}
	}()
	return c
}

func (c *cable) carry(near, far net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		_, _ = near.Close(), far.Close()
		return
	}
	c.ends[near], c.ends[far] = true, true
	for _, ends := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(ends[0], ends[1])
			_, _ = near.Close(), far.Close()
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.ends, near)
			delete(c.ends, far)
		}()
	}
}

// pull ends what goes by it, and all that comes until it is mended.
func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	for end := range c.ends {
		_ = end.Close()
	}
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = false
}
