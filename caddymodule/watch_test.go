package caddymodule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// revoke has the shop take a token of its own back.
func (w *world) revoke(token string) {
	w.Helper()
	if a := w.post("/oauth2/revoke", url.Values{"token": {token}, "client_id": {"shop"}, "client_secret": {shopSecret}}); a.status != http.StatusOK {
		w.Fatal(a)
	}
}

// asking is a request under way, as its client has it.
type asking struct {
	*http.Response
	err  error
	text string
}

// ask sends a request of header lines and hands its answer on once that is there.
func (w *world) ask(client *http.Client, method, path, token string, body io.Reader, lines ...string) <-chan asking {
	w.Helper()
	return w.send(client, true, method, path, token, body, lines)
}

// send is the same, and of an answer that need not be whole.
func (w *world) send(client *http.Client, whole bool, method, path, token string, body io.Reader, lines []string) <-chan asking {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, "http://app.example.com"+path, body)
	if err != nil {
		w.Fatal(err)
	}
	for _, line := range append(lines, "Authorization: Bearer "+token) {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	answered := make(chan asking, 1)
	go func() {
		response, err := client.Do(r)
		if err != nil {
			answered <- asking{err: err}
			return
		}
		if !whole {
			w.Cleanup(func() { response.Body.Close() })
			answered <- asking{Response: response}
			return
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		answered <- asking{response, err, string(text)}
	}()
	return answered
}

// rest reads what is left of an answer that need not be whole.
func (a asking) rest() <-chan asking {
	whole := make(chan asking, 1)
	go func() {
		if a.err == nil {
			text, err := io.ReadAll(a.Body)
			a.err, a.text = err, string(text)
		}
		whole <- a
	}()
	return whole
}

// within is what comes of a request.
func (w *world) within(what string, answered <-chan asking) asking {
	w.Helper()
	select {
	case a := <-answered:
		return a
	case <-time.After(far):
		w.Fatalf("%s: goes on", what)
	}
	return asking{}
}

const fallibleSite = `
http://app.example.com {
	token_issuer
	token_gate
	reverse_proxy $NETWORK/$DIR/backend $NETWORK/$DIR/./backend {
		fail_duration 30s
		lb_try_duration 2s
	}
}`

// One whose token ends while the backend thinks could take every backend down, for
// everybody, had it failed: the proxy counts it, and tries the next.
func TestEndOfATokenIsNoFailureOfTheBackend(t *testing.T) {
	for _, network := range []string{"unix", "unix+h2c"} {
		t.Run(network, func(t *testing.T) {
			w := newWorld(t)
			asked := make(chan string, 8)
			w.backend(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/thinks" {
					asked <- r.Proto
					_, _ = io.Copy(io.Discard, r.Body)
					<-r.Context().Done()
				}
			})
			w.load(h2cServer+oneIssuer, strings.ReplaceAll(fallibleSite, "$NETWORK", network))
			for protocol, client := range map[string]*http.Client{"HTTP/1.1": w.client, "HTTP/2": w.h2c()} {
				w.endsWhileTheBackendThinks(network, protocol, client, asked)
			}
			if strings.Contains(w.logged(), "http.log.error") {
				t.Errorf("in the log:\n%s", w.logged())
			}
		})
	}
}

func (w *world) endsWhileTheBackendThinks(network, protocol string, client *http.Client, asked chan string) {
	w.Helper()
	for _, c := range []struct {
		name, method string
		half         bool // of the body is never sent
		lines        []string
	}{
		{"events", http.MethodGet, false, []string{"Accept: text/event-stream"}},
		{"a WebSocket", http.MethodGet, false, []string{"Upgrade: websocket", "Connection: Upgrade"}},
		{"a call of gRPC", http.MethodPost, false, []string{"Content-Type: application/grpc"}},
		{"events, and half of a body", http.MethodPost, true, []string{"Accept: text/event-stream"}},
		{"gRPC, and half of a body", http.MethodPost, true, []string{"Content-Type: application/grpc"}},
	} {
		if c.lines[0] == "Upgrade: websocket" && (protocol == "HTTP/2" || network == "unix+h2c") {
			continue // HTTP/2 has no such header
		}
		if c.half && network == "unix+h2c" {
			continue // closing a body that is being read is a race of the proxy's own there, whoever ends the request
		}
		hers, his := w.token(), w.token()
		rest, whole := net.Pipe()
		var body io.Reader
		if c.half {
			body = io.MultiReader(strings.NewReader("half of it"), rest)
		}
		waits := w.ask(client, c.method, "/thinks", hers, body, c.lines...)
		name := c.name + " over " + protocol + " and " + network
		select {
		case <-asked:
		case <-time.After(far):
			w.Fatalf("%s: no backend was asked", name)
		}
		before := w.told()
		w.revoke(hers)
		waitFor(w.T, func() bool { return w.told() != before })
		whole.Close() // a client waits for it as well
		if a := w.within(name, waits); w.told() == before || a.err != nil || a.StatusCode != lapsed(c.method, c.lines[0]) || a.text != "" {
			w.Errorf("%s: %d streams have ended; %v %v %s", name, w.told(), a.Response, a.err, a.text)
		}
		<-time.After(300 * time.Millisecond) // the proxy would ask again after 250
		if a := w.get("/", "Authorization: Bearer "+his); a.status != http.StatusOK || len(asked) != 0 {
			w.Errorf("%s: somebody else's request: %d, after %d more were sent to a backend", name, a.status, len(asked))
		}
	}
}

// lapsed is the status for one whose token ends before the answer.
func lapsed(method, line string) int {
	if method == http.MethodGet && line == "Accept: text/event-stream" {
		return http.StatusOK // an EventSource comes back after no other
	}
	return http.StatusUnauthorized
}

const fallibleNode = `
http://node.example.com {
	token_issuer
	token_gate
	reverse_proxy unix/$DIR/backend
}
http://app.example.com {
	reverse_proxy $NETWORK/$DIR/http {
		header_up Host node.example.com
		fail_duration 30s
	}
}`

// A proxy in front counts a connection that breaks before an answer as this node's
// failure, and so one caller could have it sent nobody's requests any more.
func TestEndOfATokenIsNoFailureOfTheNode(t *testing.T) {
	for _, network := range []string{"unix", "unix+h2c"} {
		t.Run(network, func(t *testing.T) {
			w := newWorld(t)
			asked, more := make(chan struct{}, 8), make(chan struct{})
			w.backend(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				rw.Header().Set("Set-Cookie", "of=the_backend")
				asked <- struct{}{}
				select {
				case <-more:
					endless(rw, r)
				case <-r.Context().Done():
				}
			})
			w.load(h2cServer+oneIssuer, strings.ReplaceAll(fallibleNode, "$NETWORK", network))
			for _, c := range []struct{ method, line string }{
				{http.MethodGet, "Accept: text/event-stream"},
				{http.MethodPost, "Accept: text/event-stream"},
				{http.MethodGet, "Upgrade: websocket"},
				{http.MethodPost, "Content-Type: application/grpc"},
				{http.MethodPost, "Content-Type: application/connect+proto"},
				{http.MethodGet, "Accept: */*"},
				{http.MethodPost, "Accept: application/json, text/event-stream"},
			} {
				if network == "unix+h2c" && strings.HasPrefix(c.line, "Upgrade") {
					continue // HTTP/2 has no such header
				}
				hers, his := w.token(), w.token()
				lines := []string{c.line}
				if strings.HasPrefix(c.line, "Upgrade") {
					lines = append(lines, "Connection: Upgrade")
				}
				name := c.method + " " + c.line
				waits := w.ask(w.client, c.method, "/events", hers, strings.NewReader("{}"), lines...)
				<-asked
				w.revoke(hers)
				if strings.Contains(c.line, "/*") || strings.Contains(c.line, "json") {
					more <- struct{}{} // of what only the answer tells that it is a stream
				}
				a := w.within(name, waits)
				if a.err != nil || a.StatusCode != lapsed(c.method, c.line) || a.text != "" || a.Header["Set-Cookie"] != nil {
					t.Errorf("%s: %+v", name, a)
				} else if a.StatusCode == http.StatusOK && a.Header.Get("Content-Type") != "text/event-stream" ||
					a.StatusCode != http.StatusOK && !strings.Contains(a.Header.Get("WWW-Authenticate"), "revoked") {
					t.Errorf("%s: %v", name, a.Header)
				}
				if a := w.get("/", "Authorization: Bearer "+his); a.status != http.StatusOK {
					t.Errorf("%s: somebody else's request: %d", name, a.status)
				}
			}
		})
	}
}

const unreturningNode = `
http://node.example.com {
	token_issuer
	token_gate
	handle /mute {
		reverse_proxy unix/$DIR/php {
			transport fastcgi
		}
	}
	handle /down {
		reverse_proxy unix/$DIR/nobody {
			fail_duration 30s
			lb_try_duration 30s
		}
	}
	respond ok
}
http://app.example.com {
	reverse_proxy $NETWORK/$DIR/http {
		header_up Host node.example.com
		fail_duration 30s
		flush_interval -1
	}
}`

// Some do not come back whatever is ended: FastCGI waits for its script, and a proxy for a
// backend that has failed. They are answered for.
func TestWhatDoesNotComeBackIsNoFailureOfTheNode(t *testing.T) {
	for _, network := range []string{"unix", "unix+h2c"} {
		t.Run(network, func(t *testing.T) {
			w := newWorld(t)
			more := make(chan struct{})
			defer close(more)
			w.fastcgi(script(more))
			w.load(h2cServer+oneIssuer, strings.ReplaceAll(unreturningNode, "$NETWORK", network))
			for _, path := range []string{"/mute", "/down"} {
				for _, c := range []struct{ method, line string }{
					{http.MethodGet, "Accept: text/event-stream"},
					{http.MethodPost, "Accept: text/event-stream"},
					{http.MethodPost, "Content-Type: application/grpc"},
				} {
					name := c.method + " " + path + " " + c.line
					hers, his := w.token(), w.token()
					before := w.letIn()
					answered := w.send(w.client, false, c.method, path, hers, strings.NewReader("{}"), []string{c.line})
					waitFor(t, func() bool { return w.letIn() > before })
					select {
					case a := <-answered:
						t.Fatalf("%s: answered before the token ended: %+v", name, a)
					case <-time.After(200 * time.Millisecond):
					}
					w.revoke(hers)
					if a := w.within(name, answered); a.err != nil || a.StatusCode != lapsed(c.method, c.line) {
						t.Errorf("%s: %+v", name, a)
					}
					<-time.After(2 * patience) // it is torn off
					if a := w.get("/", "Authorization: Bearer "+his); a.status != http.StatusOK {
						t.Errorf("%s: somebody else's request: %d", name, a.status)
					}
				}
			}
		})
	}
}

// Over HTTP/2 nobody but the handler can make an answer whole. Its status is there without
// it, and the stream is reset.
func TestStatusOverHTTP2DoesNotWaitForTheHandler(t *testing.T) {
	for line, says := range map[string]bool{"Accept: text/event-stream": false, "Accept: */*": true} {
		t.Run(line, func(t *testing.T) {
			w := newWorld(t)
			here, ended, more := make(chan struct{}), make(chan struct{}), make(chan struct{})
			defer close(more)
			w.fastcgi(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				close(here)
				<-ended
				if says { // that it is a stream, and no more
					rw.Header().Set("Content-Type", "text/event-stream")
					_, _ = rw.Write(nil)
					rw.(http.Flusher).Flush()
				}
				<-more
			}))
			w.load(h2cServer+oneIssuer, fastcgiSite)
			hers := w.token()
			answered := w.ask(w.h2c(), http.MethodPost, "/", hers, nil, line)
			<-here
			w.revoke(hers)
			close(ended)
			if a := w.within("the answer", answered); a.Response == nil || a.StatusCode != http.StatusUnauthorized || a.err == nil || a.text != "" {
				t.Errorf("%+v", a)
			}
		})
	}
}

// zeros have no end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// Who cannot be rid of what it reads does not see that no more of it comes. It comes back
// when its context is over.
func TestHandlerThatDoesNotReadIsBroughtBack(t *testing.T) {
	w := newWorld(t)
	asked := make(chan struct{}, 1)
	over := make(chan struct{})
	defer close(over)
	w.backend(func(_ http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-over
	})
	w.load(h2cServer+oneIssuer, oneSite)
	hers := w.token()
	answered := w.ask(w.h2c(), http.MethodPost, "/", hers, zeros{}, "Content-Type: application/grpc")
	<-asked
	<-time.After(200 * time.Millisecond) // until the backend's connection is full
	w.revoke(hers)
	if a := w.within("the answer", answered); a.err != nil || a.StatusCode != http.StatusUnauthorized || a.text != "" {
		t.Errorf("%+v", a)
	}
}

// Who stops in the middle of a small body is waited for by nobody once the token has
// ended: the server reads what is left of it before it lets the connection be.
func TestRestOfABodyIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	asked := make(chan struct{}, 1)
	w.backend(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body)
	})
	w.load(oneIssuer, oneSite)
	hers := w.token()
	conn, err := new(net.Dialer).DialContext(t.Context(), "unix", filepath.Join(w.dir, "http"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: app.example.com\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\nContent-Length: 1000\r\n\r\nhalf of it", hers); err != nil {
		t.Fatal(err)
	}
	<-asked
	w.revoke(hers)
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	answer, err := io.ReadAll(conn) // to its end
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 401 ") {
		t.Errorf("%v: %s", err, answer)
	}
}

// A token may end between the gate's look at it and the register of streams: then nobody
// behind the gate is asked, and no upstream counted as one that cannot be reached.
func TestWhatHasEndedMeanwhileIsNotHandedOn(t *testing.T) {
	w := newWorld(t)
	w.fastcgi(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "ok") }))
	w.load(h2cServer+oneIssuer, strings.Replace(fastcgiSite, "flush_interval -1", "fail_duration 30s", 1))
	hers := w.token()
	app, err := caddy.ActiveContext().AppIfConfigured("token_issuer")
	if err != nil {
		t.Fatal(err)
	}
	app.(*App).running.Load().streams.Close()
	a := w.within("the stream", w.ask(w.client, http.MethodPost, "/", hers, nil, "Accept: text/event-stream"))
	if a.err != nil || a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("%+v", a)
	}
	if a := w.get("/", "Authorization: Bearer "+hers); a.status != http.StatusOK {
		t.Errorf("somebody else's request: %v", a)
	}
}

// What stands in front of the gate holds for every answer: a page may not read the 401
// without it.
func TestWhatIsSaidInFrontOfTheGateStaysInTheAnswer(t *testing.T) {
	w := newWorld(t)
	here, more := make(chan struct{}), make(chan struct{})
	defer close(more)
	w.backend(func(rw http.ResponseWriter, _ *http.Request) {
		here <- struct{}{}
		<-more
		rw.Header().Set("Content-Type", "application/x-ndjson")
		rw.Header().Set("Set-Cookie", "of=the_backend")
		rw.Header().Set("Access-Control-Allow-Origin", "https://other.example.com")
		fmt.Fprintln(rw, `"hello"`)
	})
	w.load(h2cServer+oneIssuer, strings.Replace(oneSite, "token_gate\n", "header Access-Control-Allow-Origin https://spa.example.com\n\ttoken_gate\n", 1))
	for _, line := range []string{"Accept: */*", "Content-Type: application/grpc"} {
		hers := w.token()
		answered := w.ask(w.client, http.MethodPost, "/", hers, nil, line)
		<-here
		w.revoke(hers)
		if line == "Accept: */*" {
			more <- struct{}{}
		}
		a := w.within(line, answered)
		if a.err != nil || a.StatusCode != http.StatusUnauthorized || a.Header["Set-Cookie"] != nil ||
			!slices.Equal(a.Header["Access-Control-Allow-Origin"], []string{"https://spa.example.com"}) {
			t.Errorf("%s: %+v", line, a)
		}
	}
}

// The header that is written behind the gate is the answer's, with what came before it and
// after it, also of one that is followed from its request on.
func TestHeaderOfAStreamArrivesWhole(t *testing.T) {
	w := newWorld(t)
	w.backend(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Link", "</a.css>; rel=preload")
		rw.WriteHeader(http.StatusEarlyHints)
		rw.Header().Del("Link")
		rw.Header().Set("Trailer", "Grpc-Status")
		rw.Header().Set("Content-Type", "application/grpc")
		rw.Header().Set("Set-Cookie", "of=the_backend")
		fmt.Fprint(rw, "hello")
		rw.Header().Set("Grpc-Status", "0")
	})
	w.load(h2cServer+oneIssuer, strings.Replace(oneSite, "token_gate\n", "header {\n\t\tIn-Front yes\n\t\t-Server\n\t}\n\ttoken_gate\n", 1))
	for protocol, client := range map[string]*http.Client{"HTTP/1.1": w.client, "HTTP/2": w.h2c()} {
		early := make(chan string, 8)
		trace := &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			early <- h.Get("Link") + h.Get("In-Front")
			return nil
		}}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodPost, "http://app.example.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + w.token()}, "Content-Type": {"application/grpc"}}
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(a.Body)
		a.Body.Close()
		if err != nil || string(text) != "hello" || a.Trailer.Get("Grpc-Status") != "0" {
			t.Errorf("%s: %q, %v, %v", protocol, text, err, a.Trailer)
		}
		if a.Header.Get("In-Front") != "yes" || a.Header.Get("Set-Cookie") == "" || a.Header["Link"] != nil || a.Header["Server"] != nil {
			t.Errorf("%s: %v", protocol, a.Header)
		}
		close(early)
		if hint := <-early; !strings.HasPrefix(hint, "</a.css>; rel=preload") {
			t.Errorf("%s: the early hint is %q, of %d", protocol, hint, len(early)+1)
		}
	}
}

// What fails behind the gate is answered in front of it with the header that it has left.
func TestHeaderOfAnErrorIsLeftToItsRoutes(t *testing.T) {
	w := newWorld(t)
	w.load(h2cServer+oneIssuer, strings.Replace(oneSite, "reverse_proxy unix/$DIR/backend", "route {\n\t\theader Behind yes\n\t\terror 418\n\t}", 1))
	a := w.within("the error", w.ask(w.client, http.MethodPost, "/", w.token(), nil, "Content-Type: application/grpc"))
	if a.err != nil || a.StatusCode != http.StatusTeapot || a.Header.Get("Behind") != "yes" {
		t.Errorf("%+v", a)
	}
}

// What breaks behind the gate is no end of a stream.
func TestFaultOfAnEndedStreamIsStillOne(t *testing.T) {
	defer func() {
		if fault := recover(); fault != "broken" {
			t.Errorf("%v", fault)
		}
	}()
	one := &watched{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: httptest.NewRecorder()}}
	_ = one.serve(nil, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		one.ended.Store(true)
		panic("broken")
	}))
}

// A type that is set in front of the proxy is not the only one: the backend's is added.
func TestStreamsOfTwoTypesEndWithTheirToken(t *testing.T) {
	w := newWorld(t)
	w.backend(endless)
	w.load(h2cServer+oneIssuer, strings.Replace(streamSite, "token_gate\n", "header Content-Type application/json\n\ttoken_gate\n", 1))
	hers := w.token()
	all := w.streams(5, "two types", hers)
	w.revoke(hers)
	w.ended(all)
}

// piecemeal ends a stream with its second piece.
type piecemeal struct {
	of     *watched
	pieces int
}

func (p *piecemeal) Read(b []byte) (int, error) {
	if p.pieces++; p.pieces == 2 {
		p.of.ended.Store(true)
	}
	if p.pieces == 4 {
		return 0, io.EOF
	}
	return copy(b, "piece "), nil
}

// Over HTTP/3 no deadline ends what is copied in one go.
func TestCopyingEndsWithTheToken(t *testing.T) {
	to := httptest.NewRecorder()
	w := &watched{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: to}, begun: true, finish: func() {}}
	if _, err := w.ReadFrom(&piecemeal{of: w}); !errors.Is(err, errStreamEnded) || to.Body.String() != "piece " {
		t.Errorf("%v, %q", err, to.Body)
	}
}

// letIn is how many requests the log says have passed a gate.
func (w *world) letIn() int { return strings.Count(w.logged(), `"gate passed"`) }

// told is how many streams the log says have been ended.
func (w *world) told() int { return strings.Count(w.logged(), `"gate ended a stream"`) }

// script is a FastCGI responder: events by default, each half a second or once and then
// silence; lines of JSON, and JSON that takes its time.
func script(more <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		say := func(kind, text string) error {
			w.Header().Set("Content-Type", kind)
			if _, err := io.WriteString(w, text); err != nil {
				return err
			}
			w.(http.Flusher).Flush()
			return nil
		}
		switch r.URL.Path {
		case "/json":
			_ = say("application/json", `["hello"`)
			<-more
			_ = say("application/json", `, "and goodbye"]`)
		case "/silence":
			_ = say("text/event-stream", "data: hello\n\n")
			<-more
		case "/mute":
			<-more
		default:
			kind, text := "text/event-stream", "data: hello\n\n"
			if r.URL.Path == "/lines" {
				kind, text = "application/x-ndjson", "\"hello\"\n"
			}
			for say(kind, text) == nil {
				select {
				case <-more:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}
	}
}

// fastcgi serves FastCGI.
func (w *world) fastcgi(handle http.Handler) {
	w.Helper()
	listener := w.listen("php")
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = fcgi.Serve(listener, handle)
	}()
	w.Cleanup(func() {
		listener.Close()
		<-over
	})
}

const fastcgiSite = `
http://app.example.com {
	token_issuer
	token_gate
	reverse_proxy unix/$DIR/php {
		flush_interval -1
		transport fastcgi
	}
}`

// FastCGI looks at no context: what ends a stream of it is that nothing can be written
// any more, whatever was asked for.
func TestStreamsOfFastCGIEndWithTheirToken(t *testing.T) {
	w := newWorld(t)
	more := make(chan struct{})
	defer close(more)
	w.fastcgi(script(more))
	w.load(h2cServer+oneIssuer, fastcgiSite)
	clients := map[string]*http.Client{"HTTP/1.1": w.client, "HTTP/2": w.h2c()}
	for name, c := range map[string]struct {
		path  string
		lines []string
	}{
		"events":                          {"/events", []string{"Accept: text/event-stream"}},
		"events that nobody asked for":    {"/events", []string{"Accept: */*"}},
		"events among others":             {"/events", []string{"Accept: application/json, text/event-stream"}},
		"lines, and events asked for":     {"/lines", []string{"Accept: text/event-stream"}},
		"lines, and a WebSocket":          {"/lines", []string{"Connection: Upgrade", "Upgrade: websocket"}},
		"lines, and gRPC":                 {"/lines", []string{"Content-Type: application/grpc"}},
		"events, of which no second come": {"/silence", []string{"Accept: text/event-stream"}},
		"no event yet":                    {"/mute", []string{"Accept: text/event-stream"}},
	} {
		for protocol, client := range clients {
			if protocol == "HTTP/2" && c.lines[0] == "Connection: Upgrade" {
				continue
			}
			hers := w.token()
			before, mute := w.letIn(), c.path == "/mute"
			answered := w.send(client, mute, http.MethodGet, c.path, hers, nil, c.lines)
			if mute {
				waitFor(t, func() bool { return w.letIn() > before })
			} else {
				answered = w.within(name, answered).rest()
			}
			select {
			case a := <-answered:
				t.Fatalf("%s, %s: ended before its token: %+v", name, protocol, a)
			case <-time.After(200 * time.Millisecond):
			}
			before = w.told()
			w.revoke(hers)
			a := w.within(name+", "+protocol, answered)
			if mute && (a.Response == nil || a.StatusCode != http.StatusOK || a.text != "" || protocol == "HTTP/1.1" && a.err != nil) {
				t.Errorf("%s, %s: %+v", name, protocol, a)
			} else if !mute && a.err == nil {
				t.Errorf("%s, %s: came to its own end: %+v", name, protocol, a)
			}
			// However long the script is silent.
			waitFor(t, func() bool { return w.told() != before })
		}
	}
}

// What ends by itself goes on to its end, whatever it was asked for by: a script that
// accepts events beside JSON has had the work done.
func TestAnswersThatAreNoStreamsGoOnToTheirEnd(t *testing.T) {
	both := "Accept: application/json, text/event-stream"
	for name, c := range map[string]struct {
		begun bool // the answer, when the token is revoked
		line  string
	}{
		"an answer that takes its time":                 {false, both},
		"an answer under way":                           {true, both},
		"an answer under way that is no events":         {true, "Accept: text/event-stream"},
		"an answer under way to a call that is no gRPC": {true, "Content-Type: application/grpc"},
		"an answer under way that switches no protocol": {true, "Upgrade: websocket"},
	} {
		for _, transport := range []string{"http", "fastcgi"} {
			t.Run(name+" over "+transport, func(t *testing.T) {
				w := newWorld(t)
				here, more := make(chan struct{}), make(chan struct{})
				handle := func(rw http.ResponseWriter, _ *http.Request) {
					rw.Header().Set("Content-Type", "application/json")
					if c.begun {
						fmt.Fprint(rw, `["hello"`)
						rw.(http.Flusher).Flush()
					}
					close(here)
					<-more
					if !c.begun {
						fmt.Fprint(rw, `["hello"`)
					}
					fmt.Fprint(rw, `, "and goodbye"]`)
				}
				site := strings.Replace(streamSite, "stream_close_delay 1m\n", "", 1)
				if transport == "fastcgi" {
					w.fastcgi(http.HandlerFunc(handle))
					site = fastcgiSite
				} else {
					w.backend(handle)
				}
				w.load(oneIssuer, site)
				hers := w.token()
				lines := []string{c.line}
				if strings.HasPrefix(c.line, "Upgrade") {
					lines = append(lines, "Connection: Upgrade")
				}
				goOn := sync.OnceFunc(func() { close(more) })
				defer goOn()
				answered := w.send(w.client, !c.begun, http.MethodPost, "/mcp", hers, bytes.NewReader([]byte("{}")), lines)
				<-here
				if c.begun {
					answered = w.within("the header", answered).rest()
				}
				w.revoke(hers)
				<-time.After(50 * time.Millisecond)
				goOn()
				a := w.within("the answer", answered)
				if a.err != nil || a.StatusCode != http.StatusOK || a.text != `["hello", "and goodbye"]` {
					t.Errorf("%+v", a)
				}
			})
		}
	}
}

// A token of which a stream is asked for beside other things may end while the backend
// thinks: the answer says that it is one, and nothing of it comes through.
func TestNothingComesOfAStreamThatBeginsAfterItsToken(t *testing.T) {
	w := newWorld(t)
	here, more := make(chan struct{}), make(chan struct{})
	w.backend(func(rw http.ResponseWriter, r *http.Request) {
		close(here)
		<-more
		endless(rw, r)
	})
	w.load(oneIssuer, strings.Replace(streamSite, "stream_close_delay 1m\n", "", 1))
	hers := w.token()
	answered := w.ask(w.client, http.MethodGet, "/events", hers, nil, "Accept: application/json, text/event-stream")
	<-here
	w.revoke(hers)
	close(more)
	if a := w.within("the stream", answered); a.err != nil || a.StatusCode != http.StatusUnauthorized || a.text != "" {
		t.Errorf("%+v", a)
	}
}

// What answers an error may be a stream, too, behind a gate of its own.
func TestStreamsOfErrorRoutesEndWithTheirToken(t *testing.T) {
	w := newWorld(t)
	w.backend(endless)
	site := strings.Replace(streamSite, "reverse_proxy unix/$DIR/backend {", "reverse_proxy unix/$DIR/nobody\n\thandle_errors 502 {\n\t\ttoken_gate\n\t\treverse_proxy unix/$DIR/backend {", 1)
	w.load(h2cServer+oneIssuer, site+"\n}")
	hers := w.token()
	all := w.streams(5, "behind an error", hers)
	w.revoke(hers)
	w.ended(all)
}
