package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// swarm is an instance whose backend answers nothing under /public/held/ until it is let
// go, and counts whom it holds. What is under /public/script/ is another's (FastCGI): it
// never answers, and the proxy waits for it whether or not the client is still there.
type swarm struct {
	*besieged
	inside, most, scripts atomic.Int64
}

func newSwarm(t *testing.T) *swarm {
	s := &swarm{besieged: &besieged{instance: newInstance(t)}}
	s.path = swift(t)
	script, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.configure(threeClients, `{$SITE} {
	token_issuer
	token_gate {
		except /public/*
	}
	reverse_proxy /public/script/* `+script.Addr().String()+` {
		transport fastcgi
	}
	reverse_proxy {$BACKEND}
}
`)
	s.start()
	held := make(chan struct{})
	s.serve(func(_ http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/public/held/") {
			return
		}
		here := s.inside.Add(1)
		defer s.inside.Add(-1)
		for most := s.most.Load(); here > most && !s.most.CompareAndSwap(most, here); most = s.most.Load() {
		}
		select {
		case <-held:
		case <-r.Context().Done():
		}
	})
	var scripts sync.WaitGroup
	scripts.Go(func() {
		for conn, err := script.Accept(); err == nil; conn, err = script.Accept() {
			defer conn.Close()
			scripts.Go(func() { // dialing ends with the client; what has been asked does not
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					s.scripts.Add(1)
				}
			})
		}
	})
	t.Cleanup(func() {
		close(held)
		_ = script.Close()
		scripts.Wait()
	})
	return s
}

// heard is what the server has said of an attack on one connection.
type heard struct {
	refused atomic.Int64  // streams
	ponged  atomic.Bool   // it has come to the ping behind the attack
	over    chan struct{} // closed when the connection is
}

// listen reads what the server sends, until it ends the connection. A connection that has
// come to its deadline has been ended by nobody.
func (f *frames) listen() *heard {
	h, framer := &heard{over: make(chan struct{})}, f.framer
	go func() {
		defer close(h.over)
		for {
			frame, err := framer.ReadFrame()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				f.Errorf("the connection stays as it is for %s", 2*patience)
			}
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.RSTStreamFrame:
				h.refused.Add(1)
			case *http2.PingFrame:
				h.ponged.Store(frame.IsAck())
			}
		}
	}()
	return h
}

// ended reports whether the server has ended the connection.
func (h *heard) ended() bool {
	select {
	case <-h.over:
		return true
	default:
		return false
	}
}

// request is the header block of a GET.
func (f *frames) request(path string) []byte {
	f.block.Reset()
	for _, field := range []hpack.HeaderField{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: strings.TrimPrefix(f.site, "https://")},
		{Name: ":path", Value: path},
	} {
		if err := f.hpack.WriteField(field); err != nil {
			f.Fatal(err)
		}
	}
	return f.block.Bytes()
}

// begin opens a stream; false: the server takes nothing any more.
func (f *frames) begin(block []byte) bool {
	err := f.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: f.next, BlockFragment: block, EndStream: true, EndHeaders: true})
	f.next += 2
	return err == nil
}

// reset begins streams and breaks each off at once, all of them in one piece: frame by frame
// they would come no faster than they end.
func (f *frames) reset(n int, path string) {
	var flood bytes.Buffer
	direct := f.framer
	f.framer = http2.NewFramer(&flood, nil)
	for range n {
		if !f.begin(f.request(path)) || f.framer.WriteRSTStream(f.next-2, http2.ErrCodeCancel) != nil {
			f.Error("a buffer takes no more")
		}
	}
	f.framer = direct
	_, _ = f.conn.Write(flood.Bytes())
}

// J07: whoever floods a connection of HTTP/2 loses it, or his streams, and nobody else waits.
func TestFloodsOfFramesHoldNobodyUp(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]func(s *swarm, f *frames, h *heard){
		// CVE-2023-44487, CVE-2023-39325: each is worked on after its client has left.
		"rapid reset": func(s *swarm, f *frames, h *heard) {
			f.reset(2000, "/public/held/x")          // the answer to the ping waits for each of them, half a millisecond at least
			_ = f.framer.WritePing(false, [8]byte{}) // where it is closed, that is an answer, too
			eventually(s.T, "it has come to the end", func() bool { return h.ended() || h.ponged.Load() })
			eventually(s.T, "nobody works on what its client has left", func() bool { return s.inside.Load() == 0 })
			s.Logf("the connection is closed: %v; the backend had %d of them at once", h.ended(), s.most.Load())
		},
		// 250 are all that are worked on at a time; behind them there is room for a thousand.
		"rapid reset behind what goes on without its client": func(s *swarm, f *frames, h *heard) {
			first := f.next
			for range 250 {
				f.begin(f.request("/public/script/x"))
			}
			eventually(s.T, "all are worked on", func() bool { return h.ended() || s.scripts.Load() == 250 })
			for id := first; id < f.next; id += 2 {
				if err := f.framer.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
					s.Error(err)
				}
			}
			f.reset(2000, "/public/script/x")
			<-h.over
			if n := s.scripts.Load(); n != 250 {
				s.Errorf("%d of them were worked on", n)
			}
		},
		// CVE-2023-45288: a header that has no end.
		"CONTINUATION": func(s *swarm, f *frames, h *heard) {
			if err := f.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: f.next, BlockFragment: f.request("/public/x"), EndStream: true}); err != nil {
				s.Error(err)
			}
			var block bytes.Buffer
			encoder, sent := hpack.NewEncoder(&block), 0
			const most = 64 << 20 // what is on its way when the server ends it is far less
			for ; sent <= most && !h.ended(); sent += block.Len() {
				block.Reset()
				if err := encoder.WriteField(hpack.HeaderField{Name: "x-more", Value: strings.Repeat("a", 8<<10), Sensitive: true}); err != nil {
					s.Error(err)
				}
				if f.framer.WriteContinuation(f.next, false, block.Bytes()) != nil {
					break
				}
			}
			<-h.over
			if sent > most {
				s.Errorf("the connection takes %d MiB of one header", sent>>20)
			}
		},
		"10,000 streams": func(s *swarm, f *frames, h *heard) {
			opened := int64(0)
			for ; opened < 10_000 && !h.ended() && f.begin(f.request("/public/held/x")); opened++ {
			}
			eventually(s.T, "what is too much is refused", func() bool { return h.ended() || h.refused.Load() >= opened-250 })
			eventually(s.T, "some reach the backend", func() bool { return h.ended() || s.inside.Load() > 0 })
			if most := s.most.Load(); most > 250 {
				s.Errorf("the backend had %d of them at once", most)
			}
			s.Logf("the connection is closed: %v; of %d streams %d were refused", h.ended(), opened, h.refused.Load())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSwarm(t)
			good := bearer(s.earn(byRobot()).Access)
			ctx, over := context.WithCancel(t.Context())
			var others sync.WaitGroup
			defer others.Wait()
			defer over()
			others.Go(func() {
				for n := 0; n < 10 || ctx.Err() == nil; n++ {
					if got, err := s.newcomer().ask(http.MethodGet, "/", "", good); err != nil || got.status != http.StatusOK {
						t.Errorf("beside it: %d %s, %v", got.status, got.body, err)
						return
					}
					<-time.After(20 * time.Millisecond)
				}
			})
			f := s.frames()
			attack(s, f, f.listen())
			if got, err := s.newcomer().ask(http.MethodGet, "/", "", good); err != nil || got.status != http.StatusOK {
				t.Errorf("after it: %d %s, %v", got.status, got.body, err)
			}
		})
	}
}
