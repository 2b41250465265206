package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// gateWith answers where a matcher selects what is asked about.
func gateWith(before, matcher string) string {
	return "http://app.example.com {\n" + before + "\n@admin " + matcher + "\ntoken_issuer\ntoken_gate @admin {\nanswer\n}\n}"
}

// B14: the caller asked for /admin/x; that the proxy asks at /auth is no way round a
// matcher that reads a placeholder.
func TestMatchersOfAnAnswerReadTheOriginalRequest(t *testing.T) {
	w := newWorld(t)
	for name, matcher := range map[string]string{
		"path":            `path /admin/*`,
		"expression":      `expression {path}.startsWith("/admin")`,
		"query":           `expression {query.area} == "admin"`,
		"host and scheme": `expression {scheme} + "://" + {host} == "https://shop.example.com"`,
		"method":          `expression {method} == "GET"`,
		"uri":             `expression {uri} != "/auth"`,
		"original uri":    `expression {http.request.orig_uri.path}.startsWith("/admin")`,
		"vars":            `vars {path} /admin/x`,
		"vars_regexp":     `vars_regexp {path} ^/admin`,
		"protocol":        `protocol https`,
		"path_regexp":     `path_regexp ^/a(d{1})min`,
		"not":             `not path /auth /public/*`,
		"client":          `client_ip 198.51.100.7`,
	} {
		w.load(trustsSocket, gateWith("", matcher))
		bearer := "Authorization: Bearer " + w.token()
		for _, proxy := range []string{"nginx", "traefik"} {
			lines := append(original(proxy, "GET", "/admin/x?area=admin"), "X-Forwarded-For: 198.51.100.7")
			if a := w.get("/auth", lines...); a.status != http.StatusUnauthorized {
				t.Errorf("%s, %s: without a token: %v", name, proxy, a)
			}
			if a := w.get("/auth", append(lines, bearer)...); a.status != http.StatusOK || a.header.Get("X-Auth-Subject") != "shop" {
				t.Errorf("%s, %s: %v", name, proxy, a)
			}
		}
		// What explains it says the same.
		_, text := w.admin(http.MethodPost, explainPath, `{"method":"GET","url":"https://shop.example.com/admin/x?area=admin","via":"http://app.example.com/auth"}`, "Content-Type: application/json")
		if name != "client" && !strings.Contains(text, `"reason":"no_bearer_token"`) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// B14: hosts have a second spelling, which proxies know and matchers do not.
func TestHostWithADotIsTheHostWithout(t *testing.T) {
	w := newWorld(t)
	for _, words := range []string{"answer", "answer request"} {
		sites := "http:// {\ntoken_issuer\n"
		if words == "answer request" { // no issuer may stand in front of such a gate
			sites = "http://app.example.com {\ntoken_issuer\n}\nhttp:// {\n"
		}
		w.load(trustsSocket, sites+"@shop host shop.example.com\ntoken_gate @shop {\n"+words+"\n}\nrespond open\n}")
		bearer := "Authorization: Bearer " + w.token()
		for _, host := range []string{"shop.example.com", "shop.example.com.", "shop.example.com.:443", "SHOP.example.com."} {
			for _, proxy := range []string{"nginx", "traefik"} {
				lines := original(proxy, "GET", "/x")
				for n, line := range lines {
					lines[n] = strings.Replace(line, "shop.example.com", host, 1)
				}
				asks := func(lines ...string) answer {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://app.example.com/x", nil)
					if err != nil {
						t.Fatal(err)
					}
					if words == "answer request" {
						r.Host, lines = host, lines[len(original(proxy, "", "")):]
					}
					for _, line := range lines {
						name, value, _ := strings.Cut(line, ": ")
						r.Header.Add(name, value)
					}
					a, err := w.do(r)
					if err != nil {
						t.Fatal(err)
					}
					return a
				}
				if a := asks(lines...); a.status != http.StatusUnauthorized {
					t.Errorf("%s, %s by %s: without a token: %v", words, host, proxy, a)
				}
				if a := asks(append(lines, bearer)...); a.status != http.StatusOK || a.header.Get("X-Auth-Subject") != "shop" {
					t.Errorf("%s, %s by %s: %v", words, host, proxy, a)
				}
			}
		}
	}
	w.load(trustsSocket, "http:// {\ntoken_issuer\n@shop host shop.example.com\ntoken_gate @shop {\nanswer\n}\n}")
	for _, host := range []string{"..", ".", "shop.example.com..", ".:443"} {
		if a := w.get("/x", "X-Original-Method: GET", "X-Original-URL: https://"+host+"/x"); a.status != http.StatusBadRequest && a.status != http.StatusUnauthorized {
			t.Errorf("%s: %v", host, a)
		}
	}
}

// The same at a site of every host, whose backend knows the dot.
func TestMatcherOfHostsIsNotWalkedAroundByADot(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, "http:// {\n@shop host shop.example.com\ntoken_gate @shop\nrespond open\n}")
	for host, want := range map[string]int{"shop.example.com": 401, "shop.example.com.": 401, "shop.example.com.:80": 401, "shop%2eexample.com": 401, "other.example.com,shop.example.com": 401, "other.example.com": 200, "other_1.example.com:80": 200, "[::1]:80": 200} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://app.example.com/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		if a, err := w.do(r); err != nil || a.status != want {
			t.Errorf("%s: %v %v", host, a, err)
		}
	}
}

// What other handlers have made of the question says nothing about the request.
func TestMatchersThatReadTheQuestionAreRefused(t *testing.T) {
	w := newWorld(t)
	for matcher, name := range map[string]string{
		`expression {http.vars.admin} == "yes"`: "{http.vars.admin}",
		`vars admin yes`:                        "the variable admin",
		`vars_regexp admin yes`:                 "the variable admin",
		`not vars admin yes`:                    "the variable admin",
		`expression {admin} == "yes"`:           "{admin}",
		`expression vars({"admin": "yes"})`:     "vars",
		`vars {admin} yes`:                      "{admin}",
		`path /{http.regexp.x.1}/*`:             "{http.regexp.x.1}",
	} {
		for _, word := range []string{"answer\n", "answer request\n"} {
			site := strings.Replace(gateWith("map {path} {admin} {\n~^/admin yes\n}\nvars {path} x", matcher), "answer\n", word, 1)
			site = strings.Replace(site, "token_issuer\n", "", 1) // in front of the gate it would be asked first
			err := w.validate(trustsSocket, site)
			want := fmt.Sprintf("token_gate: answer: the matcher reads %s, which tells of the request by which the proxy asks", name)
			if word == "answer request\n" && err != nil || word == "answer\n" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "at Caddyfile:")) {
				t.Errorf("%s with %s: %v", matcher, strings.TrimSpace(word), err)
			}
		}
	}
}

// The proxy that asks is most often in the network that an exception is for.
func TestMatchersThatReadTheProxysAddressAreRefused(t *testing.T) {
	w := newWorld(t)
	for matcher, name := range map[string]string{
		`remote_ip 10.0.0.0/8`:                             "remote_ip",
		`not remote_ip 10.0.0.0/8`:                         "remote_ip",
		`expression remote_ip('10.0.0.0/8')`:               "remote_ip",
		`expression !remote_ip ('10.0.0.0/8')`:             "remote_ip",
		`not vars {http.request.remote.host/8} 10.0.0.0/8`: "{http.request.remote.host/8}",
		`expression {remote_host} == "10.0.0.1"`:           "{http.request.remote.host}",
		`vars {remote_host} 10.0.0.1`:                      "{http.request.remote.host}",
		`expression {tls_client_subject} == "CN=someone"`:  "{http.request.tls.client.subject}",
		`not client_ip 10.0.0.0/8`:                         "",
		`expression client_ip('10.0.0.0/8')`:               "",
		`header X-Remote remote_ip`:                        "",
	} {
		for _, word := range []string{"answer\n", "answer request\n", ""} {
			site := strings.Replace(gateWith("", matcher), "answer\n", word, 1)
			site = strings.Replace(site, "token_issuer\n", "", 1)
			err := w.validate(trustsSocket, site)
			want := fmt.Sprintf("token_gate: answer: the matcher reads %s, which tells of the proxy that asks", name)
			if refused := name != "" && word != ""; refused != (err != nil) || refused && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "at Caddyfile:")) {
				t.Errorf("%s with %s: %v", matcher, strings.TrimSpace(word), err)
			}
		}
	}
}
