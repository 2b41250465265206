package caddymodule

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

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
	own    http.Header // what the answer had before anybody behind the gate; nil: nothing to keep
	source bool        // who asks is an EventSource
	begun  bool
	finish func()                   // of what is followed; nil where nothing is
	client *http.ResponseController // the same
	about  []zap.Field              // the same, for its event
	conn   net.Conn                 // the same; nil where it carries other requests, too
	cancel context.CancelCauseFunc  // of the request; nil where deadlines do it

	mu      sync.Mutex
	cause   error
	out     bool // the header is
	over    bool
	late    *time.Timer
	ended   atomic.Bool // cause is set
	reading atomic.Bool // the body has not come to its end
}

// patience is how long the handler of a request that has ended may take to come back, once
// for itself and once when its context is over.
const patience = 2 * time.Second / 5

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
	if asked || w.Header()["Set-Cookie"] != nil { // the gate may have renewed a cookie
		answer.own = maps.Clone(w.Header())
	}
	if asked {
		answer.source = gate.IsEventSource(r)
		if r.Body != nil && r.Body != http.NoBody {
			answer.reading.Store(r.ContentLength != 0 && r.Method != http.MethodConnect) // HTTP/2 has a body of nothing, and nobody reads what comes before a 101
			r.Body = &watchedBody{r.Body, answer}
		}
		answer.follow()
	}
	return answer.serve(r, next)
}

// serve hands the request on. What becomes of one that has ended before its answer is
// nobody's failure, and no matter of the error routes.
func (w *watched) serve(r *http.Request, next caddyhttp.Handler) (err error) {
	defer func() {
		if !w.ended.Load() || w.out {
			return
		}
		if fault := recover(); fault != nil && fault != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
			panic(fault)
		}
		w.begin(http.StatusOK)
		err = nil
	}()
	return next.ServeHTTP(w, r)
}

// WriteHeader looks at what kind of answer it is.
func (w *watched) WriteHeader(status int) {
	may := !w.ended.Load()
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		may = w.begin(status)
	}
	if may {
		w.ResponseWriterWrapper.WriteHeader(status)
	}
}

func (w *watched) Write(b []byte) (int, error) {
	if !w.begin(http.StatusOK) {
		return 0, errStreamEnded
	}
	return w.ResponseWriterWrapper.Write(b)
}

// ReadFrom keeps the way by which Caddy sends files. Of a stream each piece may be the
// last.
func (w *watched) ReadFrom(r io.Reader) (int64, error) {
	if !w.begin(http.StatusOK) {
		return 0, errStreamEnded
	}
	if w.finish != nil {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	return w.ResponseWriterWrapper.ReadFrom(r)
}

// Hijack is how an upgrade takes the connection.
func (w *watched) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !w.begin(http.StatusSwitchingProtocols) {
		return nil, nil, errStreamEnded
	}
	return http.NewResponseController(w.ResponseWriter).Hijack()
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
	if err == nil {
		return n, nil
	}
	b.answer.reading.Store(false)
	if !errors.Is(err, io.EOF) && b.answer.ended.Load() {
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

// begin reports whether an answer may go on, and begins it. One that ends before gets
// another.
func (w *watched) begin(status int) bool {
	if !w.begun {
		w.begun = true
		switch stream := w.isStream(status); {
		case stream && w.finish == nil:
			w.follow()
		case !stream && w.finish != nil:
			w.unfollow()
		}
		if w.finish != nil && !w.letOut() {
			w.turnAway()
		}
	}
	return !w.ended.Load()
}

// letOut lets the header out. From here on what ends the stream tears it off.
func (w *watched) letOut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out = w.cause == nil
	return w.out
}

// turnAway answers what has ended before its answer. A connection without one a proxy in
// front would count against this node, and a few against every node. What has come from
// behind the gate is not for who has no good token.
//
// An EventSource comes back after 200 alone, and then to the gate.
func (w *watched) turnAway() {
	h, status := w.Header(), http.StatusOK
	clear(h)
	maps.Copy(h, w.own)
	if w.source {
		h.Set("Content-Type", "text/event-stream")
	} else {
		refusal := w.gate.gate.Lapsed(w.pass, w.cause)
		status = refusal.Status
		w.gate.challenge(h, w.r, refusal)
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", "0")
	if w.r.ProtoMajor == 1 {
		h.Set("Connection", "close") // it has deadlines now
	}
	w.ResponseWriterWrapper.WriteHeader(status)
	_ = http.NewResponseController(w.ResponseWriter).Flush() // the handler may not come back soon
}

// isStream reports whether the answer may be without end.
func (w *watched) isStream(status int) bool {
	if status == http.StatusSwitchingProtocols || w.r.Method == http.MethodConnect && status < http.StatusMultipleChoices {
		return true
	}
	return slices.ContainsFunc(w.Header()["Content-Type"], gate.IsEndless) // a proxy adds its own to that of `header`
}

// follow has the answer end with the token.
func (w *watched) follow() {
	gateStreams.Inc()
	w.client = http.NewResponseController(innermost(w.ResponseWriter))
	w.about = w.gate.streamFields(w.r, w.pass)
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

// end lets nothing pass any more, in both directions. Before there is a header it has the
// handler come back, and tears off only what does not.
func (w *watched) end(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.cause != nil {
		return
	}
	w.cause = cause
	w.ended.Store(true)
	gateStreams.Dec()
	go w.gate.streamEnded(w.about, gate.WhyEnded(cause)) // where the log is slow, the next one ends nevertheless
	if w.out {
		w.tear()
		return
	}
	w.late = time.AfterFunc(patience, w.press)
	// Who waits for the body learns it by that: FastCGI dials only then, and a context
	// that is over the proxy would take for a backend that cannot be reached. (Over
	// HTTP/1.1 it does all the same, as for every caller who leaves in the middle of a body.)
	switch {
	case w.reading.Load():
		_ = w.client.SetReadDeadline(time.Now())
	case w.cancel != nil:
		w.cancel(cause)
	}
}

// press ends the context of a handler that has not come back, and tears off what does not
// come back then either.
func (w *watched) press() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	if w.cancel != nil {
		w.cancel(w.cause)
	}
	w.late = time.AfterFunc(patience, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.over {
			w.tear()
		}
	})
}

// tear ends the request's context, its stream and its connection.
func (w *watched) tear() {
	if w.cancel != nil {
		w.cancel(w.cause)
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
	if w.late != nil {
		w.late.Stop()
	}
	w.mu.Unlock()
	w.finish()
	if !w.ended.Load() {
		gateStreams.Dec()
	}
}
