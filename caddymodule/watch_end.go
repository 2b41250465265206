package caddymodule

import (
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// patience is how long the handler of a request that has ended may take to come back, once
// for itself and once when its context is over; and how long whoever has then been answered
// in its place has to read that.
const patience = 3 * time.Second / 10

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
	// Who waits for the body learns it by that: FastCGI dials only then, and a dial in a
	// context that is over the proxy takes for a backend that cannot be reached, whoever
	// has ended it. (Over HTTP/1.1 a deadline ends the context, too.)
	switch {
	case w.reading.Load():
		w.readNoMore()
	case w.cancel != nil:
		w.cancel(cause)
	}
}

// press ends the context of a handler that has not come back.
func (w *watched) press() {
	if w.then(w.answer) && w.cancel != nil {
		w.cancel(w.cause)
	}
}

// answer answers in the place of a handler that does not come back then either: one that
// waits for FastCGI looks at no context, and one that waits for a backend to come up at
// that of the configuration alone.
func (w *watched) answer() {
	if !w.then(w.giveUp) {
		return
	}
	w.pen.Lock()
	defer w.pen.Unlock()
	// In the handler net/http would catch it; here it would end the program.
	defer func() {
		if fault := recover(); fault != nil {
			w.gate.logger.Error("a handler in front of the gate broke", zap.Any("fault", fault), zap.Stack("stack"))
		}
	}()
	w.mu.Lock()
	over := w.over
	w.mu.Unlock()
	if !over {
		w.turnAway()
	}
}

// turnAway answers what has ended before its answer. A connection without one a proxy in
// front would count against this node, and a few against every node. What has come from
// behind the gate is not for who has no good token.
//
// An EventSource comes back after 200 alone, and then to the gate.
func (w *watched) turnAway() {
	if w.away {
		return
	}
	w.away = true
	h, status := w.ResponseWriterWrapper.Header(), http.StatusOK
	if w.behind == nil {
		replace(h, w.front)
	}
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

// then has something happen a while later, should the handler not be back by then. It
// reports whether it is not yet.
func (w *watched) then(next func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.late = time.AfterFunc(patience, next)
	}
	return !w.over
}

// giveUp tears off what has not come back. Over HTTP/2 only the handler's return makes an
// answer whole, but one that is left open until then has a proxy in front keep what comes
// next on its client's connection waiting.
func (w *watched) giveUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.tear()
	}
}

// tear ends the request's context, its stream and its connection.
func (w *watched) tear() {
	if w.cancel != nil {
		w.cancel(w.cause)
	}
	client, now := w.client(), time.Now()
	// What cannot be set is not needed: HTTP/2 ends with the first of them.
	_ = client.SetWriteDeadline(now)
	w.readNoMore()
	_ = client.SetReadDeadline(now) // Caddy's own leaves one that it has set for a read under way
	if w.conn != nil {
		go func() { _ = w.conn.Close() }() // TLS may wait for a word to the other end
	}
}

// readNoMore ends the reading of the body. Caddy keeps a deadline of its own for that, and
// has to know of this one: it would put another in its place, and none where the server
// then waits for the rest of the body. It may be asked by anybody.
func (w *watched) readNoMore() {
	now := time.Now()
	if http.NewResponseController(w.ResponseWriter).SetReadDeadline(now) != nil {
		_ = w.client().SetReadDeadline(now)
	}
}

// leave gives up what a stream held, once nobody writes any more. What nobody has begun to
// answer is answered in front of the gate, with the header that it has.
func (w *watched) leave() {
	if w.finish == nil {
		return
	}
	w.pen.Lock()
	w.mu.Lock()
	w.over = true
	if w.late != nil {
		w.late.Stop()
	}
	w.mu.Unlock()
	if !w.ended.Load() {
		w.handOver()
		gateStreams.Dec()
	}
	w.pen.Unlock()
	w.finish()
	if w.away && w.cut.Load() && w.r.ProtoMajor == 1 {
		// The server closes the connection now. Who still sends would learn that before
		// the answer, and a proxy in front take it for a failure of this node.
		time.Sleep(patience)
	}
}
