package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// B01, B02: whatever the client says of itself is gone, with and without a token.
func TestStripTakesEverySpellingOfAnIdentityHeader(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Headers: []gate.Header{{"X-User-Email", "{claim.email}"}, {"X-Staff-Id", "{claim.sub}"}}})
	for _, name := range []string{
		"X-User-Email", "x-user-email", "X-USER-EMAIL", // configured
		"X-Staff-Id", "x-staff-id",
		"X_User_Email", "X-User_Email", "X.User.Email", "x_staff.ID", // B04: as CGI and WSGI backends read them
		"X!User~Email", "x|staff^id", "X`User#Email", "X+Auth*Subject", "X$Auth&Subject", "X%Auth'Subject", // lighttpd: all that is no letter or digit
		"x_http_method_override", "X.Method-Override", "X!HTTP-Method", // of what Readings looks at
		"X-Original-URL", "x_rewrite_url", "X-Rewrite-Url", // B14: another address than the one that was judged
		"X-User", "X-Forwarded-User", "Remote-User", "REMOTE_USER", "X-Auth-Request-User", // B01: believed by habit
		"X-Auth-Subject", "X-Auth-Client", "X-Auth-Scope", "X-Auth-Issuer", "x_auth_subject", // ours by default
	} {
		r := request("")
		r.Header[name] = []string{"admin"} // as it is: Set would make it canonical
		g.Strip(r)
		for left := range r.Header {
			if strings.EqualFold(left, name) {
				t.Errorf("%s is still there", name)
			}
		}
	}
}

func TestStripLeavesTheRestAlone(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{})
	r := request("a.b.c")
	r.Header["X-Request-Id"] = []string{"1", "2"}
	r.Header["X-Auth"] = []string{"theirs"}
	r.Header["X-Auth-Subjects"] = []string{"theirs"}
	r.Header["X-User-Agent"] = []string{"theirs"}
	r.Header["X-Http-Method-Override"] = []string{"PUT"}
	before := r.Header.Clone()
	body := r.Body
	g.Strip(r)
	if !maps.EqualFunc(before, r.Header, slices.Equal[[]string]) || r.Body != body {
		t.Errorf("before %v\nafter  %v", before, r.Header)
	}
	if n := testing.AllocsPerRun(100, func() { g.Strip(r) }); n != 0 {
		t.Errorf("%v allocations where there was nothing to strip", n)
	}
}

// A client that names our header in Connection makes the proxy delete what we set.
func TestStripTakesIdentityHeadersOutOfConnection(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{})
	for _, c := range []struct{ before, after []string }{
		{[]string{"X-Auth-Subject"}, nil},
		{[]string{"keep-alive, X-Auth-Subject"}, []string{"keep-alive"}},
		{[]string{"x-auth-subject , Upgrade"}, []string{"Upgrade"}},
		{[]string{"X_AUTH_SUBJECT,,close"}, []string{"close"}},
		{[]string{"keep-alive", "\tX-Auth-Scope\t"}, []string{"keep-alive"}},
		{[]string{"Upgrade"}, []string{"Upgrade"}},
		{[]string{"close, AUTHORIZATION"}, []string{"close"}}, // what the gate forwards
		{[]string{"keep-alive,  X-Other,"}, []string{"keep-alive,  X-Other,"}},
	} {
		r := request("")
		r.Header["Connection"] = c.before
		g.Strip(r)
		if got := r.Header["Connection"]; !slices.Equal(got, c.after) {
			t.Errorf("%q became %q, want %q", c.before, got, c.after)
		}
	}
}

// Whoever gets another HTTP spoken on the connection asks the backend for what he
// likes, as whom he likes, past every gate (h2c smuggling).
func TestStripLeavesNoUpgradeButWebSocket(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{})
	for _, c := range []struct {
		upgrade, connection []string
		left                string
	}{
		{[]string{"h2c"}, []string{"Upgrade, HTTP2-Settings"}, ""},
		{[]string{"h2c"}, []string{"HTTP2-Settings", "close, upgrade"}, "close"},
		{[]string{"H2C"}, []string{"UPGRADE"}, ""},
		{[]string{"websocket, h2c"}, []string{"Upgrade"}, ""},
		{[]string{"websocket", "h2c"}, []string{"Upgrade"}, ""},
		{[]string{"h2c", "websocket"}, []string{"Upgrade"}, ""},
		{[]string{"TLS/1.0, HTTP/2.0"}, []string{"keep-alive, Upgrade"}, "keep-alive"},
		{[]string{""}, []string{"Upgrade"}, ""},
		{[]string{"websocket/13"}, []string{"Upgrade"}, ""},
		{nil, []string{"keep-alive"}, "keep-alive"},
		{[]string{"websocket"}, []string{"keep-alive, Upgrade, HTTP2-Settings"}, "keep-alive, Upgrade"},
		{[]string{"WebSocket"}, []string{"Upgrade"}, "Upgrade"},
		{[]string{"WEBSOCKET"}, []string{"upgrade , keep-alive"}, "keep-alive, Upgrade"},
		{[]string{"websocket"}, []string{"keep-alive", "UPGRADE"}, "keep-alive, Upgrade"},
	} {
		r := request("")
		r.Header["Upgrade"], r.Header["Connection"], r.Header["Http2-Settings"] = c.upgrade, c.connection, []string{"AAMAAABk"}
		g.Strip(r)
		kept := strings.Contains(c.left, "Upgrade")
		if kept && r.Header.Get("Upgrade") != "websocket" {
			t.Errorf("%q: a matcher sees %q, and the backend websocket", c.upgrade, r.Header["Upgrade"])
		}
		if got := strings.Join(r.Header["Connection"], "; "); got != c.left || (r.Header["Upgrade"] != nil) != kept || r.Header["Http2-Settings"] != nil {
			t.Errorf("%q, %q became %v", c.upgrade, c.connection, r.Header)
		}
	}
}

func TestStripTakesOurCookiesOnly(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{})
	for _, c := range []struct{ before, after []string }{
		{[]string{"__Host-gatehouse=1"}, nil},
		{[]string{"a=1; __Host-gatehouse-session=x; b=2"}, []string{"a=1; b=2"}},
		{[]string{"__host-GATEHOUSE=1;a=1"}, []string{"a=1"}},
		{[]string{"a=1", "__Host-gatehouse=1", "b=2"}, []string{"a=1", "b=2"}},
		{[]string{"a=__Host-gatehouse=1;b"}, []string{"a=__Host-gatehouse=1;b"}},
		{[]string{"gatehouse=1; __Host-other=2"}, []string{"gatehouse=1; __Host-other=2"}},
	} {
		r := request("")
		r.Header["Cookie"] = c.before
		g.Strip(r)
		if got := r.Header["Cookie"]; !slices.Equal(got, c.after) {
			t.Errorf("%q became %q, want %q", c.before, got, c.after)
		}
	}
}

// Trailers come after the body, and net/http adds to the request what was
// never announced once anything was.
func TestStripTakesTrailersThatCameWithTheBody(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{})
	seen := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, original *http.Request) {
		r := original.WithContext(t.Context()) // Caddy hands a copy to its handlers
		g.Strip(r)
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		seen <- r.Trailer.Clone()
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum, X-Auth-Client, Authorization\r\n\r\n"+
		"2\r\nhi\r\n0\r\nX-Checksum: 7\r\nX-Auth-Client: admin\r\nX-Auth-Subject: admin\r\nRemote-User: admin\r\n"+
		"Authorization: Bearer forged\r\nCookie: a=b\r\nProxy_Authorization: Basic Zm9yZ2Vk\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; len(got) != 1 || got.Get("X-Checksum") != "7" {
		t.Errorf("trailers after the body: %v", got)
	}
}

// environments are how a header's name becomes a variable: each a server's own way.
var environments = []func(string) string{
	func(name string) string { // RFC 3875 §4.1.18; WSGI, Rack, PSGI, PHP, nginx, uWSGI
		return "HTTP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	},
	func(name string) string { // PHP's own names of variables
		return "HTTP_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_", " ", "_", "[", "_").Replace(name))
	},
	func(name string) string { // lighttpd, and Apache until 2.4
		return "HTTP_" + strings.Map(func(r rune) rune {
			if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
				return unicode.ToUpper(r)
			}
			return '_'
		}, name)
	},
}

// Whatever a client sends, no name is left that any backend could read as one
// of ours, and nothing else is lost.
func FuzzStrip(f *testing.F) {
	s := newScene(f)
	g := s.gate(f, gate.Config{Headers: []gate.Header{{"X-User-Id", "{claim.sub}"}}})
	f.Add("x_user.ID", "keep-alive, x-user-id", "a=1; __Host-gatehouse=2")
	f.Add("X-Other", ",,,", ";;")
	f.Add("x!user~Id", "x+user'id", "a")
	isOurs := func(name string) bool {
		return slices.ContainsFunc(environments, func(variable func(string) string) bool {
			return variable(strings.Trim(name, " \t")) == "HTTP_X_USER_ID"
		})
	}
	f.Fuzz(func(t *testing.T, name, connection, cookie string) {
		r := request("a.b.c")
		r.Header[name] = []string{"admin"}
		r.Header["Connection"], r.Header["Cookie"] = []string{connection}, []string{cookie}
		g.Strip(r)
		for left := range r.Header {
			if isOurs(left) {
				t.Errorf("%q is left", left)
			}
		}
		for _, v := range r.Header["Connection"] {
			if slices.ContainsFunc(strings.Split(v, ","), isOurs) {
				t.Errorf("Connection: %q became %q", connection, v)
			}
		}
		for _, v := range r.Header["Cookie"] {
			for pair := range strings.SplitSeq(v, ";") {
				if strings.HasPrefix(strings.ToLower(strings.Trim(pair, " \t")), "__host-gatehouse") {
					t.Errorf("Cookie: %q became %q", cookie, v)
				}
			}
		}
		if r.Header.Get("Authorization") != "Bearer a.b.c" && name != "Authorization" || r.Header.Get("Accept") == "" && name != "Accept" {
			t.Errorf("more than identity is gone: %v", r.Header)
		}
	})
}
