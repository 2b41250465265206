package caddymodule

import (
	"fmt"
	"strings"
	"testing"
)

// A gate for WebSockets, say, would judge none of them: no proxy asks with the caller's
// own Upgrade, and what does not match passes.
func TestMatchersOfWhatNoQuestionHasAreRefused(t *testing.T) {
	w := newWorld(t)
	const both, itself = "answer\nanswer request\n", "answer request\n"
	for matcher, c := range map[string]struct{ name, refusedWith string }{
		`header Upgrade websocket`:                                {"the header Upgrade", both},
		`not header connection *Upgrade*`:                         {"the header Connection", both},
		`header_regexp TE .`:                                      {"the header Te", both},
		`expression header({'Upgrade': 'websocket'})`:             {"the header Upgrade", both},
		`expression header_regexp("a", "transfer-encoding", ".")`: {"the header Transfer-Encoding", both},
		`expression {header.Upgrade} == "websocket"`:              {"the header Upgrade", both},
		`vars {header.content-length} 0`:                          {"the header Content-Length", both},
		`expression {http.request.body} == "x"`:                   {"{http.request.body}", both},
		`protocol http/2+`:                                        {"protocol http/2+", both},
		`not protocol http/1.0`:                                   {"protocol http/1.0", both},
		`expression protocol('http/2')`:                           {"protocol http/2", both},
		`vars {http.request.proto} HTTP/2.0`:                      {"{http.request.proto}", both},
		`tls early_data`:                                          {"tls", both},
		`not tls`:                                                 {"tls", both},
		`expression tls('any')`:                                   {"tls", both},
		`vars {http.request.tls.server_name} a.example.com`:       {"{http.request.tls.server_name}", both},
		`protocol https`:                                          {"protocol https", itself},
		`protocol grpc`:                                           {},
		`expression protocol("https")`:                            {"protocol https", itself},
		`expression {scheme} == "https"`:                          {"{http.request.scheme}", itself},
		`header Accept Upgrade`:                                   {},
		`query tls=1 protocol=http/2 Upgrade=x`:                   {},
		`path /tls/* /body`:                                       {},
		`expression path('/protocol') || header({'X-Te': 'te'})`:  {},
	} {
		for _, word := range []string{"answer\n", "answer request\n", ""} {
			site := strings.Replace(gateWith("", matcher), "answer\n", word, 1)
			site = strings.Replace(site, "token_issuer\n", "", 1)
			err := w.validate(trustsSocket, site)
			want := fmt.Sprintf("token_gate: answer: the matcher reads %s, which no proxy's question has", c.name)
			refused := word != "" && (c.refusedWith == both || c.refusedWith == word)
			if refused != (err != nil) || refused && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "at Caddyfile:")) {
				t.Errorf("%s with %q: %v", matcher, word, err)
			}
		}
	}
}

// Envoy asks with the headers that it is told to, so the operator is told which.
func TestMatchersOfHeadersThatEnvoyHasToHandOnAreWarnedOf(t *testing.T) {
	for matcher, want := range map[string]string{
		`header X-Area admin`:                            "reads the header X-Area, which",
		`not header x-area admin`:                        "reads the header X-Area, which",
		`expression {header.X-Area} == {cookie.area}`:    "reads the header Cookie and X-Area, which",
		`expression header({"X-Area": "a", "X-B": "*"})`: "reads the header X-Area and X-B, which",
		`protocol grpc`:                                  "reads the header Content-Type, which",
		`header Host shop.example.com`:                   "",
		`header Authorization *`:                         "",
		`path /x`:                                        "",
	} {
		for _, word := range []string{"answer\n", "answer request\n"} {
			w := newWorld(t)
			site := strings.Replace(gateWith("", matcher), "answer\n", word, 1)
			if err := w.validate(trustsSocket, strings.Replace(site, "token_issuer\n", "", 1)); err != nil {
				t.Fatal(err)
			}
			log := w.logged()
			switch warned := strings.Contains(log, "answer request: the matcher reads the header"); {
			case word == "answer\n" || want == "":
				if warned {
					t.Errorf("%s with %q: %s", matcher, word, log)
				}
			case !strings.Contains(log, want) || !strings.Contains(log, "Caddyfile:"):
				t.Errorf("%s with %q: %s", matcher, word, log)
			}
		}
	}
}
