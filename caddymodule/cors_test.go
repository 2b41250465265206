package caddymodule

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// shown is the sites of the n-th configuration below a heading of the operating page,
// with the world's host and backend.
func shown(t *testing.T, heading string, n int) string {
	t.Helper()
	page, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n## "+heading+"\n")
	blocks := strings.Split(section, "```")
	if !ok || len(blocks) < 2*n {
		t.Fatalf("%s: %d blocks", heading, len(blocks))
	}
	_, text, _ := strings.Cut(blocks[2*n-1], "\n}\n") // without the global options, which the world has
	return strings.NewReplacer("app.example.com {", "http://app.example.com {\n\ttoken_issuer", "localhost:9000", "unix/$DIR/backend").Replace(text)
}

// What the page shows lets a browser's question by and nothing else: by the backend,
// and by Caddy where the backend knows nothing of it.
func TestPreflightsPassAsThePageShows(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	ask := func(method string, lines ...string) answer {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://app.example.com/orders", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Set(name, value)
		}
		a, err := w.do(r)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	const origin, wish, forged = "Origin: https://spa.example.com", "Access-Control-Request-Method: PUT", "X-Auth-Subject: admin"
	w.load(oneIssuer, oneSite)
	if a := ask(http.MethodOptions, origin, wish); a.status != http.StatusUnauthorized {
		t.Fatalf("a gate by itself: %v", a)
	}
	for n := 1; n <= 2; n++ {
		w.load(oneIssuer, shown(t, "Pages of other origins (CORS)", n))
		bearer := "Authorization: Bearer " + w.token()
		a := ask(http.MethodOptions, origin, wish, forged)
		if n == 1 && (a.status != http.StatusOK || a.seen(t)["X-Auth-Subject"] != nil || a.seen(t).Get("Origin") == "") {
			t.Errorf("%d: the question: %v", n, a)
		}
		if n == 2 && (a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Headers") == "" || a.header.Get("Access-Control-Allow-Origin") != "https://spa.example.com") {
			t.Errorf("%d: the question: %v", n, a)
		}
		for _, lines := range [][]string{{}, {origin}, {wish}} {
			if a := ask(http.MethodOptions, lines...); a.status != http.StatusUnauthorized {
				t.Errorf("%d: OPTIONS with %q: %v", n, lines, a)
			}
		}
		if a := ask(http.MethodPut, origin, wish); a.status != http.StatusUnauthorized || n == 2 && a.header.Get("Access-Control-Allow-Origin") == "" {
			t.Errorf("%d: the request without a token: %v", n, a)
		}
		if a := ask(http.MethodPut, origin, bearer); a.status != http.StatusOK || a.seen(t).Get("X-Auth-Subject") != "shop" {
			t.Errorf("%d: the request: %v", n, a)
		}
	}
}
