package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// echo is what the backend saw of a request.
type echo struct {
	URI    string      `json:"uri"`
	Header http.Header `json:"header"`
}

// raw sends bytes as they are, which a client's library would not let pass, over
// TLS or, to the site with a matcher, without it.
func (b *besieged) raw(address, request string) (status int, header http.Header, saw *echo) {
	b.Helper()
	before := b.seen.Load()
	var conn net.Conn
	var err error
	if address == b.matched {
		conn, err = new(net.Dialer).DialContext(b.Context(), "tcp", address)
	} else {
		conn, err = (&tls.Dialer{Config: b.trust()}).DialContext(b.Context(), "tcp", strings.TrimPrefix(address, "https://"))
	}
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		b.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.Fatalf("%.80q: %v", request, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	if b.seen.Load() != before {
		saw = new(echo)
		if err := json.Unmarshal(body, saw); err != nil {
			b.Fatalf("the backend saw it, and the answer is %s", body)
		}
	}
	return response.StatusCode, response.Header, saw
}

// get is a raw GET with header lines.
func (b *besieged) get(target string, lines ...string) (status int, header http.Header, saw *echo) {
	b.Helper()
	return b.raw(b.site, "GET "+target+" HTTP/1.1\r\nHost: "+strings.TrimPrefix(b.site, "https://")+"\r\n"+strings.Join(append(lines, "Connection: close"), "\r\n")+"\r\n\r\n")
}

// B07: lines that two readers could cut at different places.
func TestBrokenHeaderLinesBringNoIdentity(t *testing.T) {
	b := newBesieged(t, "gatehouse")
	good := bearer(b.own.good())
	for _, path := range []string{"/", "/public/x"} {
		for _, line := range []string{
			"X-Auth-Subject : admin", "X-Auth-Subject\t: admin", " X-Auth-Subject: admin", "X-Other: a\r\n X-Auth-Subject: admin", "X-Other: a\r\n\tX-Auth-Subject: admin",
			"X-Other: a\x00\r\nX-Auth-Subject: admin", "X-Auth-Subject: ad\x00min", "X-Other: a\rX-Auth-Subject: admin", "X-Other: a\nX-Auth-Subject: admin",
			"X-Auth-Subject\x00: admin", "X-Auth-Subject\r: admin", ": admin\r\nX-Auth-Subject: admin", "X-Auth-Subject", "X-Auth-Subject: admin\r\nX-Auth-Subject: root",
			"X_Auth_Subject: admin", "X.Auth.Subject: admin", "X-Auth_Subject: admin", "x-AUTH-subject: admin", "Connection: X-Auth-Subject\r\nX-Auth-Subject: admin",
		} {
			status, _, saw := b.get(path, good, line)
			if saw == nil {
				if status != http.StatusBadRequest && status != http.StatusUnauthorized { // folded into the token
					t.Errorf("%s %q: %d", path, line, status)
				}
				continue
			}
			want := []string{"mallory"}
			if path != "/" {
				want = nil
			}
			for name, values := range saw.Header {
				folded := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(strings.TrimSpace(name)))
				if folded == "x-auth-subject" && (name != "X-Auth-Subject" || !slices.Equal(values, want)) || strings.ContainsAny(name, " \t\r\n\x00") {
					t.Errorf("%s %q: the backend saw %q: %q", path, line, name, values)
				}
			}
			if path == "/" && !slices.Equal(saw.Header["X-Auth-Subject"], want) {
				t.Errorf("%s %q: the backend saw the subject %q", path, line, saw.Header["X-Auth-Subject"])
			}
		}
	}
}

// B09 - B14, B17: where a token and a path may come from.
func TestTokensAndPathsComeFromOnePlace(t *testing.T) {
	b := newBesieged(t, "gatehouse")
	b.addAlice()
	good, alice := b.own.good(), b.earn(byPassword("phone")).Access
	bad := good[:len(good)-6] + "AAAAAA"
	for _, c := range []struct {
		name   string
		target string
		lines  []string
		status int
		code   string // of the challenge
	}{
		{"the control", "/", []string{bearer(good)}, 200, ""},
		{"the other user's", "/", []string{bearer(alice)}, 200, ""},
		{"B09 bad and good", "/", []string{bearer(bad), bearer(good)}, 400, "invalid_request"},
		{"B09 good and bad", "/", []string{bearer(good), bearer(bad)}, 400, "invalid_request"},
		{"B09 good of two users", "/", []string{bearer(good), bearer(alice)}, 400, "invalid_request"},
		{"B09 the same twice", "/", []string{bearer(good), bearer(good)}, 400, "invalid_request"},
		{"B09 in other letters", "/", []string{bearer(good), "authorization: Bearer " + alice}, 400, "invalid_request"},
		{"B09 two in one field", "/", []string{bearer(good) + ", Bearer " + good}, 401, "invalid_token"},
		{"B09 folded", "/", []string{bearer(good) + "\r\n " + alice}, 401, "invalid_token"},
		{"B10 bearer", "/", []string{"Authorization: bearer " + good}, 200, ""},
		{"B10 BEARER", "/", []string{"AUTHORIZATION: BEARER " + good}, 200, ""},
		{"B11 no scheme", "/", []string{"Authorization: " + good}, 401, ""},
		{"B11 Token", "/", []string{"Authorization: Token " + good}, 401, ""},
		{"B11 Basic", "/", []string{"Authorization: Basic " + good}, 401, ""},
		{"B11 DPoP", "/", []string{"Authorization: DPoP " + good}, 401, ""},
		{"B11 Bearer alone", "/", []string{"Authorization: Bearer"}, 401, "invalid_token"},
		{"B11 garbage behind it", "/", []string{bearer(good) + " x"}, 401, "invalid_token"},
		{"B12 in the query", "/?access_token=" + good, nil, 401, ""},
		{"B12 in a cookie", "/", []string{"Cookie: access_token=" + good + "; __Host-gatehouse=" + good}, 401, ""},
		{"B12 in another header", "/", []string{"X-Access-Token: " + good, "Proxy-Authorization: Bearer " + good, "X-Forwarded-Access-Token: " + good}, 401, ""},
		{"B13 another in the query", "/?access_token=" + bad, []string{bearer(good)}, 200, ""}, // no method of ours, so it is the backend's business
		{"B14 X-Forwarded-Uri", "/admin", []string{"X-Forwarded-Uri: /public/x", "X-Original-URL: /public/x", "X-Rewrite-URL: /public/x"}, 401, ""},
		{"B14 a way out of an exception", "/public/x", []string{"X-Original-URL: /admin", "X-Rewrite-URL: /admin"}, 200, ""},
		{"B14 a method", "/admin", []string{"X-Forwarded-Method: OPTIONS", "X-HTTP-Method-Override: OPTIONS"}, 401, ""},
		{"B17 kube-probe", "/admin", []string{"User-Agent: kube-probe/1.30"}, 401, ""},
		{"B17 GoogleHC", "/healthz/x", []string{"User-Agent: GoogleHC/1.0"}, 401, ""},
	} {
		status, header, saw := b.get(c.target, c.lines...)
		if saw != nil && (saw.Header["X-Original-Url"] != nil || saw.Header["X-Rewrite-Url"] != nil) {
			t.Errorf("%s: the backend is told of another address: %v", c.name, saw.Header)
		}
		challenge := header.Get("WWW-Authenticate")
		if status != c.status || (saw != nil) != (c.status == 200) || strings.Contains(challenge, "error=") != (c.code != "") ||
			!strings.Contains(challenge, c.code) || (challenge == "") != (c.status == 200) {
			t.Errorf("%s: %d %s; want %d %s", c.name, status, challenge, c.status, c.code)
		}
		if c.status == 200 && saw != nil && saw.Header["Authorization"] != nil {
			t.Errorf("%s: the backend got the token", c.name)
		}
	}
	status, header, saw := b.raw(b.site, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "+
		fmt.Sprint(len("access_token="+good))+"\r\nConnection: close\r\n\r\naccess_token="+good)
	if status != http.StatusUnauthorized || saw != nil || strings.Contains(header.Get("WWW-Authenticate"), "error=") {
		t.Errorf("B12 in the body: %d %v", status, header)
	}
}

// escapes are spellings of a way from /public/ or anywhere to /admin/x.
var escapes = []string{
	"/public/../admin/x", "/public/%2e%2e/admin/x", "/public/%2E%2E/admin/x", "/public/.%2e/admin/x", "/public/..%2fadmin/x", "/public/..%5cadmin/x", `/public/..\admin\x`,
	"/public/%252e%252e/admin/x", "/public/..%252fadmin/x", "/public/..;/admin/x", "/public/..;a=b/admin/x", "/public/%2e%2e;/admin/x", "/public/;/../admin/x",
	"/public/..%00/admin/x", "/public/..%09/admin/x", "/public/..%0d%0a/admin/x", "/public/..%7f/admin/x", "/public/..%ef%bc%8fadmin/x",
	"/public/%ef%bc%8e%ef%bc%8e/admin/x", "/public/..%c0%af/admin/x", "/public/%c0%ae%c0%ae/admin/x", "/public/%uff0e%uff0e/admin/x",
	"//admin/x", "///admin/x", "/./admin/x", "/admin/./x", "/admin//x", "/admin/.", "/admin/x/..", "/a/../admin/x", "/%61dmin/x", "/ADMIN/x", "/admin%2fx", "/admin%5cx",
	`\admin\x`, `/\admin/x`, "/public//../admin/x", "/public/./../admin/x", "/public/x/../../admin/x", "/public/%2f../admin/x", "/admin;/x", "/admin;a=b/x", "/%2fadmin/x", "/.%2fadmin/x",
	"http://localhost/public/../admin/x", "http://localhost//admin/x", "/public/..?/admin/x", "/public/..#/admin/x", "/x/..%2f..%2fadmin/x",
	"x:http://localhost/admin/x", "x:localhost/admin/x", "http://localhost", "http://localhost?x",
}

// B18: whatever a backend behind makes of such a path, no exception and no
// matcher has let it through.
func TestNoSpellingOfAPathWalksAround(t *testing.T) {
	b := newBesieged(t, "gatehouse")
	if _, _, saw := b.get("/public/x"); saw == nil || saw.URI != "/public/x" {
		t.Errorf("the exception lets nothing through: %v", saw)
	}
	if _, _, saw := b.raw(b.matched, "GET /elsewhere/x HTTP/1.1\r\nHost: "+b.matched+"\r\nConnection: close\r\n\r\n"); saw == nil {
		t.Error("the matcher matches everything")
	}
	for _, target := range escapes {
		if status, _, saw := b.get(target); saw != nil || status != http.StatusUnauthorized && status != http.StatusBadRequest {
			t.Errorf("an exception, %s: %d, %v", target, status, saw)
		}
		if strings.HasPrefix(target, "/public/..?") || strings.HasPrefix(target, "/public/..#") {
			continue // its path is /public/.., which is not of the matcher's concern whoever reads it
		}
		target = strings.Replace(target, "http://localhost", "http://"+b.matched, 1)
		status, _, saw := b.raw(b.matched, "GET "+target+" HTTP/1.1\r\nHost: "+b.matched+"\r\nConnection: close\r\n\r\n")
		if saw != nil || status != http.StatusUnauthorized && status != http.StatusBadRequest {
			t.Errorf("a matcher, %s: %d, %v", target, status, saw)
		}
	}
}

// B25: a preflight is a request like any other; the gate answers it, the backend does not.
func TestPreflightIsNoWayIn(t *testing.T) {
	b := newBesieged(t, "gatehouse")
	for _, target := range []string{"/admin/x", "*"} {
		status, header, saw := b.raw(b.site, "OPTIONS "+target+" HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n"+
			"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\nConnection: close\r\n\r\n")
		if saw != nil || target != "*" && (status != http.StatusUnauthorized || header.Get("WWW-Authenticate") == "") || header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v, %v", target, status, header, saw)
		}
	}
	for _, method := range []string{"HEAD", "TRACE", "CONNECT", "PROPFIND", "get", "X"} {
		if status, _, saw := b.raw(b.site, method+" /admin/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); saw != nil || status < 400 {
			t.Errorf("%s: %d, %v", method, status, saw)
		}
	}
}
