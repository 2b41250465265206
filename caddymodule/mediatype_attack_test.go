package caddymodule

import (
	"net/http"
	"testing"
)

// B18: a media type is the same in any letters (RFC 9110 §8.3.1), and not to a matcher.
func TestMatcherSeesAMediaTypeInAnyLetters(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	@grpc protocol grpc
	token_gate @grpc
	@write {
		path /api/*
		header Content-Type application/json*
		method PUT
	}
	token_gate @write
	reverse_proxy unix/$DIR/backend
}
http://made.example.com {
	map {header.Content-Type} {kind} {
		application/xml xml
		default other
	}
	@made vars {kind} xml
	token_gate @made
	reverse_proxy unix/$DIR/backend
}`)
	for _, c := range []struct {
		address, media, method string
		judged                 bool
	}{
		{"app.example.com/x", "application/grpc", "", true},
		{"app.example.com/x", "Application/GRPC+proto", "", true},
		{"app.example.com/api/x", "Application/JSON; charset=UTF-8", "", false},
		{"app.example.com/api/x", "Application/JSON; charset=UTF-8", "PUT", true},
		{"made.example.com/x", "Application/XML", "", true},
		{"made.example.com/x", "text/plain", "", false},
		{"app.example.com/api/x", "multipart/form-data; boundary=----WebKitFormBoundaryA", "PUT", false},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+c.address, nil)
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{"Content-Type: " + c.media}
		if c.method != "" {
			lines = append(lines, "X-HTTP-Method-Override: "+c.method)
		}
		if got := w.answered(r, lines...); (got == http.StatusUnauthorized) != c.judged || !c.judged && got != http.StatusOK {
			t.Errorf("%s with %s %s: %d", c.address, c.media, c.method, got)
		}
	}
}
