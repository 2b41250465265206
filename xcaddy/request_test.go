package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var headerLine = regexp.MustCompile(`^([A-Za-z0-9-]+): ?(.*)$`)

// request sends one HTTP request and wants the status:
//
//	request STATUS METHOD URL ['Name: value' | BODY | @FILE]...
//
// The answer's body is stdout, its head stderr, so the story goes on with the
// commands that look at those. A body is a form unless a header says otherwise.
func request(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 3, "request STATUS METHOD URL ['Name: value' | BODY | @FILE]...")
	if status, body := asked(ts, args); status != args[0] {
		ts.Fatalf("answer %s, want %s: %s", status, args[0], body)
	}
}

// await is a request that is made until its answer is the one, for what a process
// notices after a while.
func await(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 3, "await STATUS METHOD URL ['Name: value' | BODY | @FILE]...")
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		status, body := asked(ts, args)
		if status == args[0] {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("answer %s after a minute, want %s: %s", status, args[0], body)
		}
	}
}

// asked is the status and the body of an answer, both shown to the story.
func asked(ts *testscript.TestScript, args []string) (status string, body []byte) {
	req, err := http.NewRequest(args[1], args[2], nil)
	ts.Check(err)
	for _, arg := range args[3:] {
		if m := headerLine.FindStringSubmatch(arg); m != nil {
			req.Header.Add(m[1], m[2])
			continue
		}
		content := arg
		if file, named := strings.CutPrefix(arg, "@"); named {
			content = ts.ReadFile(file)
		}
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(content)), int64(len(content))
	}
	if req.Body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}

	client := browser(ts)
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stderr(), "%s %s\n", res.Proto, res.Status)
	ts.Check(res.Header.Write(ts.Stderr()))
	fmt.Fprintf(ts.Stdout(), "%s", body)
	return strconv.Itoa(res.StatusCode), body
}

// browser is a client that trusts the authority Caddy made for this story and follows no redirect.
func browser(ts *testscript.TestScript) *http.Client {
	roots := x509.NewCertPool()
	file := filepath.Join(ts.Getenv("XDG_DATA_HOME"), "caddy/pki/authorities/local/root.crt")
	if pem, err := os.ReadFile(file); err == nil && !roots.AppendCertsFromPEM(pem) {
		ts.Fatalf("%s holds no certificate", file)
	}
	return &http.Client{
		Timeout:       patience,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// save puts a member of the JSON object in stdout into a variable:
//
//	save VARIABLE MEMBER
func save(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "save VARIABLE MEMBER")
	var answer map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &answer))
	value, found := answer[args[1]]
	if !found {
		ts.Fatalf("no %s in the answer", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// jwt prints a token's header and its payload, one line each, unverified:
//
//	jwt TOKEN
func jwt(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "jwt TOKEN")
	parts := strings.Split(args[0], ".")
	if len(parts) != 3 {
		ts.Fatalf("not a JWT: %q", args[0])
	}
	for _, part := range parts[:2] {
		text, err := base64.RawURLEncoding.DecodeString(part)
		ts.Check(err)
		fmt.Fprintf(ts.Stdout(), "%s\n", text)
	}
}
