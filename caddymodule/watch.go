package caddymodule

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// watched is an answer that may turn out to be a stream, which only its header
// tells: whoever reads events by fetch asks for */*.
type watched struct {
	caddyhttp.ResponseWriterWrapper
	gate   *Gate
	run    *running
	pass   *gate.Pass
	begun  bool
	finish func()                   // of a stream; nil where it is none
	client *http.ResponseController // of a stream
	cancel context.CancelCauseFunc  // of the request; nil where deadlines do it

	mu    sync.Mutex
	cause error
	over  bool
	ended atomic.Bool // cause is set
}

// watch hands a request on and ends its answer with the token, should it be a
// stream.
func (g *Gate) watch(w http.ResponseWriter, r *http.Request, run *running, p *passage, next caddyhttp.Handler) error {
	answer := &watched{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, gate: g, run: run, pass: p.pass}
	defer answer.leave(r)
	if r.ProtoMajor == 3 {
		// A deadline of an HTTP/3 stream lets the request's context be, and who waits for the
		// backend's next event does not see it. With the other protocols it does, and a
		// context for each request need not be made.
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer inContext(ctx, r)()
		answer.cancel = cancel
	}
	return next.ServeHTTP(answer, r)
}

// WriteHeader looks at what kind of answer it is.
func (w *watched) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.begin()
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	w.begin()
	if w.ended.Load() {
		return 0, errStreamEnded
	}
	return w.ResponseWriterWrapper.Write(b)
}

// ReadFrom keeps the way by which Caddy sends files.
func (w *watched) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	return w.ResponseWriterWrapper.ReadFrom(r)
}

var errStreamEnded = errors.New("the stream's token is not good any more")

// innermost is the server's own writer. Those around it keep deadlines of their own
// and may be asked by the handler alone.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}

func (w *watched) begin() {
	if w.begun {
		return
	}
	w.begun = true
	if kind := w.Header()["Content-Type"]; len(kind) > 0 && gate.IsEndless(kind[0]) {
		gateStreams.Inc()
		w.client = http.NewResponseController(innermost(w.ResponseWriter))
		w.finish = w.gate.gate.Watch(w.run.streams, w.pass, w.run.now(), w.end)
	}
}

// end lets nothing pass any more, in both directions, and ends the request's context:
// over HTTP/1.1 and HTTP/2 by that.
func (w *watched) end(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.cause != nil {
		return
	}
	w.cause = cause
	w.ended.Store(true)
	now := time.Now()
	// What cannot be set is not needed: HTTP/2 ends with the first of them.
	_ = w.client.SetWriteDeadline(now)
	_ = w.client.SetReadDeadline(now)
	if w.cancel != nil {
		w.cancel(cause)
	}
}

// leave gives up what a stream held.
func (w *watched) leave(r *http.Request) {
	if w.finish == nil {
		return
	}
	w.mu.Lock()
	w.over = true
	cause := w.cause
	w.mu.Unlock()
	w.finish()
	gateStreams.Dec()
	w.gate.streamEnded(r, w.pass, gate.WhyEnded(cause))
}
