package caddymodule

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// watched is an answer that ends with the token, should it be a stream. Its header tells
// that: whoever reads events by fetch asks for */*, and who asks for events may get JSON.
// What cannot be answered by anything else is followed from the request on.
//
// No way to end it is enough alone: FastCGI looks at no context, HTTP/3 lets it be when a
// deadline passes, and who waits for the backend does not write.
type watched struct {
	caddyhttp.ResponseWriterWrapper
	gate   *Gate
	run    *running
	pass   *gate.Pass
	r      *http.Request
	begun  bool
	finish func()                   // of what is followed; nil where nothing is
	client *http.ResponseController // the same
	conn   net.Conn                 // the same; nil where it carries other requests, too
	cancel context.CancelCauseFunc  // of the request; nil where deadlines do it

	mu    sync.Mutex
	cause error
	over  bool
	ended atomic.Bool // cause is set
}

// connKey is of a request's connection, in its context.
type connKey struct{}

// keepConns has the requests of a server know their connection: over HTTP/1.1 a stream
// ends with it, and not until then for a client that a silent backend keeps waiting.
func (a *App) keepConns(ctx caddy.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || a.conns[server] {
		return
	}
	if a.conns == nil {
		a.conns = map[*caddyhttp.Server]bool{}
	}
	a.conns[server] = true
	server.RegisterConnContext(func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	})
}

// watch hands a request on and ends its answer with the token, should it be a
// stream.
func (g *Gate) watch(w http.ResponseWriter, r *http.Request, run *running, p *passage, next caddyhttp.Handler) error {
	answer := &watched{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, gate: g, run: run, pass: p.pass, r: r}
	defer answer.leave()
	asked := gate.IsStream(r)
	if asked || r.ProtoMajor == 3 {
		// Once the answer has begun, a deadline ends the request's context over HTTP/1.1
		// and HTTP/2, and a context for each request need not be made. It does not over
		// HTTP/3, and before that the proxy would count it against the backend.
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer inContext(ctx, r)()
		answer.cancel = cancel
	}
	if asked {
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &watchedBody{r.Body, answer}
		}
		answer.follow()
	}
	return next.ServeHTTP(answer, r)
}

// WriteHeader looks at what kind of answer it is.
func (w *watched) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		w.begin(status)
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	w.begin(http.StatusOK)
	if w.ended.Load() {
		return 0, errStreamEnded
	}
	return w.ResponseWriterWrapper.Write(b)
}

// ReadFrom keeps the way by which Caddy sends files.
func (w *watched) ReadFrom(r io.Reader) (int64, error) {
	w.begin(http.StatusOK)
	if w.ended.Load() {
		return 0, errStreamEnded
	}
	return w.ResponseWriterWrapper.ReadFrom(r)
}

var errStreamEnded = errors.New("the stream's token is not good any more")

// watchedBody is what is sent with a request for a stream. Where a deadline ends it, it
// was ended by us, and the backend has not failed.
type watchedBody struct {
	io.ReadCloser
	answer *watched
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && b.answer.ended.Load() {
		err = context.Canceled
	}
	return n, err
}

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

func (w *watched) begin(status int) {
	if w.begun {
		return
	}
	w.begun = true
	switch stream := w.isStream(status); {
	case stream && w.finish == nil:
		w.follow()
	case !stream && w.finish != nil:
		w.unfollow()
	}
}

// isStream reports whether the answer may be without end.
func (w *watched) isStream(status int) bool {
	if status == http.StatusSwitchingProtocols || w.r.Method == http.MethodConnect && status < http.StatusMultipleChoices {
		return true
	}
	kind := w.Header()["Content-Type"]
	return len(kind) > 0 && gate.IsEndless(kind[0])
}

// follow has the answer end with the token.
func (w *watched) follow() {
	gateStreams.Inc()
	w.client = http.NewResponseController(innermost(w.ResponseWriter))
	if w.r.ProtoMajor == 1 {
		w.conn, _ = w.r.Context().Value(connKey{}).(net.Conn)
	}
	w.finish = w.gate.gate.Watch(w.run.streams, w.pass, w.run.now(), w.end)
}

// unfollow lets an answer be that has an end of its own after all.
func (w *watched) unfollow() {
	w.mu.Lock()
	w.over = w.cause == nil
	over := w.over
	w.mu.Unlock()
	if over {
		w.finish()
		w.finish = nil
		gateStreams.Dec()
	}
}

// end lets nothing pass any more, in both directions, and ends the request's context
// and its connection.
func (w *watched) end(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.cause != nil {
		return
	}
	w.cause = cause
	w.ended.Store(true)
	if w.cancel != nil {
		w.cancel(cause)
	}
	now := time.Now()
	// What cannot be set is not needed: HTTP/2 ends with the first of them.
	_ = w.client.SetWriteDeadline(now)
	_ = w.client.SetReadDeadline(now)
	if w.conn != nil {
		go func() { _ = w.conn.Close() }() // TLS may wait for a word to the other end
	}
}

// leave gives up what a stream held.
func (w *watched) leave() {
	if w.finish == nil {
		return
	}
	w.mu.Lock()
	w.over = true
	cause := w.cause
	w.mu.Unlock()
	w.finish()
	gateStreams.Dec()
	w.gate.streamEnded(w.r, w.pass, gate.WhyEnded(cause))
}
