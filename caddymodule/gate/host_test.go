package gate_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// B18: the host that servers find a site by.
func TestReadingsOfAHost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host string
		want []string
		odd  bool
	}{
		{"", nil, false},
		{"app.example", nil, false},
		{"[::1]", nil, false},
		{"App.example", []string{"PUT app.example", "GET app.example"}, true},
		{"app.example:443", []string{"PUT app.example", "GET app.example"}, true},
		{"app.example:0080", []string{"PUT app.example", "GET app.example"}, true},
		{"app.example:", []string{"PUT app.example", "GET app.example"}, true},
		{"app.example:8443", []string{"PUT app.example", "GET app.example"}, false},
		{"APP.example:8443", []string{"PUT app.example", "GET app.example"}, true},
		{"[FE80::1]", []string{"PUT [fe80::1]", "GET [fe80::1]"}, true},
		{"[fe80::1]:8443", []string{"PUT [fe80::1]", "GET [fe80::1]"}, false},
	} {
		r := &http.Request{Method: http.MethodGet, Host: c.host, URL: &url.URL{Path: "/"}}
		other := *r
		other.Method = http.MethodPut
		var got []string
		for _, u := range gate.WithHost(r, []*http.Request{&other})[1:] {
			got = append(got, u.Method+" "+u.Host)
		}
		if !slices.Equal(got, c.want) || gate.HasOddHost(r) != c.odd || r.Host != c.host || other.Host != c.host {
			t.Errorf("%s: %q, want %q, odd: %v", c.host, got, c.want, gate.HasOddHost(r))
		}
	}
}
