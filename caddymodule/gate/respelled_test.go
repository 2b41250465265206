package gate_test

import (
	"net/url"
	"testing"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

func TestOddEscapes(t *testing.T) {
	t.Parallel()
	for target, odd := range map[string]bool{
		"/": false, "/a/b?c=d": false, "/wiki/What%3F": false, "/%E4%BD%A0": false, "/a%20b?q=100%25&r=%E4%BD%A0": false, "/?a=b+c%20d%2Fe": false, "/wiki/Foo_(bar)": false, "/it's.png": false, "/a!b": false, "/f%20(1).pdf": false, "/img[1].png": false, "/%e4%bd%a0.pdf": false, "/?a=%7Ex": false, "/?a=100%": false, "/?a=%zz%4": false,
		"/%61dmin": true, "/a%2Cb": true, "/things%3Adelete": true, "/%40admin": true, "/%7Eroot": true, "/?%61=b": true, "/?a=%31": true, "/?a%5Fb": true, "/?a=%2%41": true, "/?a=b%2E": true,
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		if gate.HasOddEscapes(u) != odd {
			t.Errorf("%s: odd %v, want %v", target, !odd, odd)
		}
	}
}
