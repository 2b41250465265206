package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// slowly are connections to one site that have all sent the same beginning and go on by a
// byte a second each.
type slowly struct {
	conns []net.Conn
	gone  atomic.Int64 // that the server has ended
}

// gather makes the connections.
func (i *instance) gather(n int, site, beginning string) *slowly {
	i.Helper()
	c := &slowly{conns: make([]net.Conn, n)}
	config := i.trust()
	config.CurvePreferences = []tls.CurveID{tls.X25519} // the cheapest of handshakes
	var next atomic.Int64
	var dialing sync.WaitGroup
	for range 16 {
		dialing.Go(func() {
			for at := next.Add(1) - 1; at < int64(n) && !i.Failed(); at = next.Add(1) - 1 {
				conn, err := (&tls.Dialer{Config: config}).DialContext(i.Context(), "tcp", strings.TrimPrefix(site, "https://"))
				if err != nil {
					i.Errorf("connection %d: %v", at, err)
					return
				}
				// What a slow reader does not read is to fill the server's buffers, not ours.
				_ = conn.(*tls.Conn).NetConn().(*net.TCPConn).SetReadBuffer(16 << 10)
				c.conns[at] = conn
				if _, err := io.WriteString(conn, beginning); err != nil {
					i.Errorf("connection %d: %v", at, err)
				}
			}
		})
	}
	dialing.Wait()
	ctx, over := context.WithCancel(i.Context())
	var dripping sync.WaitGroup
	i.Cleanup(func() {
		over()
		dripping.Wait()
		for _, conn := range c.conns {
			if conn != nil {
				_ = conn.Close()
			}
		}
	})
	if i.Failed() {
		i.FailNow()
	}
	dripping.Go(func() { c.drip(ctx) })
	return c
}

func (c *slowly) drip(ctx context.Context) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	left := append([]net.Conn(nil), c.conns...)
	for {
		here := left[:0]
		for _, conn := range left {
			if _, err := conn.Write([]byte("a")); err != nil {
				c.gone.Add(1)
				continue
			}
			here = append(here, conn)
		}
		left = here
		select {
		case <-ctx.Done():
			return
		case <-second.C:
		}
	}
}

// connections is how many of them this process and the program may each have beside what
// they have open, two thousand at most.
func connections(t *testing.T) int {
	t.Helper()
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := int(min(files.Cur, 10_000)) - len(open) - 200
	if n < 300 {
		t.Fatalf("with %d files, %d of them open, there are too few connections for an attack", files.Cur, len(open))
	}
	return min(n, 2000)
}

// trickle posts a body of a byte a second over HTTP/2, and wants it to be given up.
func (i *instance) trickle() {
	body, drops := io.Pipe()
	ctx, over := context.WithCancel(i.Context())
	defer over()
	go func() {
		second := time.NewTicker(time.Second)
		defer second.Stop()
		for err := error(nil); err == nil; {
			select {
			case <-ctx.Done():
				_ = drops.CloseWithError(ctx.Err())
				return
			case <-second.C:
				_, err = drops.Write([]byte("a"))
			}
		}
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, i.site+"/oauth2/token", body)
	if err != nil {
		i.Error(err)
		return
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	other := i.newcomer()
	other.client.Timeout = 2 * patience // the half minute that a body has is a part of it
	got, err := other.client.Do(r)
	if err != nil {
		i.Errorf("a body that drips over HTTP/2: %v", err)
		return
	}
	_ = got.Body.Close()
	if got.StatusCode != http.StatusBadRequest || got.ProtoMajor != 2 {
		i.Errorf("a body that drips over HTTP/2: %s %s", got.Proto, got.Status)
	}
}

// newcomer is who has had no connection before.
func (i *instance) newcomer() *instance {
	other := *i
	transport := i.client.Transport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	other.client = &http.Client{Timeout: patience, Transport: transport}
	return &other
}

// J03: who sends a byte a second, and who reads nothing, keeps nobody waiting, and no
// request for ever.
func TestSlowClientsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	hurried := "https://localhost:" + ports[0]
	i.path = swift(t)
	i.configure(threeClients, oneSite+hurried+" {\n\ttoken_gate\n\treverse_proxy {$BACKEND}\n}\n",
		"\tservers {\n\t\ttimeouts {\n\t\t\tread_header 10m\n\t\t}\n\t}\n\tservers :"+ports[0]+" {\n\t\ttimeouts {\n\t\t\tread_header 10s\n\t\t\twrite_idle 2s\n\t\t}\n\t}\n")
	i.start()
	givenUp := make(chan string, 10)
	i.serve(func(w http.ResponseWriter, r *http.Request) {
		for piece := make([]byte, 1<<20); strings.HasPrefix(r.URL.Path, "/large"); {
			if _, err := w.Write(piece); err != nil {
				givenUp <- r.URL.Path
				return
			}
		}
	})
	token := i.earn(byRobot()).Access

	host := "Host: " + strings.TrimPrefix(i.site, "https://") + "\r\n"
	bodies := i.gather(20, i.site, "POST /oauth2/token HTTP/1.1\r\n"+host+"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\ngrant_type=")
	var overHTTP2 sync.WaitGroup
	defer overHTTP2.Wait()
	overHTTP2.Go(i.trickle)
	i.gather(4, i.site, "GET /large HTTP/1.1\r\n"+host+bearer(token)+"\r\n\r\n")
	heads := i.gather(connections(t), i.site, "GET / HTTP/1.1\r\n"+host+"X-Slow: ")
	for n := range 20 {
		other := i.newcomer()
		if got := other.post("/oauth2/token", byRobot()); got.status != http.StatusOK {
			t.Errorf("token %d beside them: %d %s", n, got.status, got.body)
		}
		if got := other.must(http.MethodGet, "/", "", bearer(token)); got.status != http.StatusOK {
			t.Errorf("request %d beside them: %d %s", n, got.status, got.body)
		}
	}
	if gone := heads.gone.Load(); int(gone) > len(heads.conns)/2 {
		t.Errorf("%d of %d were gone before the others had come: there was no attack", gone, len(heads.conns))
	}

	// Ours are the bodies; how long heads and answers may take is the server's to say.
	slow := i.gather(1, hurried, "GET / HTTP/1.1\r\n"+host+"X-Slow: ").conns[0]
	i.gather(1, hurried, "GET /large/hurried HTTP/1.1\r\n"+host+bearer(token)+"\r\n\r\n")
	if err := slow.SetReadDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(slow); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a head that drips is waited for")
	}
	for _, conn := range bodies.conns {
		if err := conn.SetReadDeadline(time.Now().Add(2 * patience)); err != nil {
			t.Fatal(err)
		}
		got, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("a body that drips: %v", err)
		}
		_ = got.Body.Close()
		if got.StatusCode != http.StatusBadRequest {
			t.Errorf("a body that drips: %s", got.Status)
		}
	}
	for path := ""; path != "/large/hurried"; {
		select {
		case path = <-givenUp:
		case <-time.After(2 * patience):
			t.Fatal("an answer that nobody reads is never given up")
		}
	}
}
