package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

// TestMatcherCannotBeWalkedAround is B18 for a gate with a matcher: no path
// that a backend may read as one under it passes without a token.
func TestMatcherCannotBeWalkedAround(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	token_gate /admin/*
	reverse_proxy unix/$DIR/backend
}`)
	for _, path := range []string{
		"/admin/x", "/ADMIN/x", "/%61dmin/x", "/admin/.", "/admin/%2e", "/admin/x/..", "/admin/x/%2e%2e", "/admin/./", "/admin/x/../",
		"/public/../admin/x", "/public/%2e%2e/admin/x", "/public/..%2fadmin/x", "//admin/x", "/./admin/x", "/public/..;/admin/x", "/admin;/x", "/admin%5Cx",
	} {
		if a := w.get(path); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	for _, path := range []string{"/", "/public", "/public/a.b/c", "/%E4%BA%A7%E5%93%81", "/administration"} {
		if a := w.get(path); a.status != http.StatusOK {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := w.get("/admin/.", "Authorization: Bearer "+w.token()); a.status != http.StatusOK {
		t.Errorf("with a token: %v", a)
	}
}

// TestIssuersRefusalsHandNothingOn is B26: an error route may be a backend.
func TestIssuersRefusalsHandNothingOn(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	token_gate {
		header X-User-Id {claim.sub}
	}
	handle_errors {
		reverse_proxy unix/$DIR/backend
	}
}`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://app.example.com/oauth2/token", strings.NewReader("client_secret=hidden"))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Authorization": "Basic c2hvcDpzZWNyZXQ=", "Cookie": "s=1", "X-Auth-Subject": "admin", "X-User-Id": "admin", "Early-Data": "1",
	} {
		r.Header.Set(name, value)
	}
	a, err := w.do(r)
	if err != nil {
		t.Fatal(err)
	}
	seen := a.seen(t)
	for _, name := range []string{"Authorization", "Cookie", "X-Auth-Subject", "X-User-Id"} {
		if seen[name] != nil {
			t.Errorf("the error page saw %s: %q", name, seen[name])
		}
	}
	if l := seen.Get("Content-Length"); l != "" && l != "0" {
		t.Errorf("the error page got a body of %s bytes", l)
	}
}
