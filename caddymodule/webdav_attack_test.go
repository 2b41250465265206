package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

// B14, B18: COPY and MOVE act upon the path in Destination, too (RFC 4918 §9.8, §9.9).
func TestDestinationIsJudgedAsThePathIs(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	token_gate /private/*
	token_gate /dav/* {
		except /dav/public/* /dav/index.html
	}
	token_gate /rule/* {
		expression `+"`!request.path.startsWith(\"/rule/closed/\")`"+`
	}
	reverse_proxy unix/$DIR/backend
}
http://made.example.com {
	map {path} {made} {
		/made yes
		default no
	}
	@made vars {made} yes
	token_gate @made
	reverse_proxy unix/$DIR/backend
}
http://files.example.com {
	handle_path /x/* {
		token_gate /private/*
		reverse_proxy unix/$DIR/backend
	}
}`)
	const app = "http://app.example.com"
	ask := func(method, address, to string, lines ...string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if to != "" {
			lines = append(lines, "Destination: "+to)
		}
		return w.answered(r, lines...)
	}
	for _, c := range []struct {
		method, from, to string
		judged           bool
	}{
		{"MOVE", "/open/x", "", false},
		{"MOVE", "/open/x", "/open/y", false},
		{"MOVE", "/open/x", app + "/open/y%20z", false},
		{"COPY", "/open/x", "HTTPS://APP.example.com:443/open/y", false},
		{"GET", "/open/x", "/private/y", false},
		{"PUT", "/open/x", "/private/y", false},
		{"COPY", "/open/x", "/private/y", true},
		{"MOVE", "/open/x", app + "/private/y", true},
		{"MOVE", "/open/x", "https://app.example.com/%70rivate/y", true},
		{"MOVE", "/open/x", "/PRIVATE/y", true},
		{"move", "/open/x", "/private/y", true},
		{"BIND", "/open/x", "/private/y", true},
		{"MOVE", "/open/x", "https://other.example.com/open/y", true},
		{"MOVE", "/open/x", "https://app.example.com@other.example.com/open/y", true},
		{"MOVE", "/open/x", "https://me@app.example.com/open/y", true},
		{"MOVE", "/open/x", "//app.example.com/open/y", true},
		{"MOVE", "/open/x", "ftp://app.example.com/open/y", true},
		{"MOVE", "/open/x", "http:///open/y", true},
		{"MOVE", "/open/x", "http:open/y", true},
		{"MOVE", "/open/x", "open/y", true},
		{"MOVE", "/open/x", "/open/../private/y", true},
		{"MOVE", "/open/x", "/open/%2e%2e/private/y", true},
		{"MOVE", "/open/x", "/open/..%2fprivate/y", true},
		{"MOVE", "/open/x", "/open/http://app.example.com/private/y", true},
		{"MOVE", "/open/x", "/open?/../private/y", true},
		{"MOVE", "/open/x", "/open#y", true},
		{"MOVE", "/open/x", "/open/y%3Fz", true},
		{"MOVE", "/open/x", "/private./y", true},
		{"MOVE", "/open/x", "/open/%zz", true},

		{"MOVE", "/dav/public/x", "/dav/public/y", false},
		{"MOVE", "/dav/public/x", app + "/dav/public/y", false},
		{"MOVE", "/dav/public/x", "/dav/index.html", false},
		{"MOVE", "/dav/public/x", "/dav/closed/y", true},
		{"COPY", "/dav/public/x", app + "/dav/closed/y", true},
		{"COPY", "/dav/public/x", app + "/dav/public/%2e%2e/closed/y", true},
		{"COPY", "/dav/public/x", "/open/y", true},
		{"COPY", "/dav/public/x", "https://other.example.com/dav/public/y", true},
		{"MOVE", "/dav/closed/x", "/dav/public/y", true},
		{"GET", "/dav/public/x", "/dav/closed/y", false},

		{"MOVE", "/open/x", "/rule/y", true},
	} {
		if got := ask(c.method, app+c.from, c.to); (got == http.StatusUnauthorized) != c.judged || !c.judged && got != http.StatusOK {
			t.Errorf("%s %s to %s: %d", c.method, c.from, c.to, got)
		}
	}
	for _, line := range []string{"X-HTTP-Method-Override: MOVE", "X-HTTP-Method: COPY"} {
		if got := ask(http.MethodPost, app+"/open/x", "/private/y", line); got != http.StatusUnauthorized {
			t.Errorf("%s: %d", line, got)
		}
		if got := ask(http.MethodPost, app+"/dav/public/x", "/dav/closed/y", line); got != http.StatusUnauthorized {
			t.Errorf("%s at an exception: %d", line, got)
		}
		if got := ask(http.MethodPost, app+"/dav/public/x", "/dav/public/y", line); got != http.StatusOK {
			t.Errorf("%s from an exception to one: %d", line, got)
		}
	}
	if got := ask("MOVE", app+"/open/x", "/open/y", "Destination: /private/y"); got != http.StatusUnauthorized {
		t.Errorf("two: %d", got)
	}
	for to, want := range map[string]int{"/made": 401, "": 200} {
		if got := ask("MOVE", "http://made.example.com/b", to); got != want {
			t.Errorf("what a map has made, to %s: %d", to, got)
		}
	}
	token := "Authorization: Bearer " + w.token()
	for to, want := range map[string]int{"/rule/y": 200, app + "/rule/y": 200, "/rule/closed/y": 403, app + "/rule/closed/y": 403, "https://other.example.com/rule/y": 403, "/rule/y/../closed/y": 403, "/rule/closed./y": 403} {
		if got := ask("MOVE", app+"/rule/x", to, token); got != want {
			t.Errorf("a rule and %s: %d, want %d", to, got, want)
		}
	}
	for to, judged := range map[string]bool{
		"/x/open/y": false, "http://files.example.com/x/open/y": false, "/x/private/y": true, "/X/private/y": true, "http://files.example.com/x/private/y": true, "/private/y": true,
	} {
		if got := ask("MOVE", "http://files.example.com/x/open/x", to); (got == http.StatusUnauthorized) != judged {
			t.Errorf("below a prefix, to %s: %d", to, got)
		}
	}
}

// answered is the status of the answer to a request with further lines.
func (w *world) answered(r *http.Request, lines ...string) int {
	w.Helper()
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	a, err := w.do(r)
	if err != nil {
		w.Fatal(err)
	}
	return a.status
}
