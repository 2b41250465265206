package caddymodule

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
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

// B14, B18: a matcher sees each request that a backend may serve, and asks nobody
// without a token who is outside of it by all of them.
func TestMatcherSeesWhatABackendMayRead(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	token_gate /admin/*
	@write {
		path /api/*
		not method GET HEAD
	}
	token_gate @write
	@asks {
		path /wiki/*
		query secret=1
	}
	token_gate @asks
	@placeholder vars {path} /report
	token_gate @placeholder
	@named vars {method} PURGE
	token_gate @named
	@text {
		path /u/*
		vars_regexp {uri} ^/u/.*(secret=1|hidden)
	}
	token_gate @text
	@asked {
		path /ask/*
		expression {http.request.uri.query}.contains("secret=1")
	}
	token_gate @asked
	@login path /wp-login.php /feed/*.cgi *.aspx
	token_gate @login
	token_gate /report.php5
	@slashed path /setup.php /setup.php/ /deep/index.php /index.php/deep/*
	token_gate @slashed
	@framework {
		path /shop.php* /b/* /pub.php*
		not path_regexp ^(/b)?/(shop\.php/)?(login|public)
		not path_regexp /pub[.]php/free/
		not path *.css
	}
	token_gate @framework
	@private {
		path /index.php/*
		not path /index.php/public/*
	}
	token_gate @private
	reverse_proxy unix/$DIR/backend
}`)
	for target, judged := range map[string]bool{
		"/wp-login.php": true, "/wp-login.php/": true, "/wp-login.php/x/y": true, "/WP-Login.PHP/x": true, "/wp-login.php/a.php/b": true, "/wp-login.php./x": true, "/wp-login.php%20/x": true,
		"/wp-login.php/x%3Fy": true, "/wp-login.phpx": true, "/feed/a.cgi/x": true, "/a.aspx/x": true, "/b/a.ASPX/": true, "/x.css/a.aspx/y": true,
		"/a.php/b.php/c.php/d.php/e.php/f": false, "/a.php/b.php/c.php/d.php/e.php/f.php/g.php/h.php/i.php/j": true,
		"/report.php5/x": true, "/report.php5/": true, "/report.php4/x": false, "/setup.php/": true, "/setup.php/x": true, "/deep/index.php/x": true, "/index.php/other": true, "/index.php/public/deep.php": false,
		"/shop.php/login": false, "/shop.php/public/x": false, "/shop.php/x": true, "/shop.php/x.css": true, "/pub.php/free/x": false, "/pub.php/x/free/": true, "/b/x.css": false, "/b/y.php/x.css": true, "/wp-login.phq/x": false, "/feed/a.cgi2": false, "/wp-json/v1.0/x.png": false, "/x.php/wp-login.php2": false, "/domains/a.pl/records": false,
		"/index.php/x": true, "/index.php/public/x": false, "/other.php/index.php": false,
		"/(S(x))/admin/y": true, "/(A(x)F(y))/admin/y": true, "/wiki/Foo_(S(x))": false, "/%20admin/x": true,
		"/admin./x": true, "/admin%20/x": true, "/admin.%20./x": true, "/admin%3F/x": false, "/admin/%3Fx": true, "/admin/%23x": true, "/admin.%3F/x": true,
		"/Warner_Bros.": false, "/wiki/What%3F": false, "/wiki/What%3F?action=edit": false, "/wiki/C%23": false, "/wiki/%3F%23": true,
		"/wiki/What%3Fsecret=1": true, "/wiki/What%3Fsecret=1?a=b": true, "/wiki/What%3Fa=b?secret=1": true,
		"/wiki/x?secret=1&;": true, "/wiki/x?secret=1&%": true, "/wiki/x?a;secret=1": true, "/wiki/x?a=100%": false, "/wiki/x?a=b": false, "/x?a=100%": false,
		"/report.": true, "/report%3Fx": true, "/reports": false,
		"/u/hidden": true, "/u/%68idden": true, "/%75/hidden": true, "/u/x?%73ecret=1": true, "/u/x?a=b%2Cc": false, "/u/Foo_(bar)": false, "/u/it's.png": false, "/u/%e4%bd%a0": false, "/u/x?q=%7Ex": false, "/u/x?q=100%": false, "/u/x?q=1": false,
		"/ask/x?secret=1": true, "/ask/x?secret=%31": true, "/ask/x?%73ecret=1": true, "/ask/x?a=%E4%BD%A0": false, "/ask/x": false, "/y/a%2Cb": false,
		"/api/x": false, "/api/x?_method=DELETE": true, "/api/x?%5Fmethod=DELETE": true, "/api/x?.method=DELETE": true, "/api/x%3F_method=DELETE": true, "/x?_method=DELETE": false, "/x?_method=purge": true,
	} {
		if a := w.get(target); (a.status == http.StatusUnauthorized) != judged || !judged && a.status != http.StatusOK {
			t.Errorf("%s: %d", target, a.status)
		}
	}
	if a := w.get("/api/x", "X-HTTP-Method-Override: DELETE, x"); a.status != http.StatusUnauthorized {
		t.Errorf("a list of methods: %d", a.status)
	}
	for _, line := range []string{"X-HTTP-Method-Override: DELETE", "X-HTTP-Method: delete", "X-Method-Override: PUT"} {
		if a := w.get("/api/x", line); a.status != http.StatusUnauthorized {
			t.Errorf("GET with %s: %d", line, a.status)
		}
		if a := w.get("/x", line); a.status != http.StatusOK {
			t.Errorf("GET with %s where no method is judged: %d", line, a.status)
		}
		if a := w.get("/api/x", line, "Authorization: Bearer "+w.token()); a.status != http.StatusOK {
			t.Errorf("GET with %s and a token: %d", line, a.status)
		}
	}
}

// What handlers have made of one reading, and what a request was before, is not known of
// another: such a matcher's no counts for nothing.
func TestMatcherOfWhatWasMadeCannotBeWalkedAround(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	map {path} {part} {
		/admin closed
		default open
	}
	map {uri} {place} {
		~^/place/ closed
		~^/things:delete closed
		default open
	}
	@odata vars_regexp {uri} ^/odata/Users\(
	token_gate @odata
	@ruled expression {uri}.startsWith("/%E7%AE%A1") || {http.request.uri.query}.matches("^role=%E7\\(")
	token_gate @ruled
	@place vars {place} closed
	token_gate @place
	@original vars_regexp {http.request.orig_uri.path} ^/secret/
	rewrite /secret/* /index.php
	rewrite /public/* /index.php
	map {path} {script} {
		/closed.php closed
		~^/known\.php/closed closed
		default open
	}
	@script vars {script} closed
	token_gate @script
	map {path} {ending} {
		~\.(php|cgi)$ script
		~/Special: closed
		~^/(closed|known)\.php/Free: free
		default other
	}
	@special vars {ending} closed
	token_gate @special
	@ending {
		vars {ending} script
		path /run/*
	}
	token_gate @ending
	map {path} {folder} {
		~^/private/[^/]+$ closed
		~/Free: open
		~^/kept\.php/free open
		default open
	}
	@folder vars {folder} closed
	token_gate @folder
	map {path} {free} {
		~^/most/kept\.php/free open
		~^/most/.*/Free: open
		~^/most/ closed
	}
	@most vars {free} closed
	token_gate @most
	root * /srv/www/my.php
	@sent vars_regexp {http.request.orig_uri} ^/sent/[a-z]+\.php$
	token_gate @sent
	@before vars_regexp {http.request.orig_uri.path} ^/before/[a-z]+\.(php|cgi)$
	uri strip_prefix /before
	token_gate @before
	@made vars {part} closed
	token_gate @made
	token_gate @original
	reverse_proxy unix/$DIR/backend
}`)
	for target, judged := range map[string]bool{
		"/admin": true, "/admin%3Fx": true, "/admin.": true, "/other": false,
		"/place/x": true, "/plac%65/x": true, "/places": false, "/secre%74/x": true,
		"/odata/Users(5)": true, "/odata/Users%285%29": true, "/odata/Roles%285%29": true, "/odata/Roles(5)": false,
		"/%E7%AE%A1": true, "/%e7%ae%a1%e7%90%86/users": true, "/%e4%bd%a0": false, "/?role=%e7(": true, "/?role=%E7%28": true,
		"/things%3Adelete": true, "/things:delete": true, "/users/ann%40example.com": false, "/rooms/%21a": false, "/x?next=https%3A%2F%2Fa": false,
		"/closed.php": true, "/closed.php/x": true, "/known.php/closed": true, "/known.php/x": false,
		"/run/a.php/x": true, "/run/a.cgi/": true, "/a.php/x": false, "/index.php/Main_Page": false, "/index.php/Special:X": true,
		"/private/a.php/x": true, "/private/a/x": false, "/most/x.php": true, "/most/kept.php/free": false, "/most/a.php/Free:": true, "/most/a/Free:": false,
		"/sent/a.php/x": true, "/sent/a.php": true, "/sent/a.js/x": false, "/before/a.php/x": true, "/before/a.pht/x": false,
		"/secret/x": true, "/public/x": false, "/public/..%2fsecret/x": true, "/public/../secret/x": true,
	} {
		if a := w.get(target); (a.status == http.StatusUnauthorized) != judged {
			t.Errorf("%s: %d", target, a.status)
		}
	}
}

// A target may have the host in it: what was sent is not the path then.
func TestTargetWithAHostCannotBeWalkedAround(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	@sent vars_regexp {http.request.orig_uri} ^/admin
	token_gate @sent
	respond HERE
}`)
	for target, status := range map[string]string{"/admin": "401", "http://app.example.com/admin": "401", "/x": "200"} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "unix", filepath.Join(w.dir, "http"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte("GET " + target + " HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n"))
		said, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(said), "HTTP/1.1 "+status) {
			t.Errorf("%s: %.20q, %v", target, said, err)
		}
		_ = conn.Close()
	}
}

// What is made of something that was made is not followed: there a script counts always.
func TestScriptBehindTwoMakersCannotBeWalkedAround(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	vars kind {path}
	map {vars.kind} {chained} {
		~^/closed\.php$ closed
	}
	@chained vars {chained} closed
	token_gate @chained
	respond HERE
}`)
	for target, judged := range map[string]bool{"/closed.php": true, "/closed.php/x": true, "/x": false, "/x.php": false} {
		if a := w.get(target); (a.status == http.StatusUnauthorized) != judged {
			t.Errorf("%s: %d", target, a.status)
		}
	}
}

// Where the path is looked at as well, and no reading of it is the gate's, nobody is asked
// for a token. Neither is anyone behind a handler that makes another request of the same.
func TestVagueRequestsElsewhereAreNotJudged(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	w.load(oneIssuer, `
http://app.example.com {
	token_issuer
	tracing
	map {query.x} {made} {
		1 yes
		default no
	}
	token_gate /admin/*
	@both {
		path /both/*
		vars {made} yes
	}
	token_gate @both
	@asked {
		path /ask/*
		expression {http.request.uri.query}.contains("secret=1")
	}
	token_gate @asked
	@write {
		path /api/*
		vars {method} DELETE
	}
	token_gate @write
	handle_path /app/* {
		map {path} {area} {
			/reports/secret closed
			default open
		}
		@closed {
			path /reports/*
			vars {area} closed
		}
		token_gate @closed
		@open vars {area} closed
		token_gate @open
		reverse_proxy unix/$DIR/backend
	}
	handle_path /front/* {
		map {path} {area} {
			/reports/secret closed
			default open
		}
		@closed {
			path /reports/*
			vars {area} closed
		}
		token_gate @closed
		reverse_proxy unix/$DIR/backend
	}
	reverse_proxy unix/$DIR/backend
}`)
	for target, judged := range map[string]bool{
		"/front/users/ann%40example.com": false, "/front/wiki/Warner_Bros.": false, "/front/users/7?_method=PUT": false, "/front/index.php/x": false,
		"/front/reports/secret": true, "/front/reports/secret.": true, "/front/reports/x?_method=PUT": true, "/front/reports/ann%40example.com": false, "/front%2Freports/x": true,
		"/app/users/ann%40example.com": false, "/app/reports/secret": true, "/app/wiki/Warner_Bros.": true, "/fron%74/users/x": false,
		"/Warner_Bros.": false, "/wiki/What%3F": false, "/a%2Cb": false, "/%61b": false, "/q/x%3Fx=1": false, "/a?%61=b": false,
		"/both/x": false, "/both/x?x=1": true, "/both/What%3F": true, "/b%6Fth/x": false, "/b%6Fth/x?x=1": true, "/ask/x?%73ecret=1": true, "/ask/x?a=b": false,
		"/admin./x": true, "/admin%3F/x": false, "/admin/x": true, "/api/x?_method=delete": true, "/api/x": false, "/api/x?_method=PUT": false,
	} {
		if a := w.get(target); (a.status == http.StatusUnauthorized) != judged || !judged && a.status != http.StatusOK {
			t.Errorf("%s: %d", target, a.status)
		}
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
