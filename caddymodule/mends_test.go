package caddymodule

import (
	"strings"
	"testing"
)

// What explain says to do about a request that a gate judges for its other readings is about
// what it has read twice.
func TestMendOfARequestWithTwoReadings(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	token_gate /private/*
	reverse_proxy unix/$DIR/backend
}
http://made.example.com {
	@made vars {part} closed
	token_gate @made
	reverse_proxy unix/$DIR/backend
}
http://dav.example.com {
	token_gate {
		except /public/*
	}
	reverse_proxy unix/$DIR/backend
}`)
	for _, c := range []struct {
		method, url string
		headers     []string
		says        string
	}{
		{"GET", "http://app.example.com//x", nil, "without . .. or empty segments"},
		{"MOVE", "http://app.example.com/x", []string{"Destination: http://elsewhere.example.com/y"}, "Destination"},
		{"POST", "http://app.example.com/x./y%3Fz", []string{"X-HTTP-Method: PUT"}, "two of these at once"},
		{"GET", "http://made.example.com/Warner_Bros.", nil, "what handlers before it have made of the request"},
		{"GET", "http://made.example.com/x", []string{"X-HTTP-Method: PUT"}, "what handlers before it have made of the request"},
		{"MOVE", "http://dav.example.com/public/x", []string{"Destination: /closed/y"}, "Destination"},
		{"GET", "http://dav.example.com/public/%2e%2e", nil, "without . .. or empty segments"},
	} {
		x := w.explains(question{Method: c.method, URL: c.url, Headers: c.headers})
		if x.Decision != "refused" || !strings.Contains(x.Mend, c.says) {
			t.Errorf("%s %s %q: %s, %q", c.method, c.url, c.headers, x.Decision, x.Mend)
		}
	}
	if x := w.explains(question{Method: "GET", URL: "http://app.example.com/private/x"}); strings.Contains(x.Mend, "reading") {
		t.Errorf("a request with one reading: %q", x.Mend)
	}
}
