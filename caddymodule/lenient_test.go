package caddymodule

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestOptionalGateOnASite(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	metrics /metrics
	token_gate {
		optional
	}
	token_gate /admin/* {
		scope orders:read
	}
	reverse_proxy unix/$DIR/backend
}`)
	bearer := "Authorization: Bearer " + w.token()
	const counter = `gatehouse_gate_requests_total{outcome="anonymous",reason="none"}`
	before := w.metrics()[counter]
	for _, c := range []struct {
		path, authorization string
		status              int
		subject             string
	}{
		{"/", "", http.StatusOK, ""},
		{"/", bearer, http.StatusOK, "shop"},
		{"/", bearer + "x", http.StatusUnauthorized, ""},
		{"/admin/x", "", http.StatusUnauthorized, ""},
		{"/admin/x", bearer, http.StatusOK, "shop"},
		{"/admin/x", bearer + "x", http.StatusUnauthorized, ""},
	} {
		lines := []string{"X-Auth-Subject: admin"}
		if c.authorization != "" {
			lines = append(lines, c.authorization)
		}
		a := w.get(c.path, lines...)
		if a.status != c.status || a.status == http.StatusOK && a.seen(t).Get("X-Auth-Subject") != c.subject {
			t.Errorf("%s %.30s: %v", c.path, c.authorization, a)
		}
	}
	if after := w.metrics()[counter]; after == "" || after == before {
		t.Errorf("anonymous requests: %q, before %q", after, before)
	}
}

func TestShadowGateOnASiteCountsAndLogs(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	metrics /metrics
	token_gate {
		shadow
		except /metrics
		scope orders:read
	}
	reverse_proxy unix/$DIR/backend
}`)
	bearer := "Authorization: Bearer " + w.token()
	const counter = `gatehouse_gate_requests_total{outcome="shadowed",reason="wrong_signature"}`
	before := w.metrics()[counter]
	seen := w.get("/", bearer[:len(bearer)-4]+"AAAA", "X-Auth-Subject: admin").seen(t)
	if seen.Get("X-Auth-Subject") != "" || seen.Get("Authorization") == "" {
		t.Errorf("the backend saw %v", seen)
	}
	seen = w.get("/", bearer).seen(t)
	if seen.Get("X-Auth-Subject") != "shop" || seen.Get("Authorization") == "" {
		t.Errorf("the backend saw %v", seen)
	}
	if after := w.metrics()[counter]; after == "" || after == before {
		t.Errorf("counted %q, before %q", after, before)
	}
	events := w.events("gate shadowed")
	if len(events) != 1 || text(events[0]["reason"]) != "wrong_signature" || text(events[0]["outcome"]) != "shadowed" {
		t.Errorf("got %v", events)
	}
}

// Behind a gate that demands a token, `optional` would read as if it opened
// something.
func TestOptionalBehindAnotherGateIsRefused(t *testing.T) {
	const enclosed = "use `except` there instead"
	for name, c := range map[string]struct{ site, want string }{
		"beside":             {"http://app.example.com {\n\ttoken_gate\n\ttoken_gate /x/* {\n\t\toptional\n\t}\n}", enclosed + ", at Caddyfile:33"},
		"in a handle":        {"http://app.example.com {\n\ttoken_gate\n\thandle /x/* {\n\t\ttoken_gate {\n\t\t\toptional\n\t\t}\n\t}\n}", enclosed},
		"in a route":         {"http://app.example.com {\n\troute {\n\t\ttoken_gate /x/*\n\t\ttoken_gate /x/* {\n\t\t\toptional\n\t\t}\n\t}\n}", enclosed},
		"without a host":     {"http:// {\n\ttoken_gate\n\thandle /x/* {\n\t\ttoken_gate {\n\t\t\toptional\n\t\t}\n\t}\n}", enclosed},
		"two sites":          {"http://a.example.com {\n\ttoken_gate\n}\nhttp://b.example.com {\n\ttoken_gate {\n\t\toptional\n\t}\n}", ""},
		"two servers":        {"http:// {\n\ttoken_gate\n}\nhttp://:8081 {\n\ttoken_gate {\n\t\toptional\n\t}\n}", ""},
		"two handles":        {"http://app.example.com {\n\thandle /a/* {\n\t\ttoken_gate\n\t}\n\thandle {\n\t\ttoken_gate {\n\t\t\toptional\n\t\t}\n\t}\n}", ""},
		"other paths":        {"http://app.example.com {\n\ttoken_gate /a/*\n\ttoken_gate {\n\t\toptional\n\t}\n}", ""},
		"an exception":       {"http://app.example.com {\n\ttoken_gate {\n\t\texcept /x/*\n\t}\n\ttoken_gate /x/* {\n\t\toptional\n\t}\n}", ""},
		"behind a shadow":    {"http://app.example.com {\n\ttoken_gate {\n\t\tshadow\n\t}\n\ttoken_gate {\n\t\toptional\n\t}\n}", ""},
		"before a strict":    {"http://app.example.com {\n\ttoken_gate {\n\t\toptional\n\t}\n\ttoken_gate /x/*\n}", ""},
		"in named routes":    {"&(a) {\n\ttoken_gate\n}\n&(b) {\n\ttoken_gate {\n\t\toptional\n\t}\n}\nhttp://app.example.com {\n\tinvoke /a/* a\n\tinvoke /b/* b\n}", ""},
		"in one named route": {"&(a) {\n\ttoken_gate\n\ttoken_gate /x/* {\n\t\toptional\n\t}\n}\nhttp://app.example.com {\n\tinvoke a\n}", enclosed},
		"for errors":         {"http://app.example.com {\n\ttoken_gate\n\thandle_errors {\n\t\ttoken_gate {\n\t\t\toptional\n\t\t}\n\t}\n}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			err := w.validate(oneIssuer, c.site)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// Routes in JSON may exclude each other by their group: then no gate is behind another.
func TestGatesInExclusiveRoutesAreNotBehindEachOther(t *testing.T) {
	w := newWorld(t)
	for group, refused := range map[string]bool{`"group":"one",`: false, "": true} {
		text := w.caddyfile(oneIssuer, "http:// {\n\trespond \"HERE\"\n}")
		routes := `[{` + group + `"handle":[{"handler":"token_gate","at":"first"}]},{` + group + `"handle":[{"handler":"token_gate","optional":true}]}]`
		replaced := regexp.MustCompile(`"routes":\[\{.*?"HERE".*?\}\]\}\]`).ReplaceAll(text, []byte(`"routes":`+routes))
		if bytes.Equal(text, replaced) {
			t.Fatalf("no routes in %s", text)
		}
		var config caddy.Config
		if err := caddy.StrictUnmarshalJSON(replaced, &config); err != nil {
			t.Fatalf("%v: %s", err, replaced)
		}
		if err := caddy.Validate(&config); (err != nil) != refused {
			t.Errorf("group %q: %v", group, err)
		}
	}
}
