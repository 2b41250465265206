package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// checkOdd asks for each target whether it is odd to names.
func checkOdd(t *testing.T, what string, n *gate.Names, targets map[string]bool) {
	t.Helper()
	for target, odd := range targets {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		if n.Unclear(&http.Request{URL: u}, nil) != odd {
			t.Errorf("%s: %s: odd %v, want %v", what, target, !odd, odd)
		}
	}
}

// What a pattern is made of beside its syntax.
func TestTextsOfPatterns(t *testing.T) {
	t.Parallel()
	for pattern, targets := range map[string]map[string]bool{
		`^/odata/Users\(`:         {"/Users%285": true, "/%5Ex": false, "/x%5C": false},
		`^/a(d{1})+min(/|$)`:      {"/a%28": false, "/%7B": false, "/%2B": false, "/%24": false},
		`(?:^|,)x(?i)sky(?P<n>z)`: {"/%2C": true, "/%3A": false, "/%28": false, "/a%E2%80%93b": false},
		`^/[^/@]+\d+\.json`:       {"/%40": true, "/%2B": false},
		`/%E7%AE%A1\x28.*`:        {"/%e7": true, "/%E7": false, "/%28": true, "/%2A": false},
		`filter\[role\]=(a|b)\\`:  {"/?a=%5B": true, "/?a=%28": false},
		`^/x[!-/]`:                {"/%2B": true, "/%24": true, "/%40": false},
		`\Q/a(b\E`:                {"/%28": true, "/%5C": false},
		`/%(?:40|2[Cc])`:          {"/a@b": true, "/a%40b": false, "/a,b": true, "/a:b": false},
		`/(?:%[4]?)0`:             {"/a@b": true, "/a:b": false},
		`^/a\?next=/b`:            {"/?next=%2Fb": true, "/?next=a%20b": false},
		`(?i)^/a/b`:               {"/?next=%2Fb": false},
		`^/(?:a[?]|b)x/`:          {"/?next=%2Fb": true},
		`\`:                       {"/%5C": false},
		`(?`:                      {"/%28": false},
		``:                        {"/": false},
	} {
		n := gate.Names{Raw: true}
		s := spelled{texts: &n.Texts}
		s.addPattern(pattern)
		checkOdd(t, pattern, &n, targets)
	}
}

// Texts count where what they are compared with is one as it was sent, and a query's where
// it may be one.
func TestTextsOfMatchers(t *testing.T) {
	t.Parallel()
	const next, users = "/?next=https%3A%2F%2Fa%2Fb", "/?rest_route=%2Fwp%2Fv2%2Fusers"
	for matcher, targets := range map[string]map[string]bool{
		`"expression":"{http.request.uri}.startsWith('/docs/c++') || {http.request.uri.path}.matches('^/internal/[0-9]+$')"`: {"/docs/c%2B%2B/x": true, "/x": false, next: false},
		`"expression":"{http.request.uri}.startsWith('/odata/Users(') || path_regexp('^/a$')"`:                               {"/odata/Users%285%29": true, "/?a=b": false},
		`"expression":"{http.request.uri}.matches('^/odata/Users\\\\(')"`:                                                    {"/odata/Users%285%29": true},
		`"expression":"{http.request.uri.query}.contains('rest_route=/wp/v2/users')"`:                                        {users: true, "/?rest_route=/wp/v2/x": false, "/?name=a+b": false},
		`"vars_regexp":{"{http.request.uri.query}":{"pattern":"rest_route=/wp/v2/users"}}`:                                   {users: true},
		`"vars_regexp":{"{http.request.uri}":{"pattern":"rest_route=/wp/v2/users"}}`:                                         {users: true},
		`"vars_regexp":{"{http.request.uri}":{"pattern":"^/\\?rest_route=/wp/v2/users"}}`:                                    {users: true},
		`"vars_regexp":{"{http.request.uri}":{"pattern":"^/inner"}}`:                                                         {next: false, "/inner%3Ax": false},
		`"vars_regexp":{"{http.request.uri.query}":{"pattern":"op=user:delete"}}`:                                            {"/?op=user%3Adelete": true, "/?a=%2F": false},
		`"vars_regexp":{"{http.request.uri.query}":{"pattern":"name=John%20Doe"}}`:                                           {"/?name=John+Doe": true, "/?name=John%20Doe": false, "/?name=John%2BDoe": false},
		`"vars_regexp":{"{http.request.uri.query}":{"pattern":"name=John\\+Doe"}}`:                                           {"/?name=John%20Doe": true, "/?name=John+Doe": false},
		`"vars":{"{http.request.uri.query}":"a=%22%7B"}`:                                                                     {`/?a="{`: true, "/?a=%22%7B": false},
		`"expression":"{http.request.uri.path}.startsWith('/a/') && {http.request.uri.query}.contains('role=x')"`:            {next: false},
		`"expression":"{http.request.uri}.startsWith('/%E7') || {http.request.uri.query}.matches('role=x')"`:                 {next: false},
		`"expression":"{http.request.uri}.startsWith('/%E7') || {http.request.uri.query}.contains('/wp/v2/')"`:               {users: true},
		`"expression":"'/docs/(' in [{http.request.uri}]"`:                                                                   {"/docs/%28": true, next: false},
		`"vars":{"made":"x"}`: {"/users/ann%40x": true, "/users/ann@x": false, "/?tag%5B%5D=1": false}, // of what nobody knows
		`"vars":{"{http.request.orig_uri.path.file_escaped}":"secret"}`:                                             {"/x/%73ecret": true, "/x/secret": false},
		`"vars":{"{http.request.uri.path}":"/a:b"},"vars_regexp":{"{http.request.uri.query}":{"pattern":"role=x"}}`: {"/a%3Ab": false},
	} {
		var set caddy.ModuleMap
		if err := json.Unmarshal([]byte("{"+matcher+"}"), &set); err != nil {
			t.Fatal(err)
		}
		checkOdd(t, matcher, namesOf(caddyhttp.RawMatcherSets{set}), targets)
	}
}
