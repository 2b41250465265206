package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

const (
	atAuth = "https://auth.example.com"
	atWiki = "https://wiki.example.com"
	atNear = "https://near.example.com" // whose gate lets nearby pass alone
	nearby = "127.0.0.7"
)

// way is one of those that docs/operating.md has to put HAProxy before nodes.
type way struct {
	caddyfile, haproxy string // what the blocks of the page have that nobody else's has
	https              bool   // between the two, too
}

var balancing = map[string]way{
	"TLS ends there": {caddyfile: "trusted_proxies static 10.0.0.10", haproxy: "X-Forwarded-Host %"},
	"TLS goes by":    {caddyfile: "proxy_protocol {", haproxy: "send-proxy-v2", https: true},
}

// balanced is three nodes on one PostgreSQL behind a balancer.
type balanced struct {
	*cluster
	way
	front  *instance // what the world sees of them: one issuer
	office *post     // what carries codes
	public string    // the balancer's address
	socket string    // where it answers its operator
	roots  *x509.CertPool
	cable  *cable // of the last node, to PostgreSQL
}

func newBalanced(t *testing.T, by way) *balanced {
	t.Helper()
	b := &balanced{cluster: &cluster{T: t, db: postgrestest.Start(t)}, way: by, office: &post{codes: map[string]string{}}}
	b.url = b.db.Database(t)
	b.cable = newCable(t, b.url)
	pem, root := b.certificate()
	for at := range 3 {
		b.nodes = append(b.nodes, b.node(at, pem))
	}
	var all sync.WaitGroup
	for _, n := range b.nodes {
		all.Go(n.start)
	}
	all.Wait()
	b.nodes[0].addAlice()
	b.balance(pem, root)
	b.front = b.from("127.0.0.1", fresh)
	return b
}

// node is one with the page's Caddyfile, and what the stories need besides.
func (b *balanced) node(at int, pem string) *instance {
	b.Helper()
	n := newInstance(b.T)
	n.path, n.client = swift(b.T), b.direct(n)
	port, database := "http_port", b.url
	if b.https {
		port = "https_port"
	}
	if at == 2 {
		database = b.cable.address
	}
	_, number, _ := strings.Cut(n.backend, ":")
	wiki := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") }))
	hook := httptest.NewServer(http.HandlerFunc(b.office.text))
	b.Cleanup(func() { wiki.Close(); hook.Close() })
	n.env = append(n.env, "DATABASE_URL="+database, "NODE="+strconv.Itoa(at), "NODE_PORT="+number, "PEM="+pem, "WIKI_SECRET="+partnerSecret,
		"WIKI="+wiki.Listener.Addr().String(), "HOOK="+hook.URL, "SMS_KEY=sms-key")
	text := b.lines(b.caddyfile, append(b.changes(port), "first_party", "first_party\n\t\t\tauth_sources password", "localhost:9000", "{$WIKI}")...)
	near := "http://near.example.com {\n"
	if b.https {
		near = "near.example.com {\n\ttls {$PEM} {$PEM}\n"
	}
	text += near + "\theader X-Node {$NODE}\n\ttoken_gate {\n\t\texpression `request.client_ip == \"" + nearby + "\"`\n\t}\n\trespond ok\n}\n"
	if err := os.WriteFile(n.file("Caddyfile"), []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if p := n.running; p != nil { // at once: its delay was waited for often enough
			n.running = nil
			p.kill()
			if err := raced(p.log); err != nil {
				b.Error(err)
			}
		}
	})
	return n
}

// changes are what differs from the page between a machine of one's own and three that
// share this one with their visitors.
func (b *balanced) changes(port string) []string {
	changes := []string{
		"shutdown_delay 5s", "shutdown_delay 5s\n\tadmin {$ADMIN}\n\tauto_https disable_redirects\n\tskip_install_trust\n\tdefault_bind 127.0.0.1\n\t" + port + " {$NODE_PORT}",
		"10.0.0.10", "127.0.0.1",
		"store postgres {env.DATABASE_URL}", "store postgres {env.DATABASE_URL} {\n\t\t\tmax_staleness 5s\n\t\t}\n\t\tsigning_algorithm ES256\n\t\tlimits {\n\t\t\ttokens_per_address 10 1m\n\t\t}",
		"client wiki {", `auth_source password {
			type password
		}
		auth_source sms {
			type sms_otp
			send webhook {$HOOK} {
				header Authorization "Bearer {env.SMS_KEY}"
			}
		}
		client app {
			type web
			secret {env.SHOP_SECRET}
			grants otp refresh_token
			auth_sources sms
			signup
		}
		client phone {
			type mobile
			grants password refresh_token
			scopes openid
			auth_sources password
		}
		client page {
			type spa
			grants authorization_code refresh_token
			redirect_uris ` + page + `
			scopes openid
			first_party
			auth_sources password
		}
		client wiki {`,
		"auth.example.com {", "auth.example.com {\n\theader X-Node {$NODE}",
		"wiki.example.com {", "wiki.example.com {\n\theader X-Node {$NODE}",
	}
	if b.https {
		changes = append(changes, "/etc/gatehouse/example.com.crt", "{$PEM}", "/etc/gatehouse/example.com.key", "{$PEM}")
	}
	return changes
}

// lines are a block of the page.
func (b *balanced) lines(has string, changes ...string) string {
	b.Helper()
	text, err := documentedIn("..", has, changes...)
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// balance starts HAProxy.
func (b *balanced) balance(pem, root string) {
	b.Helper()
	bin, err := exec.LookPath("haproxy")
	if err != nil {
		if bin, err = exec.LookPath("/usr/sbin/haproxy"); err != nil { // Debian's is not in everybody's path
			b.Fatal("there is no HAProxy to test with: apt-get install haproxy")
		}
	}
	ports, err := freePorts(1)
	if err != nil {
		b.Fatal(err)
	}
	folder := b.TempDir()
	b.public, b.socket = "127.0.0.1:"+ports[0], filepath.Join(folder, "s")
	changes := []string{"/run/haproxy/admin.sock mode 660", b.socket + " mode 600", "bind :443", "bind " + b.public, "inter 1s", "inter 300ms"}
	port := ":80"
	if b.https {
		changes = append(changes, "/etc/ssl/certs/ca-certificates.crt", root)
		port = ":443"
	} else {
		changes = append(changes, "/etc/haproxy/certs/", pem)
	}
	for at, n := range b.nodes {
		changes = append(changes, fmt.Sprintf("10.0.0.1%d%s", at+1, port), n.backend)
	}
	config := filepath.Join(folder, "haproxy.cfg")
	if err := os.WriteFile(config, []byte(b.lines(b.haproxy, changes...)), 0o600); err != nil {
		b.Fatal(err)
	}
	var said strings.Builder
	cmd := exec.CommandContext(context.Background(), bin, "-db", "-f", config)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		if _ = cmd.Wait(); b.Failed() {
			b.Logf("HAProxy: %s", said.String())
		}
	})
	eventually(b.T, "HAProxy has all nodes: "+bin, func() bool {
		for at := range b.nodes {
			if b.server(at)["status"] != "UP" || b.server(at)["check_status"] != "L7OK" {
				return false
			}
		}
		return true
	})
}

// server is what HAProxy says of a node: its columns by name, and none while it does
// not answer.
func (b *balanced) server(at int) map[string]string {
	conn, err := new(net.Dialer).DialContext(b.Context(), "unix", b.socket)
	if err != nil {
		return nil
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "show stat gatehouse 4 -1\n")
	rows, err := csv.NewReader(conn).ReadAll()
	if err != nil || len(rows) != 1+len(b.nodes) {
		return nil
	}
	columns := map[string]string{}
	for n, name := range rows[0] {
		columns[name] = rows[1+at][n]
	}
	return columns
}

// has waits until HAProxy has, or has not, a node.
func (b *balanced) has(at int, status string) {
	b.Helper()
	eventually(b.T, fmt.Sprintf("HAProxy says that node %d is %s", at, status), func() bool { return b.server(at)["status"] == status })
}

// manner is how a client treats its connections.
type manner int

const (
	fresh manner = iota // one for each request: nothing is sent again by the client itself
	kept                // HTTP/1.1
	multi               // HTTP/2
)

// from is somebody at an address, for whom all sites are the balancer's.
func (b *balanced) from(address string, by manner) *instance {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(by != multi)
	protocols.SetHTTP2(by == multi)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, b.public)
		},
		TLSClientConfig: &tls.Config{RootCAs: b.roots}, Protocols: protocols, DisableKeepAlives: by == fresh,
	}
	b.Cleanup(transport.CloseIdleConnections)
	return &instance{T: b.T, site: atAuth, client: &http.Client{
		Timeout: patience, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// direct reaches a node past the balancer, as its check does.
func (b *balanced) direct(n *instance) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, n.backend)
		},
		TLSClientConfig: &tls.Config{RootCAs: b.roots}, DisableKeepAlives: true,
	}}
}
