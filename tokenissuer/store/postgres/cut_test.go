package postgres_test

import (
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres/postgrestest"
)

// line is a way to a server that can be cut: what is sent then is neither answered
// nor refused, as by a cable that was pulled.
type line struct {
	net.Listener
	to  string
	mu  sync.Mutex
	cut chan struct{} // closed when the line is
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &line{Listener: l, to: to, cut: make(chan struct{})}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(conn)
		}
	}()
	return w
}

// state is the channel of now: a line that is mended carries new connections, and
// none of the old.
func (w *line) state() chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut
}

func (w *line) carry(conn net.Conn) {
	cut := w.state()
	server, err := net.Dial("tcp", w.to)
	if err != nil {
		_ = conn.Close()
		return
	}
	pump := func(to, from net.Conn) {
		b := make([]byte, 1<<16)
		for {
			n, err := from.Read(b)
			select {
			case <-cut:
				_, _ = io.Copy(io.Discard, from)
				return
			default:
			}
			if err != nil {
				_ = to.Close()
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
	}
	go pump(conn, server)
	pump(server, conn)
}

func (w *line) pull() { close(w.state()) }

func (w *line) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = make(chan struct{})
}

// TestCutLineHoldsNobodyForEver, and is forgotten when there is one again.
func TestCutLineHoldsNobodyForEver(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(postgrestest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	w := newLine(t, u.Host)
	u.Host = w.Addr().String()
	st := open(t, u.String())
	all := func() (errs []error, took time.Duration) {
		began := time.Now()
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, read := st.Keys(t.Context())
				write := st.Apply(t.Context(), now, store.PutEvent{})
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, read, write)
			})
		}
		wg.Wait()
		return errs, time.Since(began)
	}
	if errs, _ := all(); errors.Join(errs...) != nil { // the pool has its connections
		t.Fatal(errs)
	}
	w.pull()
	errs, took := all()
	for _, err := range errs {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("over a line that is cut: %v", err)
		}
	}
	if took > 45*time.Second { // a look-up and a transaction, of ten seconds each; TCP itself would give up after sixty
		t.Errorf("somebody waited %v", took)
	}
	t.Logf("cut: %v", took)
	w.mend()
	if errs, took = all(); errors.Join(errs...) != nil {
		t.Errorf("over a new line: %v", errs)
	}
	t.Logf("mended: %v", took)
}
