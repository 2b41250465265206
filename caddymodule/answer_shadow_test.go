package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

// A trial run takes no site down, and least of all by the mistakes that it is for
// finding: the proxy that asks hears yes, with nobody's identity.
func TestQuestionInTheShadowIsAnswered(t *testing.T) {
	site := strings.ReplaceAll(answering, "answer\n", "answer\nshadow\n")
	for name, c := range map[string]struct {
		global string
		lines  []string
		reason string
	}{
		"no trusted proxy": {oneIssuer, original("nginx", "GET", "/orders/7"), "untrusted_proxy"},
		"no question":      {trustsSocket, nil, "bad_original_request"},
		"half a question":  {trustsSocket, original("traefik", "GET", "/orders/7")[1:], "bad_original_request"},
	} {
		w := newWorld(t) // a reload has its own ways for a moment
		w.load(c.global, site)
		bearer := "Authorization: Bearer " + w.token()
		a := w.get("/auth", append(c.lines, bearer, "X-User-Id: admin", "X-Auth-Subject: admin")...)
		if a.status != http.StatusOK || a.body != "" || a.header.Get("Cache-Control") != "no-store" || "Authorization: "+a.header.Get("Authorization") != bearer {
			t.Errorf("%s: %v", name, a)
		}
		for _, told := range []string{"X-Auth-Subject", "X-Auth-Client", "X-Auth-Scope", "X-Auth-Issuer", "X-User-Id"} {
			if !isEmpty(a.header[told]) {
				t.Errorf("%s: %s: %q", name, told, a.header[told])
			}
		}
		if x := w.explained(http.MethodGet, "http://app.example.com/auth", ""); x.Decision != "passed" || x.Reason != "bad_original_request" || !strings.Contains(x.Says, "nobody is refused") {
			t.Errorf("%s: %+v", name, x)
		}
		events := w.events("gate shadowed")
		if len(events) == 0 || text(events[0]["reason"]) != c.reason || text(events[0]["cause"]) == "" || len(w.events("gate refused")) != 0 {
			t.Errorf("%s: %v", name, events)
		}
	}
}

// One gate in earnest is enough, wherever it stands.
func TestShadowAnswersForNoGateInEarnest(t *testing.T) {
	for name, site := range map[string]string{
		"the first": strings.Replace(answering, "answer\n", "answer\nshadow\n", 1),
		"the last":  strings.Replace(answering, "scope openid\n", "scope openid\nshadow\n", 1),
	} {
		w := newWorld(t)
		w.load(oneIssuer, site)
		if a := w.get("/auth", original("nginx", "GET", "/x")...); a.status != http.StatusBadRequest || a.header["X-Auth-Subject"] != nil {
			t.Errorf("%s in the shadow: %v", name, a)
		}
	}
}
