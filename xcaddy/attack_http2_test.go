package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// frames is an HTTP/2 connection of which a test writes every frame itself.
type frames struct {
	*besieged
	conn   *tls.Conn
	framer *http2.Framer
	block  bytes.Buffer
	hpack  *hpack.Encoder
	next   uint32
}

func (b *besieged) frames() *frames {
	b.Helper()
	config := b.trust()
	config.NextProtos = []string{"h2"}
	dialed, err := (&tls.Dialer{Config: config}).DialContext(b.Context(), "tcp", strings.TrimPrefix(b.site, "https://"))
	if err != nil {
		b.Fatal(err)
	}
	f := &frames{besieged: b, conn: dialed.(*tls.Conn), next: 1}
	b.Cleanup(func() { f.conn.Close() })
	if err := f.conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		b.Fatal(err)
	}
	if _, err := f.conn.Write([]byte(http2.ClientPreface)); err != nil {
		b.Fatal(err)
	}
	f.framer = http2.NewFramer(f.conn, f.conn)
	f.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.framer.AllowIllegalWrites = true
	f.hpack = hpack.NewEncoder(&f.block)
	if err := f.framer.WriteSettings(); err != nil {
		b.Fatal(err)
	}
	return f
}

// send writes one request of exactly these fields, "name: value" each.
func (f *frames) send(body string, fields ...string) (stream uint32) {
	f.Helper()
	f.block.Reset()
	for _, field := range fields {
		name, value, _ := strings.Cut(field[1:], ": ")
		if err := f.hpack.WriteField(hpack.HeaderField{Name: field[:1] + name, Value: value}); err != nil {
			f.Fatal(err)
		}
	}
	stream, f.next = f.next, f.next+2
	if err := f.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.block.Bytes(), EndStream: body == "", EndHeaders: true}); err != nil {
		f.Fatal(err)
	}
	if body != "" {
		if err := f.framer.WriteData(stream, true, []byte(body)); err != nil {
			f.Fatal(err)
		}
	}
	return stream
}

// receive returns the status and the body of a stream, or "" where the server
// ended the stream or the connection instead.
func (f *frames) receive(stream uint32) (status, body string) {
	f.Helper()
	for {
		frame, err := f.framer.ReadFrame()
		if err != nil {
			if streamError, ok := errors.AsType[http2.StreamError](err); ok {
				f.Fatalf("our own framer refuses the answer: %v", streamError)
			}
			return "", ""
		}
		if frame.Header().StreamID != stream {
			if _, over := frame.(*http2.GoAwayFrame); over {
				return "", ""
			}
			continue
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			status = frame.PseudoValue("status")
		case *http2.DataFrame:
			body += string(frame.Data())
		case *http2.RSTStreamFrame:
			return "", ""
		}
		if frame.Header().Flags.Has(http2.FlagDataEndStream) {
			return status, body
		}
	}
}

// B22: what HTTP/2 could carry into a request of the backend's HTTP/1.1.
func TestFramesCannotSplitARequest(t *testing.T) {
	b := newBesieged(t, "gatehouse")
	host := strings.TrimPrefix(b.site, "https://")
	good := "authorization: Bearer " + b.own.good()
	request := func(path string, more ...string) []string {
		return append([]string{":method: GET", ":scheme: https", ":authority: " + host, ":path: " + path}, more...)
	}
	for _, c := range []struct {
		name   string
		body   string
		fields []string
		want   []string // statuses; "" is a stream error
	}{
		{"the control", "", request("/", good), []string{"200"}},
		{"the control, excepted", "", request("/public/x"), []string{"200"}},
		{":path with dots", "", request("/public/../admin/x"), []string{"401"}},
		{":path with encoded dots", "", request("/public/%2e%2e/admin/x"), []string{"401"}},
		{":path without a slash", "", request("admin/x"), []string{"", "400", "401"}},
		{":path of a whole request", "", request("/public/x HTTP/1.1\r\nX-Auth-Subject: admin\r\n\r\nGET /admin/x"), []string{"", "400"}},
		{":path with a space", "", request("/public/x HTTP/1.1"), []string{"", "400", "401"}},
		{":path twice", "", request("/public/x", ":path: /admin/x"), []string{"", "400"}},
		{":path twice, at the beginning", "", append([]string{":path: /admin/x"}, request("/public/x")...), []string{"", "400"}},
		{":path behind a field", "", []string{":method: GET", ":scheme: https", ":authority: " + host, "x: y", ":path: /public/x"}, []string{"", "400"}},
		{":path empty", "", request(""), []string{"", "400", "401"}},
		{"no :path", "", []string{":method: GET", ":scheme: https", ":authority: " + host}, []string{"", "400"}},
		{"an unknown pseudo field", "", request("/public/x", ":user: admin"), []string{"", "400"}},
		{":method of a whole request", "", []string{":method: GET /public/x HTTP/1.1\r\n\r\nGET", ":scheme: https", ":authority: " + host, ":path: /admin"}, []string{"", "400", "401"}},
		{"another Host", "", request("/", "host: evil.example"), []string{"", "400", "401"}},
		{"upper case", "", request("/public/x", "X-Auth-Subject: admin"), []string{"", "400"}},
		{"upper case, with a token", "", request("/", good, "X-AUTH-SUBJECT: admin"), []string{"", "400"}},
		{"connection", "", request("/", good, "connection: x-auth-subject"), []string{"", "400"}},
		{"te", "", request("/", good, "te: gzip"), []string{"", "400"}},
		{"transfer-encoding", "0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n", request("/", good, "transfer-encoding: chunked"), []string{"", "400"}},
		{"content-length too short", "GET /admin/x HTTP/1.1\r\nX-Auth-Subject: admin\r\n\r\n", request("/public/x", "content-length: 0"), []string{"", "400"}},
		// The frames say how long it is, and one length goes on.
		{"content-length twice", "abc", request("/public/x", "content-length: 3", "content-length: 0"), []string{"", "400", "200"}},
		{"a line in a value", "", request("/public/x", "x-other: a\r\nX-Auth-Subject: admin"), []string{"", "400"}},
		{"a line in a name", "", request("/public/x", "x-other\r\nx-auth-subject: admin"), []string{"", "400"}},
		{"a space in a name", "", request("/public/x", "x-auth-subject : admin"), []string{"", "400"}},
		{"a NUL in a value", "", request("/public/x", "x-auth-subject: ad\x00min"), []string{"", "400"}},
		{"B09 two authorizations", "", request("/", good, good), []string{"400"}},
	} {
		f := b.frames()
		status, body := f.receive(f.send(c.body, c.fields...))
		if !slices.Contains(c.want, status) {
			t.Errorf("%s: %q %s; want one of %q", c.name, status, body, c.want)
		}
	}
	// A body that does not fit ends its stream after the request has gone on, so what
	// the backend saw is looked at as a whole.
	b.every.Range(func(_, value any) bool {
		saw := value.(*echo)
		if subject := saw.Header["X-Auth-Subject"]; saw.URI == "/" && !slices.Equal(subject, []string{"mallory"}) || saw.URI != "/" && (saw.URI != "/public/x" || subject != nil) {
			t.Errorf("the backend saw %s with the subject %q", saw.URI, subject)
		}
		return true
	})
}

// B22: streams of one connection are people of their own.
func TestStreamsOfOneConnectionShareNoIdentity(t *testing.T) {
	b := newBesieged(t, "gatehouse")
	b.addAlice()
	host := strings.TrimPrefix(b.site, "https://")
	mallory, alice := b.own.good(), b.earn(byPassword("phone")).Access
	who := map[string]string{mallory: "mallory"}
	f := b.frames()
	for range 20 {
		for _, raw := range []string{mallory, "", alice, "x" + mallory} {
			fields := []string{":method: GET", ":scheme: https", ":authority: " + host, ":path: /", "x-auth-subject: admin"}
			if raw != "" {
				fields = append(fields, "authorization: Bearer "+raw)
			}
			status, body := f.receive(f.send("", fields...))
			if raw != mallory && raw != alice {
				if status != "401" {
					t.Errorf("without a good token: %s %s", status, body)
				}
				continue
			}
			var saw echo
			if err := json.Unmarshal([]byte(body), &saw); err != nil || status != "200" {
				t.Fatalf("%s %s: %v", status, body, err)
			}
			subject := saw.Header[http.CanonicalHeaderKey("x-auth-subject")]
			if who[raw] == "" && len(subject) == 1 && subject[0] != "mallory" && subject[0] != "admin" {
				who[raw] = subject[0] // alice's id, which the store has made
			}
			if len(subject) != 1 || subject[0] != who[raw] {
				t.Errorf("the backend saw the subject %q; want %q", subject, who[raw])
			}
		}
	}
}
