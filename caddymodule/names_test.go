package caddymodule

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// B14, B18: what a matcher reads by its name, and backends may read in another way than
// Caddy does, does not get a request past its gate.
func TestMatcherOfNamesSeesWhatABackendMayRead(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	@wiki {
		path /wiki/*
		query secret=1
	}
	token_gate @wiki
	@user {
		path /user
		query user_id=1 tag[]=x
	}
	token_gate @user
	@value {
		path /value
		expression {query.action} == "delete"
	}
	token_gate @value
	@called {
		path /called
		expression query({'action': 'delete'})
	}
	token_gate @called
	@view {
		path /view
		not query preview=1
	}
	token_gate @view
	@whole {
		path /whole
		vars_regexp {query} (^|&)action=delete(&|$)
	}
	token_gate @whole
	@uri vars_regexp {uri} ^/inner
	token_gate @uri
	@tenant {
		path /tenant
		vars {header.X-Tenant} internal
	}
	token_gate @tenant
	@joined {
		path /joined
		query tag=secret tag=a,b
	}
	token_gate @joined
	@both {
		path /both
		query tag=secret
		not query tag=public
	}
	token_gate @both
	@nested {
		path /nested
		query filter[status]=x
	}
	token_gate @nested
	@counted {
		path /counted
		query ids[0]=5 items[0][role]=admin
	}
	token_gate @counted
	@shared {
		path /shared
		query filter[status]=open
		expression {query.filter} == "secret"
	}
	token_gate @shared
	@others {
		path /others
		not header X-Preview 1
	}
	token_gate @others
	@api {
		path /api
		header Accept application/json
	}
	token_gate @api
	@role {
		path /role
		vars {cookie.role} admin
	}
	token_gate @role
	@staff {
		path /staff
		header_regexp Cookie (?:^|;\s*)role=admin(?:;|$)
	}
	token_gate @staff
	@part {
		path /part
		header Cookie *role=admin*
	}
	token_gate @part
	@ruled {
		path /ruled
		expression {header.Cookie}.contains("role=admin") || header_regexp('Cookie', 'level=\\d')
	}
	token_gate @ruled
	@nameless {
		path /nameless
		header Cookie *closed*
	}
	token_gate @nameless
	@there {
		path /there
		header Cookie *
	}
	token_gate @there
	@dotted {
		path /dotted
		header_regexp Cookie (^|;\s*)app\.role=admin
	}
	token_gate @dotted
	@class {
		path /class
		header_regexp Cookie [Rr]ole=admin
	}
	token_gate @class
	@two {
		path /two
		header_regexp Cookie (^|;\s*)(role|rank)=admin(;|$)
	}
	token_gate @two
	@beside {
		path /beside
		expression {header.Cookie}.contains("beta") || {query}.contains("preview=1")
	}
	token_gate @beside
	@guest {
		path /guest
		not expression {cookie.Role} == "guest"
	}
	token_gate @guest
	reverse_proxy unix/$DIR/backend
}`)
	many := strings.Repeat("&a", 10000)
	for _, c := range []struct {
		target string
		lines  []string
		judged bool
	}{
		{"/wiki/x?secret=1" + many, nil, true},
		{"/wiki/x%3Fsecret=1" + many, nil, true},
		{"/wiki/x%3Fsecret=1" + many + "?a=b", nil, true},
		{"/wiki/x?a" + strings.Repeat("&a", 2000), nil, true},
		{"/value?action=delete" + many, nil, true},
		{"/called?action=delete" + many, nil, true},
		{"/view?preview=1&preview=0", nil, true},
		{"/view?preview=0&preview=1", nil, true},
		{"/view?preview=1&Preview=0", nil, true},
		{"/view?preview=1%20", nil, true},
		{"/view?preview=1&%", nil, true},
		{"/view%3Fpreview=0?preview=1", nil, true},
		{"/wiki/x?+secret=1", nil, true},
		{"/wiki/x?%20secret=1", nil, true},
		{"/wiki/x?secret%00=1", nil, true},
		{"/wiki/x?SECRET=1", nil, true},
		{"/wiki/x?secret[]=1", nil, true},
		{"/wiki/x?%u0073ecret=1", nil, true},
		{"/wiki/x?a;secret=1", nil, true},
		{"/wiki/x?secret=1;a", nil, true},
		{"/wiki/x?secret=1&%", nil, true},
		{"/wiki/x?secret=%201", nil, true},
		{"/wiki/x%3F%20secret=1", nil, true},
		{"/wiki/x%3Fa;secret=1", nil, true},
		{"/wiki/x%3FSecret=1?a=b", nil, true},
		{"/wiki/x%3Fsecret=1?secret=2", nil, true},
		{"/wiki/x?secret=2&secret=1", nil, true},
		{"/wiki/x?secret=2&Secret=1", nil, true},
		{"/wiki/x?secret=2&Secret=3", nil, true},
		{"/wiki/x?secret=2&secret=+1", nil, true},
		{"/wiki/x?secret=2&secret=3;secret=1", nil, true},
		{"/wiki/x?secret=2&secret=3&%", nil, true},
		{"/joined?tag=a&tag=b", nil, true},
		{"/joined?tag=%61&tag=b", nil, true},
		{"/joined?tag=&tag=secret", nil, true},
		{"/joined?tag=sec&tag=ret", nil, true},
		{"/joined?tag[]=a&tag[]=secret", nil, true},
		{"/both?tag=secret&tag=public", nil, true},
		{"/both?tag=a&tag=b", nil, true}, // one of its matchers does not want another
		{"/nested?filter[status]=x", nil, true},
		{"/counted?ids[]=5", nil, true},
		{"/counted?ids[7]=5", nil, true},
		{"/counted?items[][role]=admin", nil, true},
		{"/counted?items[3][role]=admin", nil, true},
		{"/counted?items%5B3%5D%5Brole%5D=admin", nil, true},
		{"/counted?items[3].role=admin", nil, true},
		{"/counted?items[[0][role]=admin", nil, true},
		{"/counted?items[[0]][role]=admin", nil, true},
		{"/counted?items.3.role=admin", nil, true},
		{"/counted?items[0][Role]=user", nil, true},
		{"/counted?items[x][role]=admin", nil, true},
		{"/counted?items=x", nil, true},
		{"/counted?items[3]=x", nil, true},
		{"/counted?ids[x]=5", nil, true},
		{"/counted?ids=7", nil, true},
		{"/counted?ids[1]=7&ids[1]=5", nil, true},
		{"/counted?ids[1]=+5", nil, true},
		{"/shared?filter[status]=zz&filter[status]=open&filter=a&filter=secret", nil, true},
		{"/nested?filter%5Bstatus%5D=x", nil, true},
		{"/nested?filter[STATUS]=x", nil, true},
		{"/nested?filter[status=x", nil, true},
		{"/nested?filter[status]a=x", nil, true},
		{"/nested?filter[status][]=x", nil, true},
		{"/nested?filter[[status]=x", nil, true},
		{"/nested?[filter][status]=x", nil, true},
		{"/nested?filter.status=x", nil, true},
		{"/nested?filter[type]=y&+filter[status]=x", nil, true},
		{"/nested?filter=x", nil, true},
		{"/value?[action]=delete", nil, true},
		{"/value?action]=delete", nil, true},
		{"/user?user_id=1&tag%5B%5D=x", nil, true},
		{"/user?user_id=1&tag[0]=x", nil, true},
		{"/user?user.id=1&tag%5B%5D=x", nil, true},
		{"/user?user+id=1&tag%5B%5D=x", nil, true},
		{"/user?user[id=1&tag%5B%5D=x", nil, true},
		{"/value?action=delete&action=", nil, true},
		{"/value?action=&action=delete", nil, true},
		{"/value?ACTION=delete", nil, true},
		{"/value?action=delete+", nil, true},
		{"/called?+action=delete", nil, true},
		{"/called?Action=delete", nil, true},
		{"/whole?%61ction=delete", nil, true},
		{"/whole?action=%64elete", nil, true},
		{"/whole?a;action=delete", nil, true},
		{"/whole?action=delete" + many, nil, true},
		{"/%69nner", nil, true},
		{"/tenant", []string{"X-Tenant: internal", "X-Tenant: x"}, true},
		{"/tenant", []string{"X-Tenant: x", "X-Tenant: internal"}, true},
		{"/tenant", []string{"X!Tenant: internal"}, true},
		{"/tenant", []string{"X~Tenant: internal", "X-Tenant: x"}, true},
		{"/others", []string{"X-Preview: 1", "X-Preview: 0"}, true},
		{"/others", []string{"X-Preview: 1", "X'Preview: 0"}, true},
		{"/role", []string{"Cookie: ROLE=user; role=admin"}, true},
		{"/role", []string{"Cookie: ROLE=user"}, true},
		{"/role", []string{"Cookie: role=user; role=admin"}, true},
		{"/role", []string{"Cookie: role=%61dmin"}, true},
		{"/role", []string{"Cookie: a=b,role=admin"}, true},
		{"/role", []string{"Cookie: a=b role=admin"}, true},
		{"/role", []string{`Cookie: role="admin`}, true},
		{"/role", []string{"Cookie: role=admin" + strings.Repeat(";a=b", 3000)}, true},
		{"/staff", []string{"Cookie: role=admin"}, true},
		{"/staff", []string{"Cookie: role=%61dmin"}, true},
		{"/staff", []string{`Cookie: role="admin"`}, true},
		{"/staff", []string{"Cookie: a=b; ROLE=admin"}, true},
		{"/staff", []string{"Cookie: a=b,role=admin"}, true},
		{"/staff", []string{"Cookie: role=user; role=user"}, true},
		{"/part", []string{"Cookie: role=%61dmin"}, true},
		{"/part", []string{"Cookie: Role=admin"}, true},
		{"/ruled", []string{"Cookie: Role=admin"}, true},
		{"/ruled", []string{"Cookie: level=%31"}, true},
		{"/nameless", []string{"Cookie: x=clo%73ed"}, true},
		{"/nameless", []string{"Cookie: x=a; x=b"}, true},
		{"/there", []string{"Cookie: x=a; X=%61"}, true},
		{"/staff", []string{`Cookie: role=user; a=%61; a=b; prefs="{\"x\": 1}"`}, false},
		{"/staff", []string{"Cookie: my_role=admin"}, false},
		{"/part", []string{"Cookie: role=user; theme=a%20b"}, false},
		{"/ruled", []string{"Cookie: role=user; level=x; a=%2C"}, false},
		{"/nameless", []string{`Cookie: PHPSESSID=a; b="c"; d=%7B%22x%22%3A1%7D`}, false},
		{"/there", nil, false},
		{"/guest", []string{"Cookie: Role=guest; role=admin"}, true},
		{"/guest", []string{`Cookie: a="b; Role=guest; c="`}, true},
		{"/guest", []string{`Cookie: a="\"b; Role=guest; c="`}, true},
		{"/guest", []string{`Cookie: a="b\"; Role=guest; c="\""`}, true},
		{"/guest", []string{"Cookie: Role=guest", "Cookie: a=b"}, true},
		{"/guest", []string{`Cookie: a="\"\\""; Role=guest; b=c`}, true},
		{"/dotted", []string{"Cookie: app.role=%61dmin"}, true},
		{"/dotted", []string{"Cookie: app.role=user; role=%61dmin; a=b; a=c"}, false},
		{"/class", []string{"Cookie: role=%61dmin"}, true},
		{"/class", []string{`Cookie: role="admin"`}, true},
		{"/class", []string{"Cookie: a=b,role=admin"}, true},
		{"/two", []string{`Cookie: role="admin"`}, true},
		{"/two", []string{"Cookie: a=b,role=admin"}, true},
		{"/two", []string{"Cookie: a=b role=admin"}, true},
		{"/two", []string{"Cookie: rank=%61dmin"}, true},
		{"/two", []string{"Cookie: role=user; a=%7B%22x%22%3A1%7D; d=Mon, 1 Jan"}, false},
		{"/beside", []string{"Cookie: x=b%65ta"}, true},
		{"/beside", []string{"Cookie: x=alpha"}, false},

		{"/wiki/x", nil, false},
		{"/else?secret=1&secret=2&action=1&Action=2&%", []string{"X-Tenant: a", "X-Tenant: b", "Cookie: role=a; ROLE=b"}, false},
		{"/tenant", []string{"X_Tenant: internal"}, false}, // Caddy takes it out
		{"/wiki/x?a=100%", nil, false},
		{"/wiki/x?a=b;c=d", nil, false},
		{"/wiki/x?a=1&a=2&A=3&b[]=c&b[]=d", nil, false},
		{"/wiki/x?secret=2", nil, false},
		{"/wiki/x?secret=2&secret=3", nil, false},
		{"/wiki/x?secret=2&secret=3&secret=3", nil, false},
		{"/joined?tag=a&tag=c", nil, false},
		{"/joined?tag=caf%C3%A9&tag=a+b&sort=x", nil, false},
		{"/user?user_id=1&tag[]=y&tag[]=z", nil, false},
		{"/nested?filter[type]=y", nil, false},
		{"/counted?id=5&item=7", nil, false},
		{"/counted?items[0][name]=x&items[1][name]=y&items[0][roles]=admin", nil, false},
		{"/counted?items[0][role]=user&items[1][role]=guest", nil, false},
		{"/counted?ids[0]=9&ids[1]=7&ids%5B2%5D=8&ids[]=4", nil, false},
		{"/nested?filter[type]=y&filter[status]=z&filter[status_at]=x&filter_status=x", nil, false},
		{"/nested?filter%5Btype%5D=y&filter%5Bname%5D=x", nil, false},
		{"/wiki/x?secrets=1&my.secret=1&_secret=1", nil, false},
		{"/wiki/What%3F?action=edit", nil, false},
		{"/wiki/Caf%C3%A9?q=caf%C3%A9+cr%C3%A8me+", nil, false},
		{"/wiki/x?a" + strings.Repeat("&a", 900), nil, false},
		{"/user?user_id=2&tag%5B%5D=x", nil, false},
		{"/value?action=view&q=1&q=2", nil, false},
		{"/value?q=100%", nil, false},
		{"/called?action=caf%C3%A9", nil, false},
		{"/view?preview=1", nil, false},
		{"/view?preview=1&a=b&a=c", nil, false},
		{"/whole?action=view&redirectTo=%2Fa%3Fb&tag[]=1&tag[]=2&q=a+b", nil, false},
		{"/tenant", []string{"X-Tenant: x"}, false},
		{"/tenant", []string{"X-Other: x", "X-Other: y", "Accept: a/b", "Accept: c/d"}, false},
		{"/others", []string{"X-Preview: 1"}, false},
		{"/api", []string{"Accept: text/html", "Accept: */*"}, false},
		{"/api", []string{"Accept: text/html", "Accept: application/json"}, true},
		{"/role", []string{"Cookie: role=user; a=%7B%22b%22%3A1%7D; a=2; A=3"}, false},
		{"/role", []string{`Cookie: role=user; a="b, c"; d=Mon, 1 Jan`}, false},
		{"/role", []string{`Cookie: role=user; prefs="{\"lang\": \"de\"\054 \"x\": 1}"`}, false},
		{"/role", []string{`Cookie: role=user; a=C:\b`}, false},
		{"/role", []string{"Cookie: a=b; my_role=admin; roles=admin"}, false},
		{"/guest", []string{"Cookie: Role=guest; a=b"}, false},
	} {
		a := w.get(c.target, c.lines...)
		if (a.status == http.StatusUnauthorized) != c.judged || !c.judged && a.status != http.StatusOK {
			t.Errorf("%.80s %.80q: %d", c.target, c.lines, a.status)
		}
	}
	if a := w.get("/view?preview=1&preview=0", "Authorization: Bearer "+w.token()); a.status != http.StatusOK {
		t.Errorf("with a token: %v", a)
	}
}

// What handlers make of a name has its readings.
func TestMatcherOfWhatIsMadeOfNamesCannotBeWalkedAround(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	map {query.action} {kind} {
		delete closed
		default open
	}
	map {cookie.role} {role} {
		admin closed
		default open
	}
	map {header.Cookie} {rank} {
		~rank=admin closed
		default open
	}
	map {header.X-Kind} {sort} {
		internal closed
		default open
	}
	map {path} {part} {
		/admin closed
		default open
	}
	@tenant not header X-Tenant guest
	vars @tenant tenant none
	rewrite /old /new
	@kind vars {kind} closed
	token_gate @kind
	@role vars {role} closed
	token_gate @role
	@sort {
		path /sort
		vars {sort} closed
	}
	token_gate @sort
	@rank {
		path /rank
		vars {rank} closed
	}
	token_gate @rank
	@part vars {part} closed
	token_gate @part
	@who {
		path /who
		vars tenant none
	}
	token_gate @who
	@found {
		path /found
		header_regexp found X-Kind (.*)
		header X-None *
	}
	token_gate @found
	@used {
		path /found
		vars {re.found.1} closed
	}
	token_gate @used
	@old {
		path /new
		vars_regexp {http.request.orig_uri.query} (^|&)secret=1(&|$)
	}
	token_gate @old
	reverse_proxy unix/$DIR/backend
}`)
	for _, c := range []struct {
		target string
		lines  []string
		judged bool
	}{
		{"/?action=delete&action=", nil, true},
		{"/?Action=delete", nil, true},
		{"/?action=delete" + strings.Repeat("&a", 10000), nil, true},
		{"/", []string{"Cookie: role=user; ROLE=admin"}, true},
		{"/", []string{"Cookie: role=user; role=admin"}, true},
		{"/rank", []string{"Cookie: rank=%61dmin"}, true},
		{"/rank", []string{`Cookie: rank="admin"`}, true},
		{"/sort", []string{"X-Kind: x", "X-Kind: internal"}, true},
		{"/who", []string{"X-Tenant: guest", "X-Tenant: internal"}, true},
		{"/old?secret=%31", nil, true},
		{"/found", []string{"X-Kind: open", "X-Kind: closed"}, true},
		{"/", nil, false},
		{"/?a=100%&b=1&b=2&B=3", []string{"Cookie: a=1; a=2", "Accept: a/b", "Accept: c/d", "X-Other: a", "X-Other: b"}, false},
		{"/?action=view", []string{"Cookie: role=user"}, false},
		{"/who", []string{"X-Tenant: guest"}, false},
		{"/old?secret=2", nil, false},
		{"/found", []string{"X-Kind: open"}, false},
		{"/rank", []string{"Cookie: rank=user; a=%2C; a=b"}, false},
		{"/sort", []string{"X-Kind: x"}, false},
	} {
		a := w.get(c.target, c.lines...)
		if (a.status == http.StatusUnauthorized) != c.judged || !c.judged && a.status != http.StatusOK {
			t.Errorf("%.80s %q: %d", c.target, c.lines, a.status)
		}
	}
}

// What a matcher may read that is not written there, it reads as all names; a gate that
// reads none looks for none.
func TestNamesOfMatchers(t *testing.T) {
	const none, some, all = "none", "some", "all"
	for matcher, want := range map[string]string{
		`"path":["/a"],"host":["a.example"],"method":["GET"]`:                          none,
		`"not":[{"path":["/a"]}]`:                                                      none,
		`"expression":"path('/a') && {http.request.method} == 'GET'"`:                  none,
		`"vars":{"{http.request.uri.path}":["/query"]}`:                                none,
		`"query":{"a":["1"]}`:                                                          some,
		`"not":[{"not":[{"query":{"a":["1"]}}]}]`:                                      some,
		`"expression":{"expr":"query({'a': '1'}) || header({'X-A': 'b'})","name":"x"}`: some,
		`"path":["/{http.request.uri.query.a}"]`:                                       some,
		`"query":{}`:                                                                   all,
		`"query":{"{http.request.host}":["1"]}`:                                        all,
		`"expression":"query({'a' + 'b': '1'})"`:                                       all,
		`"expression":"query({'\\x61': '1'})"`:                                         all,
		`"expression":"query({{http.request.host}: '1'})"`:                             all,
		`"expression":"ph(req, 'http.request.uri.query.a') == '1'"`:                    all,
		`"vars_regexp":{"{http.request.uri.query}":{"pattern":"a=1"}}`:                 all,
		`"vars_regexp":{"{http.request.orig_uri.prefixed_query}":{"pattern":"a=1"}}`:   all,
		`"vars":{"kind":["a"]}`:                                                        all,
	} {
		var set caddy.ModuleMap
		if err := json.Unmarshal([]byte("{"+matcher+"}"), &set); err != nil {
			t.Fatal(err)
		}
		got, n := some, namesOf(caddyhttp.RawMatcherSets{set})
		switch {
		case n == nil:
			got = none
		case n.Query.All:
			got = all
		}
		if got != want {
			t.Errorf("%s: %s, want %s", matcher, got, want)
		}
	}
}

// A header that is named as it is, is that one alone, whatever is looked for in it.
func TestHeadersThatRulesName(t *testing.T) {
	for rule, all := range map[string]bool{
		`header_regexp('User-Agent', '^evil\\.bot')`:                                            false,
		`header_regexp("User-Agent", "^evil\\.(bot|x)+")`:                                       false,
		`header_regexp('found', 'User-Agent', r'\d+')`:                                          false,
		`!header_regexp('User-Agent', 'it\'s') && {http.request.uri.path}.startsWith('/a'+'b')`: false,
		`header({'X-A': 'a\\b'}) || header_regexp('X-B', 'a+')`:                                 false,
		`header_regexp('User-' + 'Agent', 'x')`:                                                 true,
		`header_regexp('User\\x2dAgent', 'x')`:                                                  true,
		`header_regexp('X-A', 'x') && header_regexp('X-' + 'B', 'x')`:                           true,
		`header_regexp('X-A', 'x' + 'y')`:                                                       true,
		`header({{http.request.host}: 'x'})`:                                                    true,
		`header({'X-' + 'A': 'x'})`:                                                             true,
		`header_regexp('X-A', r'a\', header({'X-' + 'A': 'x'}))`:                                true,
	} {
		expression, err := json.Marshal(rule)
		if err != nil {
			t.Fatal(err)
		}
		n := namesOf(caddyhttp.RawMatcherSets{caddy.ModuleMap{"expression": expression}})
		if n == nil || n.Fields.All != all {
			t.Errorf("%s: %+v", rule, n)
		}
	}
}
