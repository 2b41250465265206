package caddymodule

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// endless answers / at once, an upgrade with an open connection and anything
// else with events, until the proxy goes away.
func endless(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/":
		return
	case r.Header.Get("Upgrade") == "":
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: hello\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n")
	_, _ = io.Copy(io.Discard, conn)
}

// opened is a stream as its client has it.
type opened struct {
	name  string
	body  *bufio.Reader
	close func() error
	over  chan struct{} // closed when the stream has ended
}

// eventStream opens server-sent events.
func (w *world) eventStream(client *http.Client, name, token, accept string) *opened {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "http://app.example.com/events", nil)
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		w.Fatalf("%s: %s", name, response.Status)
	}
	return w.begun(&opened{name, bufio.NewReader(response.Body), response.Body.Close, make(chan struct{})})
}

// upgraded opens a WebSocket, as far as a proxy looks at it.
func (w *world) upgraded(name, token string) *opened {
	w.Helper()
	conn, err := new(net.Dialer).DialContext(w.Context(), "unix", filepath.Join(w.dir, "http"))
	if err != nil {
		w.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n", token)
	reader := bufio.NewReader(conn)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			w.Fatalf("%s: %v", name, err)
		}
		if line == "\r\n" {
			return w.begun(&opened{name, reader, conn.Close, make(chan struct{})})
		}
	}
}

func (w *world) begun(o *opened) *opened {
	w.Helper()
	w.Cleanup(func() { _ = o.close() })
	if line, err := o.body.ReadString('\n'); err != nil || !strings.Contains(line, "hello") {
		w.Fatalf("%s: %q, %v", o.name, line, err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, o.body)
		close(o.over)
	}()
	return o
}

// h2c is a client that speaks HTTP/2.
func (w *world) h2c() *http.Client {
	client := &http.Client{Transport: &http.Transport{
		Protocols: func() *http.Protocols { p := new(http.Protocols); p.SetUnencryptedHTTP2(true); return p }(),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(w.dir, "http"))
		},
	}}
	w.Cleanup(client.CloseIdleConnections)
	return client
}

// streams opens five kinds of streams in turn.
func (w *world) streams(count int, name, token string) (all []*opened) {
	w.Helper()
	h2c := w.h2c()
	for n := range count {
		switch n % 5 {
		case 0:
			all = append(all, w.eventStream(w.client, name+": events over HTTP/1.1", token, "text/event-stream"))
		case 1:
			all = append(all, w.eventStream(h2c, name+": events over HTTP/2", token, "text/event-stream"))
		case 2:
			all = append(all, w.eventStream(w.client, name+": events that nobody asked for, over HTTP/1.1", token, "*/*"))
		case 3:
			all = append(all, w.eventStream(h2c, name+": events that nobody asked for, over HTTP/2", token, "*/*"))
		case 4:
			all = append(all, w.upgraded(name+": an upgraded connection", token))
		}
	}
	return all
}

// ended waits until every stream has ended, and says when the last one had.
func (w *world) ended(all []*opened) time.Time {
	w.Helper()
	patience := time.After(far)
	for _, o := range all {
		select {
		case <-o.over:
		case <-patience:
			w.Fatalf("%s: goes on", o.name)
		}
	}
	return time.Now()
}

// goesOn says that none of the streams ends in a while.
func goesOn(all []*opened) bool {
	while := time.After(100 * time.Millisecond)
	for _, o := range all {
		select {
		case <-o.over:
			return false
		case <-while:
			while = closed
		}
	}
	return true
}

// closed is a time that has come.
var closed = func() <-chan time.Time { c := make(chan time.Time); close(c); return c }()

const streamSite = `
http://app.example.com {
	token_issuer
	token_gate
	reverse_proxy unix/$DIR/backend {
		flush_interval -1
		stream_close_delay 1m
	}
}`

const h2cServer = `
	servers {
		protocols h1 h2c
	}`

// person adds a user and signs it in, by the phone's client.
func (w *world) person(name string) string {
	w.Helper()
	body := fmt.Sprintf(`{"username":%q,"password":"a password of %s"}`, name, name)
	if status, text := w.admin(http.MethodPost, "/token_issuer/users", body, "Content-Type: application/json"); status != http.StatusOK {
		w.Fatalf("%d %s", status, text)
	}
	return w.accessToken(w.signIn(name, "a password of "+name))
}

// setFrozen freezes an account, or lets it go on.
func (w *world) setFrozen(name string, frozen bool) {
	w.Helper()
	what := "unfreeze"
	if frozen {
		what = "freeze"
	}
	if status, text := w.admin(http.MethodPost, "/token_issuer/users/"+name+"/"+what, "", "Content-Type: application/json"); status != http.StatusOK {
		w.Fatalf("%d %s", status, text)
	}
}

// pace is how long a request takes at this moment that the gate lets through.
func (w *world) pace(bearer string) time.Duration {
	w.Helper()
	const requests = 20
	began := time.Now()
	for range requests {
		if a := w.get("/", bearer); a.status != http.StatusOK {
			w.Fatal(a)
		}
	}
	return time.Since(began) / requests
}

// The second is asked of every machine, and with the time of some requests where those are
// slow.
func TestRevocationEndsOpenStreamsWithinASecond(t *testing.T) {
	w := newWorld(t)
	w.backend(endless)
	w.load(h2cServer+oneIssuer, streamSite)
	var anns string
	w.person("ann")
	bens := w.person("ben")
	for range cached / 1000 {
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for range 100 {
					w.get("/", "Authorization: Bearer "+w.token())
				}
			})
		}
		all.Wait()
	}
	ben, streams := w.streams(25, "ben", bens), 25
	took, most := far, time.Second
	for try := 0; try < 5 && took > most; try++ { // what else the machine does is no matter of the gate's
		w.setFrozen("ann", false)
		anns = w.accessToken(w.signIn("ann", "a password of ann"))
		ann := w.streams(50, "ann", anns)
		streams += len(ann)
		most = time.Second + 20*w.pace("Authorization: Bearer "+bens)
		begun := time.Now()
		w.setFrozen("ann", true)
		took = w.ended(ann).Sub(begun)
	}
	t.Logf("50 streams ended %v after their account was frozen, beside %d other tokens", took, cached)
	if took > most {
		t.Errorf("the last stream ended after %v, %v at the most", took, most)
	}
	if a := w.get("/", "Authorization: Bearer "+anns); a.status != http.StatusUnauthorized {
		t.Errorf("the frozen account's token: %v", a)
	}
	if !goesOn(ben) {
		t.Error("somebody else's stream ended, too")
	}
	if a := w.post("/oauth2/revoke", url.Values{"token": {bens}, "client_id": {"phone"}}); a.status != http.StatusOK {
		t.Fatal(a)
	}
	w.ended(ben)
	waitFor(t, func() bool { return w.told() >= streams }) // the client may know before the line is written
	if n := w.told(); n != streams {
		t.Errorf("%d events of %d", n, streams)
	}
}

func TestReloadEndsTheStreamsOfAClientThatIsGone(t *testing.T) {
	w := newWorld(t)
	w.backend(endless)
	w.load(h2cServer+oneIssuer, streamSite)
	shops, phones := w.streams(5, "shop", w.token()), w.streams(5, "phone", w.person("ann"))
	w.load(h2cServer+strings.Replace(oneIssuer, "client phone {", "client phone {\n\t\t\tdisabled", 1), streamSite)
	w.ended(phones[4:]) // Caddy itself ends events when it reloads
	if !goesOn(shops[4:]) {
		t.Error("the stream of a client that is still there ended")
	}
}

// A gate in the shadow refuses nobody, so it ends nothing that it has let through either.
// One behind it that is in earnest does, whichever of both has read the token.
func TestShadowEndsNoStream(t *testing.T) {
	for name, c := range map[string]struct {
		gates string
		ends  bool
	}{
		"a shadow alone":         {"token_gate {\nshadow\n}", false},
		"a gate behind a shadow": {"token_gate {\nshadow\n}\ntoken_gate", true},
		"a shadow behind a gate": {"token_gate\ntoken_gate {\nshadow\n}", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.backend(endless)
			w.load(h2cServer+oneIssuer, strings.Replace(streamSite, "token_gate\n", c.gates+"\n", 1))
			token := w.token()
			all := w.streams(5, name, token)
			if a := w.post("/oauth2/revoke", url.Values{"token": {token}, "client_id": {"shop"}, "client_secret": {shopSecret}}); a.status != http.StatusOK {
				t.Fatal(a)
			}
			if c.ends {
				w.ended(all)
				return
			}
			if !goesOn(all) || strings.Contains(w.logged(), "gate ended a stream") {
				t.Error("a stream has ended")
			}
		})
	}
}
