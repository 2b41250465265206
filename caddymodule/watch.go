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
	front  http.Header             // what the answer had before anybody behind the gate; nil: nothing to keep
	behind http.Header             // the header for who is behind the gate, until it is out; nil: the answer's own
	finish func()                  // of what is followed; nil where nothing is
	about  []zap.Field             // the same, for its event
	conn   net.Conn                // the same; nil where it carries other requests, too
	cancel context.CancelCauseFunc // of the request; nil where deadlines do it
	source bool                    // who asks is an EventSource
	begun  bool                    // by the handler

	// pen is for who writes to the client what is no answer of the handler's: in its
	// place, or before it. It is taken before mu, and a write may take its time.
	away bool // turned
	pen  sync.Mutex

	mu      sync.Mutex
	out     bool // the header is
	over    bool
	ended   atomic.Bool // cause is set
	reading atomic.Bool // the body has not come to its end
	cut     atomic.Bool // and will not
	cause   error
	late    *time.Timer
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
	defer answer.leave() // before the request is as it was
	if !asked {
		if isSaid(w.Header()) {
			answer.front = w.Header().Clone()
		}
		return answer.serve(r, next)
	}
	answer.behind = w.Header().Clone() // it may be answered in the handler's place
	answer.source = gate.IsEventSource(r)
	if r.Body != nil && r.Body != http.NoBody {
		answer.reading.Store(r.ContentLength != 0) // HTTP/2 has a body of nothing
		r.Body = &watchedBody{r.Body, answer}
	}
	answer.follow()
	if answer.ended.Load() { // meanwhile
		answer.begin(http.StatusOK)
		return nil
	}
	return answer.serve(r, next)
}

// isSaid reports whether anybody in front of the gate has said something of the answer:
// CORS, a cookie that the gate has renewed. What Caddy says of every answer is no word.
func isSaid(h http.Header) bool {
	n := len(h)
	for _, name := range [...]string{"Server", "Alt-Svc"} {
		if n > 0 && h[name] != nil {
			n--
		}
	}
	return n > 0
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

// Header is for who is behind the gate.
func (w *watched) Header() http.Header {
	if w.behind != nil {
		return w.behind
	}
	return w.ResponseWriterWrapper.Header()
}

// WriteHeader looks at what kind of answer it is.
func (w *watched) WriteHeader(status int) {
	if status < http.StatusOK && status != http.StatusSwitchingProtocols {
		w.inform(status)
	} else if w.begin(status) {
		w.ResponseWriterWrapper.WriteHeader(status)
	}
}

// inform sends on what comes before an answer, such as early hints.
func (w *watched) inform(status int) {
	w.pen.Lock()
	defer w.pen.Unlock()
	if w.ended.Load() {
		return
	}
	if w.behind != nil {
		h := w.ResponseWriterWrapper.Header()
		front := maps.Clone(h)
		defer replace(h, front)
		replace(h, w.behind)
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// replace has a header be another.
func replace(h, by http.Header) {
	clear(h)
	maps.Copy(h, by)
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

// FlushError is how a header goes out that nothing follows yet.
func (w *watched) FlushError() error {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	if w.ended.Load() {
		return errStreamEnded
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// SetWriteDeadline waits for who writes: Caddy's own writer keeps the deadline.
func (w *watched) SetWriteDeadline(deadline time.Time) error {
	w.pen.Lock()
	defer w.pen.Unlock()
	return http.NewResponseController(w.ResponseWriter).SetWriteDeadline(deadline)
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
	if b.answer.ended.Load() {
		b.answer.cut.Store(true)
		return 0, context.Canceled
	}
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		return n, nil
	}
	b.answer.reading.Store(false)
	if !errors.Is(err, io.EOF) && b.answer.ended.Load() {
		b.answer.cut.Store(true)
		err = context.Canceled
	}
	return n, err
}

// client is the server's own writer. Those around it keep write deadlines of their own
// and may be asked for those by the handler alone.
func (w *watched) client() *http.ResponseController {
	inner := w.ResponseWriter
	for {
		wrapper, ok := inner.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return http.NewResponseController(inner)
		}
		inner = wrapper.Unwrap()
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
		if w.finish == nil {
			w.handOver()
		} else {
			w.letOut()
		}
	}
	return !w.ended.Load()
}

// letOut lets the header out, unless the answer has ended: from here on what ends it tears
// it off.
func (w *watched) letOut() {
	w.pen.Lock()
	defer w.pen.Unlock()
	w.mu.Lock()
	w.out = w.cause == nil
	w.mu.Unlock()
	if w.out {
		w.handOver()
	} else {
		w.turnAway()
	}
}

// handOver makes what was said behind the gate the answer's.
func (w *watched) handOver() {
	if w.behind != nil {
		replace(w.ResponseWriterWrapper.Header(), w.behind)
		w.behind = nil // trailers come later, and are read there
	}
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
	w.r = w.r.WithContext(w.r.Context()) // what ends it is not the handler, which may change its request
	w.about = w.gate.streamFields(w.r, w.pass)
	if w.pass.Claims != nil {
		w.pass.Claims.Every() // for whoever asks for them, here or where it is answered for the handler
	}
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
