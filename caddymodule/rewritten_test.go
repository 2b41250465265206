package caddymodule

import (
	"strings"
	"testing"
)

// A gate is asked about the path that a rewrite in front of it has made: one that looks for
// the caller's own judges nothing, which nobody would see.
func TestRewriteInFrontOfAGateIsWarnedOf(t *testing.T) {
	w := newWorld(t)
	for site, told := range map[string]bool{
		"try_files {path} /index.php?{query}\n token_gate /admin/*":                                   true,
		"rewrite /a/* /index.php\n token_gate {\n except /index.php\n }":                              true,
		"rewrite * /app{uri}\n token_gate {\n expression `request.path == \"/app/x\"`\n }":            true,
		"uri replace /a/ /b/\n token_gate /b/*":                                                       true,
		"handle /a/* {\n rewrite * /b\n token_gate /b*\n }":                                           true,
		"route {\n handle /a/* {\n respond a\n }\n rewrite * /b\n handle {\n token_gate /b/*\n }\n }": true,
		"invoke front\n handle {\n token_gate /admin/*\n }":                                           true,
		"rewrite * /x\n invoke closed":                                                                true,
		"invoke closed":                                                                               false,
		"rewrite * /index.php\n token_gate":                                                           false,
		"rewrite * ?a=b\n token_gate /admin/*":                                                        false,
		"rewrite * /x\n @o vars_regexp {http.request.orig_uri.path} ^/admin/\n token_gate @o":         false,
		"handle_path /api/* {\n token_gate /admin/*\n }":                                              false,
		"handle /a/* {\n rewrite * /b\n }\n handle {\n token_gate /admin/*\n }":                       false,
		"route {\n token_gate /admin/*\n try_files {path} /index.php\n }":                             false,
	} {
		w.write("log", "")
		if err := w.validate(oneIssuer, "&(front) {\n try_files {path} /index.php\n}\n&(closed) {\n token_gate /admin/*\n}\nhttp://auth.example.com {\n token_issuer\n}\nhttp://app.example.com {\n "+site+"\n respond ok\n}"); err != nil {
			t.Fatal(site, err)
		}
		log := w.logged()
		if got := strings.Contains(log, "before it has made it") || strings.Contains(log, "and not as the caller sent it"); got != told || told && !strings.Contains(log, `"at":"Caddyfile:`) {
			t.Errorf("%s: %s", site, log)
		}
	}
}
