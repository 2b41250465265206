package remote_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
)

// names is the DNS of these tests: what a name leads to, one look-up after another, and
// from then on to the last. It answers where the system's would, so what is tested is the
// whole way from a name to a connection.
type names struct {
	mu     sync.Mutex
	leads  map[string][]netip.Addr
	lookUp map[string]int
}

var dns = &names{leads: map[string][]netip.Addr{}, lookUp: map[string]int{}}

func TestMain(m *testing.M) {
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: dns.dial}
	// The resolver's first look-up makes a channel that all later ones use: not in a bubble.
	_, _ = net.DefaultResolver.LookupHost(context.Background(), "nobody.example")
	m.Run()
}

func (n *names) lead(name string, to ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leads[name], n.lookUp[name] = nil, 0
	for _, address := range to {
		n.leads[name] = append(n.leads[name], netip.MustParseAddr(address))
	}
}

func (n *names) asked(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lookUp[name]
}

// find is where a name leads now. Both kinds of addresses are asked for at once; one of
// them is the look-up that counts.
func (n *names) find(name string, kind dnsmessage.Type) (to netip.Addr, found bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.leads[name]
	if len(all) == 0 {
		return to, false
	}
	if kind == dnsmessage.TypeA {
		to = all[min(n.lookUp[name], len(all)-1)]
		n.lookUp[name]++
		return to, to.Is4()
	}
	to = all[len(all)-1]
	return to, kind == dnsmessage.TypeAAAA && to.Is6()
}

// dial is a connection to the DNS server: messages with their length in front, as over TCP.
func (n *names) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		for n.answer(theirs) == nil {
		}
	}()
	return ours, nil
}

func (n *names) answer(conn net.Conn) error {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return err
	}
	question := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, question); err != nil {
		return err
	}
	var message dnsmessage.Message
	if err := message.Unpack(question); err != nil {
		return err
	}
	asked := message.Questions[0]
	message.Response, message.RecursionAvailable, message.Additionals = true, true, nil
	if to, found := n.find(strings.TrimSuffix(asked.Name.String(), "."), asked.Type); found {
		head := dnsmessage.ResourceHeader{Name: asked.Name, Class: asked.Class, Type: asked.Type}
		var body dnsmessage.ResourceBody = &dnsmessage.AAAAResource{AAAA: to.As16()}
		if asked.Type == dnsmessage.TypeA {
			body = &dnsmessage.AResource{A: to.As4()}
		}
		message.Answers = []dnsmessage.Resource{{Header: head, Body: body}}
	}
	text, err := message.Pack()
	if err != nil {
		return err
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...))
	return err
}

// G08: a name of the operator's, or one that he believes to be his, that leads to where
// nobody fetches from.
func TestNamesThatLeadToForbiddenAddresses(t *testing.T) {
	for _, to := range []string{
		"169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16", "0.0.0.0", "224.0.0.1",
		"fe80::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "::", "ff02::1",
	} {
		t.Run(to, func(t *testing.T) {
			dns.lead("keys.login.example", to)
			seen := &log{}
			k := open(t, remote.KeysConfig{Issuer: "https://keys.login.example", Observe: seen.observe, Wait: time.Minute})
			if err := k.Await(t.Context(), "1"); err == nil || !strings.Contains(err.Error(), "never fetched from") {
				t.Errorf("%v", err)
			}
			k.Close()
			if e := seen.last(); e.Result != remote.Forbidden {
				t.Errorf("%s: %v", e.Result, e.Err)
			}
		})
	}
}

// G08: a name that leads to the issuer while somebody looks, and elsewhere a moment later.
func TestNameThatIsReboundLeadsNowhere(t *testing.T) {
	s := newSite(t)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	// The certificate of these tests is for example.com.
	address := "https://example.com:" + u.Port()
	for _, to := range []string{"169.254.169.254", "100.100.100.200", "0.0.0.0"} {
		t.Run(to, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dns.lead("example.com", "127.0.0.1", to, "127.0.0.1")
				seen := &log{}
				k := open(t, remote.KeysConfig{Issuer: address, JWKSURI: address + "/keys", Roots: s.roots(), Observe: seen.observe})
				synctest.Wait()
				first := s.newest()
				if !known(k, first) {
					t.Fatalf("the issuer at its own address: %v", seen.last().Err)
				}
				before, second := s.asked.Load(), s.rotate(t).ID
				time.Sleep(time.Minute)
				if err := k.Await(t.Context(), second); err == nil {
					t.Error("nobody was asked, and somebody has answered")
				}
				synctest.Wait()
				if e := seen.last(); e.Result != remote.Forbidden || !known(k, first) || known(k, second) || s.asked.Load() != before {
					t.Errorf("%s: %v", e.Result, e.Err)
				}
				if n := dns.asked("example.com"); n != 2 {
					t.Errorf("%d look-ups for two fetches: the address that is connected to is another than the one looked at", n)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if !known(k, second) {
					t.Errorf("back at its own address: %v", seen.last().Err)
				}
			})
		})
	}
}

// G08: this machine's own addresses are an issuer's as good as any, so what a name is
// rebound to there has to have the name's certificate before it is asked anything.
func TestNameThatIsReboundToThisMachineMeetsItsCertificate(t *testing.T) {
	s := newSite(t)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	dns.lead("keys.login.example", "127.0.0.1")
	seen := &log{}
	address := "https://keys.login.example:" + u.Port()
	k := open(t, remote.KeysConfig{Issuer: address, JWKSURI: address + "/keys", Roots: s.roots(), Observe: seen.observe, Wait: time.Minute})
	if err := k.Await(t.Context(), s.newest()); err == nil {
		t.Error("another one's keys are taken")
	}
	k.Close()
	if e := seen.last(); e.Result != remote.Untrusted || s.asked.Load() != 0 {
		t.Errorf("%s: %v", e.Result, e.Err)
	}
}
