package message

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Authorities reads a PEM file with the certificates that a server's is verified
// against; no file means the system's.
func Authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("CA file: %w: expected a PEM file with the certificate of the authority", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("CA file: %s has no certificate: expected PEM, -----BEGIN CERTIFICATE-----", file)
	}
	return pool, nil
}

func positive(d time.Duration) time.Duration {
	if d <= 0 {
		return Timeout
	}
	return d
}

func portNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func unescaped(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// dial connects. What is sent without TLS goes to this machine alone, whatever
// the name localhost happens to resolve to.
func dial(ctx context.Context, address string, withoutTLS bool) (net.Conn, error) {
	dialer := net.Dialer{}
	if withoutTLS {
		dialer.Control = func(_, resolved string, _ syscall.RawConn) error {
			if at, err := netip.ParseAddrPort(resolved); err != nil || !at.Addr().Unmap().IsLoopback() {
				return errors.New("plain text is for loopback addresses alone")
			}
			return nil
		}
	}
	return dialer.DialContext(ctx, "tcp", address)
}
