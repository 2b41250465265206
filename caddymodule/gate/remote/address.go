package remote

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// CheckURL says what is wrong with an address that an operator wrote, or nil. It
// quotes nothing: a key may stand in it.
func CheckURL(raw string) error {
	_, err := parseURL(raw)
	return err
}

func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("expected an address such as https://login.example.com/keys")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, errors.New("must be https (http only on a loopback host)")
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// sameHost compares host and port as they are connected to.
func sameHost(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if p := u.Port(); p != "" {
			return p
		}
		return map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// errAddress is about where a name leads. The check is made on the address that
// the connection goes to, so a name that answers differently a moment later
// leads nowhere else.
var errAddress = errors.New("an address that is never fetched from")

// dialer connects to what an issuer may have as its address. With plain, what is
// sent goes to this machine alone, whatever localhost resolves to.
func dialer(plain bool) *net.Dialer {
	return &net.Dialer{Timeout: 5 * time.Second, Control: func(_, resolved string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(resolved)
		if err != nil || isForbidden(at.Addr()) || plain && !at.Addr().Unmap().IsLoopback() {
			return errAddress
		}
		return nil
	}}
}

// metadata are where clouds hand their credentials out to whoever asks; most do
// so on link-local addresses.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("168.63.129.16"),
}

var nat64 = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052 §2.1

// isForbidden leaves private and loopback addresses out: issuers of companies
// live there, and TLS says whether the right one answered.
func isForbidden(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		bytes := ip.As16()
		ip = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	for _, m := range metadata {
		if ip == m {
			return true
		}
	}
	return ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified()
}
