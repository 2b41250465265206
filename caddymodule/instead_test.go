package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
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
			var config caddy.Config
			site := strings.Replace(gateWith("map {path} {admin} {\n~^/admin yes\n}\nvars {path} x", matcher), "answer\n", word, 1)
			if err := caddy.StrictUnmarshalJSON(w.caddyfile(trustsSocket, site), &config); err != nil {
				t.Fatal(err)
			}
			err := caddy.Validate(&config)
			want := fmt.Sprintf("token_gate: answer: the matcher reads %s, which tells of the request by which the proxy asks", name)
			if word == "answer request\n" && err != nil || word == "answer\n" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "at Caddyfile:")) {
				t.Errorf("%s with %s: %v", matcher, strings.TrimSpace(word), err)
			}
		}
	}
}
