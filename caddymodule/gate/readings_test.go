package gate_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// B18: what a request is besides what it says, and where nobody can say it.
func TestReadingsOfARequest(t *testing.T) {
	const unclear = "unclear"
	for _, c := range []struct {
		method, target string
		fields         []string // the names and values of headers
		want           []string
	}{
		{"GET", "/a.b/c%20d", nil, nil},
		{"GET", "/...", nil, nil},
		{"GET", "/x?_methods=DELETE&method=PUT&a=_method", nil, nil},

		{"POST", "/x", []string{"X-Http-Method-Override", "DELETE"}, []string{"DELETE /x"}},
		{"GET", "/x", []string{"X-Http-Method", " delete "}, []string{"DELETE /x"}},
		{"POST", "/x", []string{"X-Method-Override", "PATCH", "X-Http-Method", "patch"}, []string{"PATCH /x"}},
		{"POST", "/x", []string{"X-Method-Override", "POST", "X-Http-Method", ""}, nil},
		{"POST", "/x", []string{"X-Method-Override", "PUT", "X-Http-Method", "DELETE"}, []string{unclear}},
		{"POST", "/x", []string{"X-Http-Method", "PUT", "X-Http-Method", "DELETE"}, []string{unclear}},
		{"POST", "/x?a=b&_method=delete", nil, []string{"DELETE /x?a=b&_method=delete"}},
		{"POST", "/x?%5Fmeth%6fd=%50UT", nil, []string{"PUT /x?%5Fmeth%6fd=%50UT"}},
		{"POST", "/x?_method=PUT&_method=DELETE", nil, []string{unclear}},

		{"POST", "/x", []string{"X-Http-Method-Override", "DELETE, x"}, []string{unclear}},
		{"POST", "/x?.method=DELETE", nil, []string{"DELETE /x?.method=DELETE"}},
		{"POST", "/x?+%20_method=DELETE", nil, []string{"DELETE /x?+%20_method=DELETE"}},
		{"POST", "/x?_method%00%zz=DELETE", nil, []string{"DELETE /x?_method%00%zz=DELETE"}},

		{"POST", "/x?a;_method=DELETE;b", nil, []string{"DELETE /x?a;_method=DELETE;b"}},
		{"POST", "/x?_METHOD=DELETE", nil, []string{"DELETE /x?_METHOD=DELETE"}},
		{"POST", "/x?X-HTTP-Method-Override=DELETE", nil, []string{"DELETE /x?X-HTTP-Method-Override=DELETE"}},
		{"POST", "/x?x-http-method=PUT", nil, []string{"PUT /x?x-http-method=PUT"}},
		{"POST", "/x?x-http-method=PUT;_method=DELETE", nil, []string{unclear}},

		{"GET", "/admin./x", nil, []string{"GET /admin/x"}},
		{"GET", "/x.php.%20.", nil, []string{"GET /x.php"}},
		{"GET", "/admin%20/x?a", nil, []string{"GET /admin/x?a"}},
		{"GET", "/%20admin/x", nil, []string{"GET /admin/x"}},
		{"GET", "/(S(abc))/x", nil, []string{unclear}},
		{"GET", "/a/(A(1)F(x-_2))/b", nil, []string{unclear}},
		{"GET", "/ad/(S(x))in/y", nil, []string{unclear}},
		{"GET", "/(A(x(y))/z", nil, []string{unclear}},
		{"GET", "/wiki/Foo_(bar)/(b)/(S)/(S(a)/b)/x(S(a))", nil, nil},
		{"GET", "/Users(5)/(a,b)/()", nil, nil},
		{"GET", "/Warner_Bros.", nil, []string{"GET /Warner_Bros"}},
		{"GET", "/a/..%20/b", nil, []string{unclear}},
		{"GET", "/a/%20/b", nil, []string{unclear}},

		{"GET", "/a%3Fb%3Fc?d", nil, []string{"GET /a?d", "GET /a?b?c", "GET /a?b?c&d"}},
		{"GET", "/a%23b", nil, []string{"GET /a", "GET /a?b", "GET /a?b&"}},
		{"GET", "/a%23b%3Fc", nil, []string{unclear}},
		{"GET", "/a/%3F/../b", nil, []string{unclear}},
		{"GET", "/a.%3Fb", nil, []string{unclear}},
		{"GET", "/a%3F/b./c", nil, []string{unclear}},
		{"GET", "/a%3F_method=DELETE", nil, []string{unclear}},
		{"GET", "/a/7/..%3Fx", nil, []string{unclear}},
		{"GET", "/a/.%23x", nil, []string{unclear}},
		{"POST", "/a%3Fb", []string{"X-Http-Method", "PUT"}, []string{unclear}},
		{"POST", "/a./b", []string{"X-Http-Method", "PUT"}, []string{unclear}},
		{"get", "/", nil, []string{unclear}},
	} {
		u, err := url.ParseRequestURI(c.target)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Method: c.method, Host: "app.example", URL: u, Header: http.Header{}}
		for n := 0; n < len(c.fields); n += 2 {
			r.Header.Add(c.fields[n], c.fields[n+1])
		}
		others, complete := gate.Readings(r)
		var got []string
		for _, o := range others {
			got = append(got, o.Method+" "+o.URL.RequestURI())
		}
		if !complete {
			got = append(got, unclear)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s %s %q: %q, want %q", c.method, c.target, c.fields, got, c.want)
		}
		if c.target != u.RequestURI() || c.method != r.Method {
			t.Errorf("%s %s has become %s %s", c.method, c.target, r.Method, u.RequestURI())
		}
	}
}

// Who is let by without a question asked pays nothing for what he does not do.
func TestReadingsOfOrdinaryRequestsCostNoMemory(t *testing.T) {
	r := request("a.b.c")
	r.URL = &url.URL{Path: "/a/b.css", RawQuery: "a=b&c=d"}
	if n := testing.AllocsPerRun(100, func() {
		gate.Readings(r)
		gate.Scripts(r, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
