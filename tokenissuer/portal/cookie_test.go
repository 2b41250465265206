package portal

import (
	"net/http"
	"testing"
)

func TestCookies(t *testing.T) {
	w := newWorld(t, nil)
	set := func(p *person) []*http.Cookie { return (&http.Response{Header: p.head}).Cookies() }
	p := w.person()
	p.once("GET", "/authorize", nil)
	cookies := set(p)
	p.goes(p.head.Get("Location"))
	p.once("POST", "/portal/login", p.filled("/portal/login", "username", "ann", "password", right))
	cookies = append(cookies, set(p)...)
	if len(cookies) != 2 {
		t.Fatalf("cookies: %v", cookies)
	}
	for i, name := range []string{"__Host-gatehouse-browser", "__Host-gatehouse"} {
		c := cookies[i]
		if c.Name != name || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 {
			t.Errorf("%s", c.Raw)
		}
		if raw, err := encoding.DecodeString(c.Value); err != nil || len(raw) != 32 {
			t.Errorf("%s has %d bytes", c.Name, len(raw))
		}
	}
	plain, err := New(Options{Issuer: "http://localhost:8080", Key: make([]byte, 32)})
	if err != nil || plain.cookieName(sessionCookie) != "gatehouse" {
		t.Errorf("on http: %v", err)
	}
}
