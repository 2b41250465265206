package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// dialQUIC is one HTTP/3 connection over a socket of its own.
func (i *instance) dialQUIC(socket net.PacketConn, config *tls.Config) (*quic.Conn, *http3.ClientConn) {
	i.Helper()
	to, err := net.ResolveUDPAddr("udp4", strings.TrimPrefix(i.site, "https://"))
	if err != nil {
		i.Fatal(err)
	}
	config.NextProtos, config.ServerName = []string{http3.NextProtoH3}, "localhost"
	transport := &quic.Transport{Conn: socket}
	conn, err := transport.DialEarly(i.Context(), to, config, &quic.Config{HandshakeIdleTimeout: patience})
	if err != nil {
		i.Fatal(err)
	}
	i.Cleanup(func() {
		_ = conn.CloseWithError(0, "")
		_ = transport.Close()
		_ = socket.Close()
	})
	return conn, (&http3.Transport{}).NewClientConn(conn)
}

func (i *instance) udp() net.PacketConn {
	i.Helper()
	socket, err := new(net.ListenConfig).ListenPacket(i.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		i.Fatal(err)
	}
	return socket
}

func TestWebSocketPassesTheGateOverHTTP3(t *testing.T) {
	w := newWitness(t)
	robot := w.earn(byRobot()).Access
	_, conn := w.dialQUIC(w.udp(), w.trust())
	<-conn.ReceivedSettings()
	if !conn.Settings().EnableExtendedConnect {
		t.Fatal("the server does not offer RFC 9220")
	}
	for _, c := range []struct {
		token  string
		status int
	}{{"", 401}, {"x" + robot, 401}, {robot, 200}} {
		before := w.seen.Load()
		stream, err := conn.OpenRequestStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, w.site+"/socket", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Proto = "websocket"
		r.Header = http.Header{"Sec-Websocket-Version": {"13"}, "X-Auth-Subject": {"root"}}
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		if err := stream.SendRequestHeader(r); err != nil {
			t.Fatal(err)
		}
		response, err := stream.ReadResponse()
		if err != nil || response.StatusCode != c.status {
			t.Fatalf("%v, %v; want %d", response, err, c.status)
		}
		if c.status != http.StatusOK {
			if w.seen.Load() != before {
				t.Error("the backend saw a request without a good token")
			}
			continue
		}
		echoed(t, stream, "robot")
	}
}

// A matcher decides by what the backend gets: a WebSocket that CONNECT opens is a GET
// with an Upgrade there, and so is one that is spelled in another way.
func TestMatchersSeeAWebSocketAsTheBackendDoes(t *testing.T) {
	w := newInstance(t)
	w.configure(threeClients, `{$SITE} {
	token_issuer
	@get {
		path /get/*
		method GET HEAD
	}
	token_gate @get
	@socket {
		path /socket/*
		header Connection *Upgrade*
		header Upgrade websocket
	}
	token_gate @socket
	@post {
		path /post/*
		method POST
	}
	token_gate @post
	@read expression path('/expression/*') && {method} == 'GET' && {header.Upgrade} == 'websocket'
	token_gate @read
	@keyed {
		path /keyed/*
		header Sec-WebSocket-Key *
	}
	token_gate @keyed
	reverse_proxy {$BACKEND}
}
`)
	w.start()
	var seen atomic.Int64
	w.serve(func(rw http.ResponseWriter, _ *http.Request) { seen.Add(1); rw.WriteHeader(http.StatusTeapot) })
	_, conn := w.dialQUIC(w.udp(), w.trust())
	<-conn.ReceivedSettings()
	for path, judged := range map[string]bool{"/get/x": true, "/socket/x": true, "/expression/x": true, "/keyed/x": true, "/post/x": false, "/x": false} {
		before := seen.Load()
		stream, err := conn.OpenRequestStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, w.site+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Proto, r.Header = "websocket", http.Header{"Sec-Websocket-Version": {"13"}}
		if err := stream.SendRequestHeader(r); err != nil {
			t.Fatal(err)
		}
		response, err := stream.ReadResponse()
		if err != nil || (response.StatusCode == http.StatusUnauthorized) != judged || (seen.Load() == before) != judged {
			t.Errorf("HTTP/3 %s: %v, %v", path, response, err)
		}
	}
	for _, lines := range []string{"Upgrade: websocket\r\nConnection: Upgrade", "Upgrade: WebSocket\r\nConnection: Upgrade", "Upgrade: websocket\r\nConnection: upgrade", "Upgrade: WEBSOCKET\r\nConnection: keep-alive\r\nConnection: UPGRADE"} {
		client, err := tls.Dial("tcp", strings.TrimPrefix(w.site, "https://"), w.trust())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		before := seen.Load()
		fmt.Fprint(client, "GET /socket/x HTTP/1.1\r\nHost: localhost\r\n"+lines+"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil || response.StatusCode != http.StatusUnauthorized || seen.Load() != before {
			t.Errorf("%q: %v, %v", lines, response, err)
		}
	}
}

// A gate that has let a WebSocket by hands it on as it came, so the matcher of the next
// one sees it as the backend does.
func TestWebSocketMeetsTheGatesThatItIsFor(t *testing.T) {
	w := newInstance(t)
	w.configure(threeClients, `{$SITE} {
	token_issuer
	token_gate
	@admin {
		path /admin/*
		method GET HEAD
	}
	token_gate @admin {
		audience shop
	}
	@placeholder expression path('/also/*') && {method} == 'GET' && {header.Upgrade} == 'websocket'
	token_gate @placeholder {
		audience shop
	}
	reverse_proxy {$BACKEND}
}
`)
	w.start()
	w.serve(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusTeapot) })
	robot := w.earn(byRobot()).Access
	_, conn := w.dialQUIC(w.udp(), w.trust())
	<-conn.ReceivedSettings()
	for path, status := range map[string]int{"/chat": http.StatusTeapot, "/admin/x": http.StatusUnauthorized, "/also/x": http.StatusUnauthorized} {
		stream, err := conn.OpenRequestStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, w.site+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Proto, r.Header = "websocket", http.Header{"Sec-Websocket-Version": {"13"}, "Authorization": {"Bearer " + robot}}
		if err := stream.SendRequestHeader(r); err != nil {
			t.Fatal(err)
		}
		if response, err := stream.ReadResponse(); err != nil || response.StatusCode != status {
			t.Errorf("%s: %v, %v; want %d", path, response, err, status)
		}
	}
}

// A WebSocket over HTTP/3 has no next request, either, by which its token would be looked at.
func TestWebSocketOverHTTP3EndsWithItsToken(t *testing.T) {
	t.Parallel()
	w := newInstance(t)
	w.configure(threeClients, oneSite)
	w.start()
	w.addAlice()
	w.serve(func(rw http.ResponseWriter, _ *http.Request) {
		conn, both, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(both, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
		_ = both.Flush()
		_, _ = io.Copy(io.Discard, conn) // until the proxy goes away
	})
	alice := w.earn(byPassword("phone")).Access
	_, conn := w.dialQUIC(w.udp(), w.trust())
	<-conn.ReceivedSettings()
	stream, err := conn.OpenRequestStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, w.site+"/socket", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Proto, r.Header = "websocket", http.Header{"Sec-Websocket-Version": {"13"}, "Authorization": {"Bearer " + alice}}
	if err := stream.SendRequestHeader(r); err != nil {
		t.Fatal(err)
	}
	hello := make([]byte, len("hello"))
	if response, err := stream.ReadResponse(); err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	if _, err := io.ReadFull(stream, hello); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, stream)
		close(ended)
	}()
	w.post("/oauth2/revoke", url.Values{"client_id": {"phone"}, "token": {alice}})
	select {
	case <-ended:
	case <-time.After(patience / 2):
		t.Error("it goes on")
	}
}

// Nor does it hang where no answer has begun: the backend thinks, and the token ends.
func TestStreamOverHTTP3IsAnsweredWhenItsTokenEndsBeforeTheBackendDoes(t *testing.T) {
	t.Parallel()
	w := newInstance(t)
	w.configure(threeClients, oneSite)
	w.start()
	w.addAlice()
	asked, over := make(chan struct{}, 1), make(chan struct{})
	defer close(over)
	w.serve(func(_ http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-over
	})
	_, conn := w.dialQUIC(w.udp(), w.trust())
	<-conn.ReceivedSettings()
	for method, c := range map[string]struct {
		proto  string
		accept string
		status int
	}{
		http.MethodConnect: {"websocket", "", http.StatusUnauthorized},
		http.MethodPost:    {"", "text/event-stream", http.StatusUnauthorized},
		http.MethodGet:     {"", "text/event-stream", http.StatusOK}, // an EventSource comes back after that
	} {
		alice := w.earn(byPassword("phone")).Access
		stream, err := conn.OpenRequestStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), method, w.site+"/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + alice}}
		if c.proto != "" {
			r.Proto = c.proto
			r.Header.Set("Sec-Websocket-Version", "13")
		}
		if c.accept != "" {
			r.Header.Set("Accept", c.accept)
		}
		if err := stream.SendRequestHeader(r); err != nil {
			t.Fatal(err)
		}
		<-asked
		w.post("/oauth2/revoke", url.Values{"client_id": {"phone"}, "token": {alice}})
		if err := stream.SetReadDeadline(time.Now().Add(patience / 2)); err != nil {
			t.Fatal(err)
		}
		response, err := stream.ReadResponse()
		if err != nil || response.StatusCode != c.status {
			t.Errorf("%s: %v, %v", method, response, err)
			continue
		}
		if text, err := io.ReadAll(response.Body); err != nil || len(text) > 0 {
			t.Errorf("%s: %q, %v", method, text, err)
		}
	}
}

// deaf is a socket that hears nothing until it is told to: the server answers
// the first flight of a connection and never sees the second.
type deaf struct {
	net.PacketConn
	listen chan struct{}
}

func (d *deaf) ReadFrom(b []byte) (int, net.Addr, error) {
	<-d.listen
	return d.PacketConn.ReadFrom(b)
}

// RFC 8470: what comes with the first flight can be sent again by whoever has
// recorded it, so nobody gets a token for it.
func TestEarlyDataEarnsNoToken(t *testing.T) {
	i := newInstance(t)
	i.configure(threeClients, oneSite)
	i.start()

	config := i.trust()
	tickets := newTickets()
	config.ClientSessionCache = tickets
	_, first := i.dialQUIC(i.udp(), config)
	if status, body := i.postEarly(first, byRobot()); status != http.StatusOK {
		t.Fatalf("on a new connection: %d %s", status, body)
	}
	<-tickets.have

	socket := &deaf{i.udp(), make(chan struct{})}
	early, second := i.dialQUIC(socket, config)
	hear := sync.OnceFunc(func() { close(socket.listen) })
	t.Cleanup(hear) // before the connection is closed, which waits for its reader
	done := make(chan struct{})
	go func() {
		defer close(done)
		if status, body := i.postEarly(second, byRobot()); status != http.StatusTooEarly || strings.Contains(body, "access_token") {
			t.Errorf("early data: %d %s", status, body)
		}
	}()
	eventually(t, "the server has answered 425", func() bool { return strings.Contains(i.metrics(), `code="425"`) })
	hear()
	<-done
	if !early.ConnectionState().Used0RTT {
		t.Error("it was not early data")
	}
	if status, body := i.postEarly(second, byRobot()); status != http.StatusOK {
		t.Errorf("again, after the handshake: %d %s", status, body)
	}
}

// postEarly posts without waiting for the handshake.
func (i *instance) postEarly(conn *http3.ClientConn, form url.Values) (int, string) {
	stream, err := conn.OpenRequestStream(i.Context())
	if err != nil {
		return 0, err.Error()
	}
	body := form.Encode()
	r, err := http.NewRequestWithContext(i.Context(), http.MethodPost, i.site+"/oauth2/token", http.NoBody)
	if err != nil {
		return 0, err.Error()
	}
	r.ContentLength = int64(len(body)) // it follows on the stream
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := stream.SendRequestHeader(r); err != nil {
		return 0, err.Error()
	}
	fmt.Fprint(stream, body)
	stream.Close()
	response, err := stream.ReadResponse()
	if err != nil {
		return 0, err.Error()
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// tickets is a session cache that tells when it has one.
type tickets struct {
	tls.ClientSessionCache
	have chan struct{}
}

func newTickets() *tickets {
	return &tickets{tls.NewLRUClientSessionCache(1), make(chan struct{}, 8)}
}

func (t *tickets) Put(key string, state *tls.ClientSessionState) {
	t.ClientSessionCache.Put(key, state)
	if state != nil {
		t.have <- struct{}{}
	}
}
