package oauth

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// single listens for one connection that is there already.
type single struct {
	conns chan net.Conn
	net.Conn
}

func (s *single) Accept() (net.Conn, error) {
	if conn, open := <-s.conns; open {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (s *single) Close() error   { close(s.conns); return nil }
func (s *single) Addr() net.Addr { return s.LocalAddr() }

// dialed is a connection to a server that reads forms, and then works for half a minute.
func dialed(t *testing.T) net.Conn {
	ours, theirs := net.Pipe()
	listener := &single{conns: make(chan net.Conn, 1), Conn: theirs}
	listener.conns <- theirs
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := ReadForm(w, r, FormEncoded); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		time.Sleep(bodyIn + time.Second)
		if r.Context().Err() != nil {
			t.Error("a request is over while it is worked on")
		}
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		_ = ours.Close()
		_ = server.Close()
	})
	return ours
}

func begin(t *testing.T, conn net.Conn, length, body string) {
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: "+formType+"\r\nContent-Length: "+length+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
}

// J03: a body of a byte a second is not waited for to its end, which would be in a day.
func TestBodyThatDripsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, began := dialed(t), time.Now()
		begin(t, conn, "60000", "a=")
		var drops sync.WaitGroup
		defer drops.Wait() // its sleep ends only while somebody waits
		defer conn.Close()
		drops.Go(func() {
			for {
				if _, err := io.WriteString(conn, "a"); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); answer.StatusCode != http.StatusBadRequest || took < bodyIn || took > bodyIn+2*time.Second {
			t.Errorf("%s after %v", answer.Status, took)
		}
	})
}

// A body that comes late is as good as any, and so is what the connection carries next.
func TestBodyThatComesLateIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := dialed(t)
		answers := bufio.NewReader(conn)
		for range 2 {
			begin(t, conn, "4", "a=")
			time.Sleep(bodyIn - time.Second)
			if _, err := io.WriteString(conn, "bc"); err != nil {
				t.Fatal(err)
			}
			received(t, answers)
			begin(t, conn, "0", "") // the server waits for what comes next before anybody reads a body
			received(t, answers)
		}
	})
}

func received(t *testing.T, answers *bufio.Reader) {
	if answer, err := http.ReadResponse(answers, nil); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", answer, err)
	}
}
