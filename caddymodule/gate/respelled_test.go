package gate_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// B18: another spelling of an address counts where it may be another one to a text.
func TestSpellingsThatCountForATextAreUnclear(t *testing.T) {
	t.Parallel()
	for text, targets := range map[string]map[string]bool{
		"": {
			"/": false, "/a/b?c=d": false, "/wiki/What%3F": false, "/%E4%BD%A0": false, "/a%20b?q=100%25&r=%E4%BD%A0": false, "/?a=b+c%20d%2Fe": false, "/wiki/Foo_(bar)": false, "/it's.png": false, "/a!b": false, "/f%20(1).pdf": false, "/img[1].png": false, "/%e4%bd%a0.pdf": false, "/?a=%7Ex": false, "/?a=100%": false, "/?a=%zz%4": false,
			"/a%2Cb": false, "/users/ann%40example.com": false, "/rooms/%21a%3Ab.org": false, "/x/c%2B%2B": false, "/wiki/Foo_%28bar%29": false,
			"/%61dmin": true, "/?%61=b": true, "/?a=%31": true, "/?a%5Fb": true, "/?a=%2%41": true, "/?a=b%2E": true,
		},
		"/odata/Users(": {"/odata/Users%285%29": true, "/odata/Users(5)": false, "/odata/Users%295": false, "/users/ann%40example.com": false, "/?a=%28": true},
		"/things:delete": {
			"/things%3Adelete": true, "/things%3adelete": true, "/things:delete": false, "/x?redirect=https%3A%2F%2Fa": false, "/users/ann%40x": false, "/a/b/c": false,
		},
		"/things%3Adelete": {"/things:delete": true, "/things%3adelete": true, "/things%3Adelete": false, "/things": false},
		"/%E7%AE%A1":       {"/%e7%ae%a1": true, "/%E7%AE%A1": false, "/\xe7\xae\xa1": true, "/%c3%a9": false, "/a%2cb": false},
		"/%e7%ae%a1":       {"/%E7%AE%A1": true, "/%e7%ae%a1": false},
		"/管理":              {"/%E7%AE%A1%E7%90%86": true, "/a%20b": false},
		"/~root@":          {"/%7Eroot": true, "/%40": true, "/~root@": false, "/%2B": false},
		"role=%E7%AE%A1":   {"/?role=%e7%ae%a1": true, "/?role=%E7%AE%A1": false, "/?a=b&c=%3D": false},
		"filter[role]=a":   {"/?filter%5Brole%5D=a": true, "/?filter[role]=a": false, "/?a=b%26c%3Dd": false},
	} {
		n := gate.Names{Raw: true}
		n.Texts.Add(text)
		for target, odd := range targets {
			u, err := url.ParseRequestURI(target)
			if err != nil {
				t.Fatal(err)
			}
			if n.Unclear(&http.Request{URL: u}, nil) != odd {
				t.Errorf("%q: %s: odd %v, want %v", text, target, !odd, odd)
			}
		}
	}
}
