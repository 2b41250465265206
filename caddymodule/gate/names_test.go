package gate_test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// B14, B18: where a backend that reads a query in its own way finds another value for a
// name than Caddy does, the query is unclear.
func FuzzQueryThatIsClearHasOneReading(f *testing.F) {
	for _, query := range []string{
		"action=delete", "a=b&action=x", "action=a&action=b", "a;action=x", "+action=x", "%20Action=x", "action%00y=x", "action[]=x", "%u0061ction=x",
		"action=100%", "x=100%&action=y", "action=+x", "action=x%00", "a#&action=x", "action=x#", "?action=x", "action+=x", "%61ction=x", "caf%C3%A9=1&action=caf%C3%A9",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		var n gate.Names
		n.Query.Add("action")
		if n.Unclear(&http.Request{URL: &url.URL{Path: "/", RawQuery: query}}, nil) {
			return
		}
		matcher := url.Values{}
		if all, err := url.ParseQuery(query); err == nil {
			matcher = all // else Caddy's matcher finds nothing
		}
		values, _ := url.ParseQuery(query)
		seen := values["action"]
		if len(seen) > 1 || !slices.Equal(matcher["action"], seen) {
			t.Fatalf("%q: Caddy reads %q by its matcher and %q by its placeholder", query, matcher["action"], seen)
		}
		for split, divides := range map[string]string{"at &": "&", "at & and ;": "&;", "up to #": "&#"} {
			var found []string
			for pair := range strings.FieldsFuncSeq(query, func(c rune) bool { return strings.ContainsRune(divides, c) }) {
				name, value, _ := strings.Cut(pair, "=")
				if asPHP(name) == "action" {
					found = append(found, strings.TrimSpace(plain(value)))
				}
			}
			if !slices.Equal(found, seen) {
				t.Fatalf("%q: Caddy reads %q and who splits %s %q", query, seen, split, found)
			}
		}
	})
}

// asPHP is a name as PHP and ASP.NET read it, in one.
func asPHP(name string) string {
	name, _, _ = strings.Cut(strings.TrimLeft(plain(name), " "), "\x00")
	if at := strings.IndexByte(name, '['); at > 0 {
		name = name[:at]
	}
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r | 0x20
		}
		return r
	}, strings.NewReplacer(".", "_", " ", "_").Replace(name))
}

// plain is a text without escapes, as far as they are some.
func plain(text string) string {
	text = strings.ReplaceAll(text, "+", " ")
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if c, err := url.PathUnescape(text[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// Two headers that are one to CGI, where the server lets them in.
func TestHeadersOfOneNameToCGIAreUnclear(t *testing.T) {
	var n gate.Names
	n.Fields.Add("X-Tenant")
	n.Fields.Add("Accept")
	n.Lists = []string{"Accept"}
	for _, c := range []struct {
		h    http.Header
		want bool
	}{
		{http.Header{"X-Tenant": {"a", "b"}}, true},
		{http.Header{"X_tenant": {"a"}}, true},
		{http.Header{"X-Tenant": {"a"}, "X.tenant": {"b"}}, true},
		{http.Header{"X-Tenant": {"a"}, "X-Tenants": {"b", "c"}, "Accept": {"d", "e"}, "X_other": {"f"}}, false},
		{nil, false},
	} {
		if got := n.Unclear(&http.Request{URL: new(url.URL), Header: c.h}, nil); got != c.want {
			t.Errorf("%v: %v", c.h, got)
		}
	}
}

// Where every header is read, those that are one to CGI are unclear, and so are hundreds that
// might be: a stranger sends as many as a server takes.
func TestHeadersOfAnyNameAreComparedOnce(t *testing.T) {
	var n gate.Names
	n.Fields.All = true
	fields := func(count int, odd bool, others ...string) http.Header {
		h := http.Header{}
		for i := range count {
			h[map[bool]string{true: "A!", false: "A-"}[odd]+strconv.Itoa(i)] = []string{"x"}
		}
		for _, other := range others {
			h[other] = []string{"x"}
		}
		return h
	}
	for what, c := range map[string]struct {
		h    http.Header
		want bool
	}{
		"none":                {fields(0, false), false},
		"plain ones":          {fields(5000, false), false},
		"odd ones":            {fields(200, true, "B-1", "C-1"), false},
		"too many":            {fields(201, true), true},
		"very many":           {fields(100_000, true), true},
		"odd beside odd":      {fields(100, true, "A~99"), true},
		"odd beside plain":    {fields(100, true, "A-99"), true},
		"among many":          {fields(5000, false, "A!17"), true},
		"in another letter":   {fields(10, false, "X-Tenant", "x!tenant"), true},
		"the begin of a name": {fields(10, false, "X-Tenant", "X!tenants"), false},
	} {
		if got := n.Unclear(&http.Request{URL: new(url.URL), Header: c.h}, nil); got != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// What an ordinary request brings costs no memory, and 1 MB of pairs little of it: a
// stranger sends them.
func TestNamesCostNoMemory(t *testing.T) {
	var n, all gate.Names
	for _, name := range []string{"action", "user_id", "tag[]"} {
		n.Query.Add(name)
		n.Cookies.Add(name)
	}
	n.Fields.Add("X-Tenant")
	all.Query.All, all.Fields.All, all.Cookies.All = true, true, true
	ordinary := &http.Request{
		URL:    &url.URL{Path: "/a", RawQuery: "a=b%20c&action=view&q=caf%C3%A9"},
		Header: http.Header{"Accept": {"*/*"}, "X-Tenant": {"a"}, "Cookie": {"a=b; action=view; c=%7B%7D"}},
	}
	pairs := strings.Repeat("&aaaa%20", 1<<17)
	for what, r := range map[string]*http.Request{
		"ordinary":    ordinary,
		"many pairs":  {URL: &url.URL{Path: "/a", RawQuery: "%" + pairs}},
		"one pair":    {URL: &url.URL{Path: "/a", RawQuery: "a" + strings.Repeat("%20", 1<<18)}},
		"blanks":      {URL: &url.URL{Path: "/a", RawQuery: strings.Repeat("+", 1<<20) + "=x"}},
		"odd headers": {URL: &url.URL{Path: "/a"}, Header: http.Header{"A!1": {"a"}, "A!2": {"a"}, "A-3": {"a"}}},
		"a cookie":    {URL: &url.URL{Path: "/a"}, Header: http.Header{"Cookie": {strings.Repeat("a,", 1<<19)}}},
	} {
		for _, names := range []*gate.Names{&n, &all} {
			if most := testing.AllocsPerRun(5, func() { names.Unclear(r, nil) }); most != 0 {
				t.Errorf("%s: %v allocations", what, most)
			}
		}
	}
	if n.Unclear(ordinary, nil) || all.Unclear(ordinary, nil) {
		t.Error("an ordinary request is unclear")
	}
}

// BenchmarkNames is what a gate pays that reads names, with an ordinary request and with
// the most that Caddy takes.
func BenchmarkNames(b *testing.B) {
	var n gate.Names
	n.Query.Add("action")
	n.Cookies.Add("role")
	for name, query := range map[string]string{"ordinary": "a=b&action=view&q=c", "1 MB": strings.Repeat("+", 1<<20), "1 MB of pairs": strings.Repeat("&aaa", 1<<18)} {
		r := &http.Request{URL: &url.URL{Path: "/a", RawQuery: query}, Header: http.Header{"Cookie": {"a=b; role=user"}}}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n.Unclear(r, nil)
			}
		})
	}
}
