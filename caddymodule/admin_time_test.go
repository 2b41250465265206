package caddymodule

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// oneConn is a listener to which somebody comes once.
type oneConn struct {
	conns chan net.Conn
	end   func()
}

func (l oneConn) Accept() (net.Conn, error) {
	conn, open := <-l.conns
	if !open {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (l oneConn) Close() error { l.end(); return nil }

func (oneConn) Addr() net.Addr { return &net.UnixAddr{} }

// asAdmin sends a request to a server with the limits of Caddy's admin endpoint, for a
// handler that is done with done. end closes all of it.
func asAdmin(handler http.HandlerFunc) (client net.Conn, end func()) {
	here, there := net.Pipe()
	conns := make(chan net.Conn, 1)
	conns <- there
	l := oneConn{conns, sync.OnceFunc(func() { close(conns) })}
	s := &http.Server{Handler: handler, ReadTimeout: 10 * time.Second, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = s.Serve(l)
	}()
	return here, func() {
		_ = here.Close()
		_ = s.Close()
		<-over
	}
}

const adminRequest = "POST /token_issuer/clients/shop/revoke HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"

// The admin endpoint gives a request ten seconds. To end a million sign-ins takes longer,
// and is not to be broken off; unless whoever asked for it has gone.
func TestAdminRequestLastsAsLongAsItsCallerWaits(t *testing.T) {
	const work = time.Hour
	for name, c := range map[string]struct {
		leaves time.Duration // after which the caller does
		lasts  time.Duration
	}{
		"a caller who waits":      {2 * work, work},
		"one who goes after long": {time.Minute, time.Minute},
		"one who goes at once":    {time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				done := make(chan error, 1)
				conn, end := asAdmin(func(w http.ResponseWriter, r *http.Request) {
					if err := takeTime(w, r); err != nil {
						done <- err
						return
					}
					select {
					case <-time.After(work):
					case <-r.Context().Done():
					}
					done <- nil
				})
				defer end()
				if _, err := io.WriteString(conn, adminRequest); err != nil {
					t.Fatal(err)
				}
				leaving := time.AfterFunc(c.leaves, func() { _ = conn.Close() })
				defer leaving.Stop()
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if lasted := time.Since(began); lasted != c.lasts {
					t.Errorf("it lasted %s, want %s", lasted, c.lasts)
				}
			})
		})
	}
}

// What was read of a request to notice its end is there to be read.
func TestAdminRequestIsReadOnceMore(t *testing.T) {
	t.Parallel()
	for size, taken := range map[int]bool{0: true, 64 << 10: true, 64<<10 + 1: false} {
		body := strings.Repeat("x", size)
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/", strings.NewReader(body))
		err := takeTime(httptest.NewRecorder(), r)
		if (err == nil) != taken {
			t.Errorf("%d bytes: %v", size, err)
		}
		if err != nil {
			if !strings.Contains(fmt.Sprint(err), "request body too large") {
				t.Errorf("%d bytes: %v", size, err)
			}
			continue
		}
		if text, err := io.ReadAll(r.Body); err != nil || string(text) != body {
			t.Errorf("%d bytes became %d, %v", size, len(text), err)
		}
	}
}
