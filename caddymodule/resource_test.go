package caddymodule

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

const guarded = `
http://app.example.com {
	token_gate {
		except /open/*
	}
	token_gate /api/* {
		scope orders:read
		resource_name "Orders"
	}
	token_gate /api/* {
		scope openid
	}
	token_gate /named/* {
		resource https://api.example.com/v1
	}
	handle /deep/* {
		token_gate {
			scope openid
		}
	}
	reverse_proxy unix/$DIR/backend
}
http://auth.example.com {
	token_issuer
}
http:// {
	token_gate
}`

// RFC 9728: a client that knows nothing but the address of a resource learns
// where its tokens come from.
func TestResourceTellsWhereItsTokensComeFrom(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, guarded)
	for path, want := range map[string]string{
		"":     `{"resource":"https://app.example.com","authorization_servers":["https://auth.example.com"],"bearer_methods_supported":["header"]}`,
		"/api": `{"resource":"https://app.example.com/api","resource_name":"Orders","authorization_servers":["https://auth.example.com"],"scopes_supported":["openid","orders:read"],"bearer_methods_supported":["header"]}`,
	} {
		a := w.get(wellKnown+path, "Origin: https://spa.example")
		if a.status != http.StatusOK || a.body != want || a.header.Get("Content-Type") != "application/json" || a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: got %v, want %s", path, a, want)
		}
	}
	for path, want := range map[string]string{
		"/":           `, resource_metadata="https://app.example.com/.well-known/oauth-protected-resource"`,
		"/open/../x":  `, resource_metadata="https://app.example.com/.well-known/oauth-protected-resource"`,
		"/api/orders": `, resource_metadata="https://app.example.com/.well-known/oauth-protected-resource"`, // the first gate refuses
	} {
		if a := w.get(path); a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != `Bearer realm="gatehouse"`+want {
			t.Errorf("%s: got %v, want %s", path, a, want)
		}
	}
	// What nobody describes is judged like any path, and is no way to the backend.
	for _, path := range []string{"/", "/x", "x", "/api/", "/api/orders", "/%61pi", "/deep", "/../../orders"} {
		if a := w.get(wellKnown + path); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %v", wellKnown+path, a)
		}
	}
	for method, status := range map[string]int{http.MethodOptions: 204, http.MethodHead: 200, http.MethodPost: 401, http.MethodDelete: 401} {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://app.example.com"+wellKnown, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := w.do(r); err != nil || a.status != status || a.body != "" {
			t.Errorf("%s: %v, %v", method, a, err)
		}
	}
}

// F06: the Host header of a stranger names no resource.
func TestHostHeaderNamesNoResource(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, guarded)
	for _, host := range []string{"evil.example", "app.example.com.evil.example", "evil.example:443"} {
		for _, path := range []string{"/", wellKnown} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://app.example.com"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = host
			a, err := w.do(r)
			if err != nil || a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != `Bearer realm="gatehouse"` {
				t.Errorf("%s%s: %v, %v", host, path, a, err)
			}
		}
	}
}

func TestResourceByItsOwnName(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, `
http:// {
	token_gate {
		resource https://api.example.com/v1
		scope orders:read
	}
}`)
	const pointer = `resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/v1"`
	if a := w.get("/"); !strings.HasSuffix(a.header.Get("WWW-Authenticate"), pointer) {
		t.Errorf("got %v", a)
	}
	if a := w.get(wellKnown + "/v1"); !strings.HasPrefix(a.body, `{"resource":"https://api.example.com/v1",`) {
		t.Errorf("got %v", a)
	}
	if a := w.get(wellKnown); a.status != http.StatusUnauthorized {
		t.Errorf("got %v", a)
	}
}

// RFC 9728 §3.3: a client must not use a document of another resource than the one
// it asked for, and another port is another.
func TestSitesOnSeveralPortsAreSeveralResources(t *testing.T) {
	w := newWorld(t)
	sites, ports := `
http://localhost:$1 {
	bind 127.0.0.1
	token_issuer
	token_gate {
		scope openid
	}
}
http://localhost:$2, http://127.0.0.1:$2 {
	bind 127.0.0.1
	token_gate {
		scope orders:read
	}
}
http://localhost:$3 {
	bind 127.0.0.1
	token_gate {
		embedded off
		issuer http://127.0.0.1:9 {
			audience api
		}
	}
}`, freePorts(t, 3)
	for n, port := range ports {
		sites = strings.ReplaceAll(sites, "$"+string(rune('1'+n)), port)
	}
	w.load(oneIssuer, sites)
	const ours = `"authorization_servers":["https://auth.example.com"],"scopes_supported":`
	for site, rest := range map[string]string{
		"http://localhost:" + ports[0]: ours + `["openid"]`,
		"http://localhost:" + ports[1]: ours + `["orders:read"]`,
		"http://127.0.0.1:" + ports[1]: ours + `["orders:read"]`,
		"http://localhost:" + ports[2]: `"authorization_servers":["http://127.0.0.1:9"]`,
	} {
		want := `{"resource":"` + site + `",` + rest + `,"bearer_methods_supported":["header"]}`
		if status, _, body := overTCP(t, site+wellKnown, ""); status != http.StatusOK || body != want {
			t.Errorf("%d %s, want %s", status, body, want)
		}
		pointer := `resource_metadata="` + site + wellKnown + `"`
		if status, h, _ := overTCP(t, site+"/x", ""); status != http.StatusUnauthorized || !strings.HasSuffix(h.Get("WWW-Authenticate"), pointer) {
			t.Errorf("%s: %d %v", site, status, h)
		}
	}
	// What a port is called outside is not known here; whose it is, is.
	for n, scope := range map[int]string{0: "openid", 1: "orders:read"} {
		if _, _, body := overTCP(t, "http://localhost:"+ports[n]+wellKnown, "localhost:1"); !strings.Contains(body, `["`+scope+`"]`) {
			t.Errorf("by another port: %s", body)
		}
	}
}

// freePorts are ports that nobody listened on a moment ago.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		ports = append(ports, port)
	}
	return ports
}

// overTCP asks over the network, as if by another name where host is one.
func overTCP(t *testing.T, url, host string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, a.Header, string(body)
}
