package caddymodule

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// Whoever stands between two gates that answer, and refuses, has refused: a question that
// does not get to the second gate is no yes of the first one's.
func TestNoBetweenGatesThatAnswerCounts(t *testing.T) {
	w := newWorld(t)
	w.backend(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/check" || r.Header.Get("X-Let-Me") == "" {
			rw.WriteHeader(http.StatusForbidden)
		}
	})
	w.load(trustsSocket, `
http://app.example.com {
	token_issuer
}
http:// {
	handle_errors {
		respond "a page" 200
	}
	route {
		token_gate {
			answer request
			header X-User-Id {claim.sub}
		}
		error /blocked* 403
		error /gone* 410
		respond /closed* 404
		redir /moved* /elsewhere
		respond /fine* "nobody reads this"
		basic_auth /basic* {
			ann $2a$04$zVQY5xvF/BjOWHqo.1Gzt.R6mjQqOWqQzvCuEQ5ToH2YzYPqyHrnq
		}
		forward_auth /checked* unix/$DIR/backend {
			uri /check
		}
		token_gate /admin/* {
			answer request
			scope openid
		}
		error /behind* 403
	}
}`)
	bearer := "Authorization: Bearer " + w.token()
	for path, want := range map[string]int{
		"/orders/7": 200, "/fine": 200, "/admin/x": 403, "/blocked": 403, "/gone": 410, "/closed": 404, "/moved": 403, "/basic": 401, "/checked": 403, "/behind": 200,
	} {
		a := w.asks("http://shop.example.com"+path, bearer, "X-Auth-Subject: admin")
		said := a.header["Authorization"] != nil && a.header.Get("X-User-Id") == "shop"
		if a.status != want || a.body != "" || said != (want == http.StatusOK) || !said && (a.header["Authorization"] != nil || a.header["X-User-Id"] != nil) {
			t.Errorf("%s: %v", path, a)
		}
		if asks := a.header.Get("WWW-Authenticate"); path == "/basic" && !strings.HasPrefix(asks, "Basic ") {
			t.Errorf("%s: how to sign in: %q", path, asks)
		}
		if a := w.asks("http://shop.example.com"+path, bearer+"x"); a.status != http.StatusUnauthorized {
			t.Errorf("%s with a bad token: %v", path, a)
		}
	}
	for path, want := range map[string]string{"/orders/7": toProxy, "/blocked": toProxy + ", unless error says no", "/closed": toProxy + ", unless static_response says no"} {
		if x := w.explained(http.MethodGet, "http://shop.example.com"+path, strings.TrimPrefix(bearer, "Authorization: Bearer ")); x.Next != want {
			t.Errorf("%s: explained: %s", path, x.Next)
		}
	}
	if a := w.asks("http://shop.example.com/checked", bearer, "X-Let-Me: in"); a.status != http.StatusOK {
		t.Errorf("what somebody else asks about and gets a yes for: %v", a)
	}
}

// A question carries the caller's own method and token. Whatever acts upon requests does
// what it asks, so no gate hands one on where that stands.
func TestNothingActsUponAQuestion(t *testing.T) {
	const gates = "token_gate {\n answer request\n }\n $1\n token_gate /admin/* {\n answer request\n scope openid\n }\n $2\n"
	for what, c := range map[string]struct{ between, behind, want string }{
		"a backend between":    {"reverse_proxy /x/* unix/$DIR/backend", "", "reverse_proxy, which stands behind it, too, would get it"},
		"files between":        {"file_server /x/*", "", "file_server, which stands"},
		"a backend beside":     {"handle /y/* {\n reverse_proxy unix/$DIR/backend\n }", "", "reverse_proxy, which stands"},
		"in a route that both": {"route /y/* {\n invoke x\n }", "", "reverse_proxy, which stands"},
		"a backend with pages": {"reverse_proxy /x/* unix/$DIR/backend {\n @e status 500\n handle_response @e {\n respond oops\n }\n }", "", "reverse_proxy, which stands"},
		"pages of another":     {"forward_auth /x/* unix/$DIR/backend {\n uri /check\n handle_response {\n reverse_proxy unix/$DIR/backend\n }\n }", "", "reverse_proxy, which stands"},
		"a page for a no":      {"forward_auth unix/$DIR/backend {\n uri /check\n @no status 401 403\n handle_response @no {\n respond \"please sign in\"\n }\n }", "", "reverse_proxy, which stands"},
		"a page for any":       {"forward_auth unix/$DIR/backend {\n uri /check\n handle_response {\n route {\n respond ok 200\n }\n }\n }", "", "reverse_proxy, which stands"},
		"another status":       {"forward_auth unix/$DIR/backend {\n uri /check\n @no status 4xx\n replace_status @no 200\n }", "", "reverse_proxy, which stands"},
		"a copy of another":    {"forward_auth unix/$DIR/backend {\n uri /check\n @no status 4xx\n handle_response @no {\n copy_response 200\n }\n }", "", "reverse_proxy, which stands"},
		"pages that say no":    {"forward_auth unix/$DIR/backend {\n uri /check\n copy_headers Remote-User\n @no status 401\n handle_response @no {\n redir * /login\n }\n @not status 403\n handle_response @not {\n respond no {rp.status_code}\n }\n @busy status 5xx\n handle_response @busy {\n copy_response_headers\n copy_response\n }\n @ok status 2xx\n handle_response @ok {\n respond ok\n }\n }", "", ""},
		"what hands on":        {"header X-A b\n vars c d\n encode gzip\n forward_auth unix/$DIR/backend {\n uri /check\n }", "respond no 404", ""},
		"behind both":          {"", "reverse_proxy unix/$DIR/backend", ""},
	} {
		site := "http://auth.example.com {\n token_issuer\n}\n&(x) {\n reverse_proxy unix/$DIR/backend\n}\nhttp:// {\n route {\n " +
			strings.NewReplacer("$1", c.between, "$2", c.behind).Replace(gates) + " }\n}"
		w := newWorld(t) // Caddy leaves a socket behind where a start fails
		w.backend(nil)
		err := caddy.Load(w.caddyfile(trustsSocket, site), true)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), ", at Caddyfile:")) {
			t.Errorf("%s: %v", what, err)
		}
		w.write("log", "")
		if err := w.validate(trustsSocket, site); err != nil || strings.Contains(w.logged(), "which stands behind it, too, would get it") != (c.want != "") {
			t.Errorf("%s: validate: %v, %s", what, err, w.logged())
		}
	}
}

// Nor does anything make a yes of an error between two gates.
func TestErrorsBetweenGatesAreNoYes(t *testing.T) {
	w := newWorld(t)
	text := w.caddyfile(trustsSocket, "http://auth.example.com {\n token_issuer\n}\nhttp:// {\n route {\n token_gate {\n answer request\n }\n route {\n error /x/* stop 403\n }\n token_gate /admin/* {\n answer request\n scope openid\n }\n }\n}")
	for page, refused := range map[string]bool{`"status_code":200`: true, `"body":"no"`: false, `"status_code":403`: false} {
		replaced := regexp.MustCompile(`(\{"handler":"subroute",)("routes":\[\{"handle":\[\{"error":)`).ReplaceAll(text, []byte(`$1"errors":{"routes":[{"handle":[{"handler":"static_response",`+page+`}]}]},$2`))
		if bytes.Equal(replaced, text) {
			t.Fatalf("no error in %s", text)
		}
		if err := caddy.Load(replaced, true); (err != nil && strings.Contains(err.Error(), "what answers for errors, which stands")) != refused {
			t.Errorf("%s: %v", page, err)
		}
	}
}

// A page for who is refused would be a yes.
func TestNobodyAnswersForAGateThatAnswers(t *testing.T) {
	const page, gate = "intercept {\n @no status 401 403\n handle_response @no {\n respond \"sign in\"\n }\n }\n", "token_gate {\n answer request\n }\n"
	const gone, warned = "intercept {\n @gone status 404\n handle_response @gone {\n respond gone\n }\n }\n", "may stand in front of this gate"
	for what, c := range map[string]struct{ site, want string }{
		"no status of its":  {gone + "handle /x/* {\n " + gate + " }", ""},
		"any, of two":       {"route {\n " + gone + gate + gate + " }", "`intercept` stands in front of this gate"},
		"where it fails":    {"intercept {\n @busy status 5xx\n replace_status @busy 200\n }\n" + "handle /x/* {\n " + gate + " }", "`intercept` stands in front of this gate"},
		"where it breaks":   {"intercept {\n @oops status 500\n replace_status @oops 200\n }\n" + "handle /x/* {\n " + gate + " }", "`intercept` stands in front of this gate"},
		"where it matches":  {gone + "handle /x/* {\n @y {\n client_ip 10.0.0.0/8\n }\n " + strings.Replace(gate, "token_gate", "token_gate @y", 1) + " }", "`intercept` stands in front of this gate"},
		"where it does not": {gone + "handle /x/* {\n @y {\n not client_ip 10.0.0.0/8\n }\n " + strings.Replace(gate, "token_gate", "token_gate @y", 1) + " }", "`intercept` stands in front of this gate"},
		"of some requests":  {gone + "handle /x/* {\n @y {\n path /x/y /x/y/*\n not method GET\n header X-A *\n header_regexp X-B b\n path_regexp y\n host app.example.com\n query a=*\n }\n " + strings.Replace(gate, "token_gate", "token_gate @y", 1) + " }", ""},
		"acts upon a yes":   {"intercept {\n @ok status 2xx\n handle_response @ok {\n reverse_proxy 127.0.0.1:1\n }\n }\n" + "handle /x/* {\n " + gate + " }", "`intercept` stands in front of this gate"},
		"of a yes":          {"intercept {\n @ok status 2xx\n handle_response @ok {\n header X-A b\n }\n }\n" + "handle /x/* {\n " + gate + " }", ""},
		"of other paths":    {strings.Replace(page, "intercept", "intercept /app/*", 1) + "handle /x/* {\n " + gate + " }", warned},
		"in a route":        {"route {\n " + page + gate + " }", "`intercept` stands in front of this gate"},
		"around handles":    {page + "handle /x/* {\n " + gate + " }", "`intercept` stands in front of this gate"},
		"in a named route":  {"route {\n invoke x\n " + gate + " }", "`intercept` stands in front of this gate"},
		"between two":       {"route {\n " + gate + page + gate + " }", "`intercept` stands in front of this gate"},
		"aside of another":  {"route {\n " + gate + "handle /y/* {\n " + page + " respond no 403\n }\n handle /admin/* {\n " + gate + " }\n }", "intercept, which stands behind it, too"},
		"another status":    {"route {\n " + gate + "handle /y/* {\n intercept {\n replace_status 200\n }\n respond no 403\n }\n handle /admin/* {\n " + gate + " }\n }", "intercept, which stands"},
		"behind it":         {"route {\n " + gate + page + " }", ""},
		"beside it":         {"handle /ui/* {\n " + page + " respond ok\n }\n handle {\n " + gate + " }", ""},
		"no other answer":   {"route {\n intercept\n " + gate + " }", ""},
		"a gate of a site":  {"route {\n " + page + "token_gate\n respond ok\n }", ""},
	} {
		w := newWorld(t)
		err := caddy.Load(w.caddyfile(trustsSocket, "http://auth.example.com {\n token_issuer\n}\n&(x) {\n "+page+"}\nhttp:// {\n "+c.site+"\n}"), true)
		if isWarned := strings.Contains(w.logged(), warned); isWarned != (c.want == warned) {
			t.Errorf("%s: warned: %v", what, isWarned)
		} else if isWarned {
			c.want = ""
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A gate between two handles of one group: who did not take the first may get to the second.
func TestGateBetweenHandlesHandsNothingOn(t *testing.T) {
	w := newWorld(t)
	w.backend(nil)
	err := caddy.Load(w.caddyfile(trustsSocket, "http://auth.example.com {\n token_issuer\n}\nhttp:// {\n route {\n handle /ui/* {\n respond ok\n }\n token_gate {\n answer request\n }\n"+
		" handle /x/* {\n reverse_proxy unix/$DIR/backend\n }\n token_gate /admin/* {\n answer request\n scope openid\n }\n }\n}"), true)
	if err == nil || !strings.Contains(err.Error(), "reverse_proxy, which stands behind it, too") {
		t.Error(err)
	}
}

// What no question gets to is no reason to refuse anything.
func TestBackendThatGetsNoQuestionIsLeftAlone(t *testing.T) {
	const two = "route {\n token_gate {\n answer\n }\n token_gate /admin/* {\n answer\n scope openid\n }\n }"
	for what, site := range map[string]string{
		"in another handle":     "handle /verify {\n " + two + "\n }\n handle {\n reverse_proxy unix/$DIR/backend\n }",
		"in the handle before":  "handle /static/* {\n file_server\n }\n handle {\n " + two + "\n }",
		"in front of both":      "route {\n reverse_proxy /ui/* unix/$DIR/backend\n " + two + "\n }",
		"behind both, aside":    "route {\n token_gate {\n answer\n }\n header /x/* X-A b\n token_gate /admin/* {\n answer\n scope openid\n }\n }\n reverse_proxy unix/$DIR/backend",
		"on a site of the same": "@ui path /ui/*\n handle @ui {\n reverse_proxy unix/$DIR/backend\n }\n handle {\n " + two + "\n }",
		"between two handles":   "route {\n handle /verify/* {\n token_gate {\n answer\n }\n handle /verify/admin/* {\n token_gate {\n answer\n scope openid\n }\n }\n }\n header -Server\n handle {\n reverse_proxy unix/$DIR/backend\n }\n }",
	} {
		w := newWorld(t)
		w.backend(nil)
		if err := caddy.Load(w.caddyfile(trustsSocket, "http://auth.example.com {\n token_issuer\n}\nhttp://app.example.com {\n "+site+"\n}"), true); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Gates that do not enclose each other are told of what stands in the pages of a proxy
// between them, too, and do not hand on.
func TestPagesOfAProxyGetNoQuestion(t *testing.T) {
	w := newWorld(t)
	asked := false
	w.backend(func(rw http.ResponseWriter, r *http.Request) {
		asked = true
		if r.URL.Path == "/check" {
			rw.WriteHeader(http.StatusForbidden)
		}
	})
	w.load(trustsSocket, "http://app.example.com {\n token_issuer\n}\nhttp:// {\n route {\n route /x/* {\n token_gate {\n answer request\n }\n }\n"+
		" forward_auth unix/$DIR/backend {\n uri /check\n @no status 403\n handle_response @no {\n reverse_proxy unix/$DIR/backend\n }\n }\n"+
		" handle /x/admin/* {\n token_gate {\n answer request\n scope openid\n }\n }\n }\n}")
	if log := w.logged(); !strings.Contains(log, "this one answers it alone, for reverse_proxy on the same site") {
		t.Error(log)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://shop.example.com/x/y", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.token())
	if a, err := w.do(r); err != nil || a.status != http.StatusOK || asked {
		t.Errorf("%v %v, asked: %v", a, err, asked)
	}
}
