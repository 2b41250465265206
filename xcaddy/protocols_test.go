package main

import (
	"bufio"
	"crypto/sha1" // RFC 6455 §4.2.2 wants it
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// witness is a backend that counts what reaches it.
type witness struct {
	*instance
	seen   atomic.Int64
	finish chan struct{} // ends an event stream
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	w := &witness{instance: newInstance(t), finish: make(chan struct{})}
	w.configure(threeClients, oneSite)
	w.start()
	w.addAlice()
	w.serve(func(rw http.ResponseWriter, r *http.Request) {
		w.seen.Add(1)
		switch r.URL.Path {
		case "/events":
			w.events(rw)
		case "/socket":
			w.socket(rw, r)
		default:
			_ = json.NewEncoder(rw).Encode(r.Header)
		}
	})
	return w
}

// events sends one event, and the second when the client has read the first.
func (w *witness) events(rw http.ResponseWriter) {
	rw.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(rw, "data: first\n\n")
	rw.(http.Flusher).Flush()
	<-w.finish
	fmt.Fprint(rw, "data: last\n\n")
}

// socket is RFC 6455 as far as one short message needs it: what comes masked
// goes back plain, after the name of the caller.
func (w *witness) socket(rw http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, both, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		w.Error(err)
		return
	}
	defer conn.Close()
	fmt.Fprintf(both, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	both.Flush()
	frame := make([]byte, 2+4+5)
	if _, err := io.ReadFull(both, frame); err != nil {
		w.Errorf("the backend reads: %v", err)
		return
	}
	for n := range frame[6:] {
		frame[6+n] ^= frame[2+n%4]
	}
	text := r.Header.Get("X-Auth-Subject") + " says " + string(frame[6:])
	both.Write(append([]byte{0x81, byte(len(text))}, text...))
	both.Flush()
}

// hello is a masked text frame; the backend answers it with greeting.
var hello = []byte{0x81, 0x85, 1, 2, 3, 4, 'h' ^ 1, 'e' ^ 2, 'l' ^ 3, 'l' ^ 4, 'o' ^ 1}

func greeting(who string) string {
	text := who + " says hello"
	return "\x81" + string(rune(len(text))) + text
}

// transports are the protocols, by what a response says of itself.
func (i *instance) transports() map[string]http.RoundTripper {
	i.Helper()
	one, three := &http.Transport{TLSClientConfig: i.trust()}, &http3.Transport{TLSClientConfig: i.trust()}
	one.Protocols = new(http.Protocols)
	one.Protocols.SetHTTP1(true)
	i.Cleanup(func() {
		one.CloseIdleConnections()
		_ = three.Close()
	})
	return map[string]http.RoundTripper{"HTTP/1.1": one, "HTTP/2.0": i.client.Transport, "HTTP/3.0": three}
}

func (i *instance) send(by http.RoundTripper, path string, header http.Header) *http.Response {
	i.Helper()
	r, err := http.NewRequestWithContext(i.Context(), http.MethodGet, i.site+path, nil)
	if err != nil {
		i.Fatal(err)
	}
	r.Header = header
	response, err := by.RoundTrip(r)
	if err != nil {
		i.Fatal(err)
	}
	i.Cleanup(func() { response.Body.Close() })
	return response
}

func TestIdentityArrivesOnceInEveryProtocolAndNobodyElsesDoes(t *testing.T) {
	w := newWitness(t)
	robot := w.earn(byRobot()).Access
	for protocol, by := range w.transports() {
		before := w.seen.Load()
		response := w.send(by, "/", http.Header{"X-Auth-Subject": {"root"}})
		if response.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(response.Header.Get("WWW-Authenticate"), `Bearer realm="gatehouse"`) || response.Proto != protocol {
			t.Errorf("%s without a token: %s %s %v", protocol, response.Proto, response.Status, response.Header)
		}
		if w.seen.Load() != before {
			t.Errorf("%s: the backend saw a request without a token", protocol)
		}

		hostile := http.Header{
			"Authorization": {"Bearer " + robot}, "X-Auth-Subject": {"root", "admin"}, "x-auth-client": {"root"}, "X_auth_scope": {"all"},
			"X-Auth-Roles": {"of the backend's own"},
		}
		if protocol == "HTTP/1.1" { // the other protocols have no such header (RFC 9113 §8.2.2)
			hostile["Connection"] = []string{"X-Auth-Subject, x-auth-issuer, Authorization, keep-alive"}
		}
		response = w.send(by, "/", hostile)
		var saw http.Header
		if err := json.NewDecoder(response.Body).Decode(&saw); err != nil || response.StatusCode != http.StatusOK || response.Proto != protocol {
			t.Errorf("%s with a token: %s %s, %v", protocol, response.Proto, response.Status, err)
		}
		for name, want := range map[string]string{
			"X-Auth-Subject": "robot", "X-Auth-Client": "robot", "X-Auth-Scope": "orders:read", "X-Auth-Issuer": w.site, "X-Auth-Roles": "of the backend's own",
		} {
			if got := saw[name]; len(got) != 1 || got[0] != want {
				t.Errorf("%s: the backend saw %s: %q, want %q once", protocol, name, got, want)
			}
		}
		for name := range saw {
			if strings.Contains(name, "_") || name == "Authorization" {
				t.Errorf("%s: the backend saw %s: %q", protocol, name, saw[name])
			}
		}
	}
}

func TestEventsPassTheGateWhileTheResponseGoesOn(t *testing.T) {
	w := newWitness(t)
	alice := w.earn(byPassword("phone")).Access
	for protocol, by := range w.transports() {
		before := w.seen.Load()
		if response := w.send(by, "/events", http.Header{"Accept": {"text/event-stream"}}); response.StatusCode != http.StatusUnauthorized || w.seen.Load() != before {
			t.Errorf("%s without a token: %s", protocol, response.Status)
		}
		response := w.send(by, "/events", http.Header{"Accept": {"text/event-stream"}, "Authorization": {"Bearer " + alice}})
		body := bufio.NewReader(response.Body)
		if line, err := body.ReadString('\n'); err != nil || line != "data: first\n" || response.Proto != protocol {
			t.Fatalf("%s: %s: %q, %v", protocol, response.Status, line, err)
		}
		w.finish <- struct{}{} // only now the backend goes on
		if rest, err := io.ReadAll(body); err != nil || string(rest) != "\ndata: last\n\n" {
			t.Errorf("%s: the rest is %q, %v", protocol, rest, err)
		}
	}
}

func TestWebSocketPassesTheGateOverHTTP1(t *testing.T) {
	w := newWitness(t)
	robot := w.earn(byRobot()).Access
	for _, c := range []struct {
		line   string
		status int
	}{{"", 401}, {bearer("x" + robot), 401}, {bearer(robot), 101}} {
		before := w.seen.Load()
		conn, err := tls.Dial("tcp", strings.TrimPrefix(w.site, "https://"), w.trust())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		head := "GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade, X-Auth-Subject\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		if c.line != "" {
			head += c.line + "\r\n"
		}
		fmt.Fprint(conn, head+"\r\n")
		from := bufio.NewReader(conn)
		response, err := http.ReadResponse(from, nil)
		if err != nil || response.StatusCode != c.status {
			t.Fatalf("%s: %v, %v; want %d", c.line, response, err, c.status)
		}
		if c.status != http.StatusSwitchingProtocols {
			if w.seen.Load() != before {
				t.Errorf("%s: the backend saw it", c.line)
			}
			continue
		}
		echoed(t, struct {
			io.Reader
			io.Writer
		}{from, conn}, "robot")
	}
}

// echoed says hello and wants to hear who said so.
func echoed(t *testing.T, conn io.ReadWriter, who string) {
	t.Helper()
	if _, err := conn.Write(hello); err != nil {
		t.Fatal(err)
	}
	want := greeting(who)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Errorf("heard %q, %v; want %q", got, err, want)
	}
}

// A stream of which the backend has nothing to say ends with its token all the same,
// whether the caller asked for a stream or not.
func TestSilentStreamsEndWithTheirTokenInEveryProtocol(t *testing.T) {
	w := newWitness(t)
	for protocol, by := range w.transports() {
		for _, accept := range []string{"text/event-stream", "*/*"} {
			alice := w.earn(byPassword("phone")).Access
			response := w.send(by, "/events", http.Header{"Accept": {accept}, "Authorization": {"Bearer " + alice}})
			body := bufio.NewReader(response.Body)
			if line, err := body.ReadString('\n'); err != nil || line != "data: first\n" || response.Proto != protocol {
				t.Fatalf("%s: %s: %q, %v", protocol, response.Status, line, err)
			}
			ended := make(chan struct{})
			go func() {
				_, _ = io.Copy(io.Discard, body)
				close(ended)
			}()
			begun := time.Now()
			w.post("/oauth2/revoke", url.Values{"client_id": {"phone"}, "token": {alice}})
			select {
			case <-ended:
				t.Logf("%s, %s: ended %v after its token was revoked", protocol, accept, time.Since(begun))
			case <-time.After(patience / 2):
				t.Errorf("%s, %s: goes on", protocol, accept)
			}
			select {
			case w.finish <- struct{}{}: // the backend may go
			case <-time.After(patience / 2):
				t.Errorf("%s, %s: the backend never came", protocol, accept)
			}
		}
	}
}
