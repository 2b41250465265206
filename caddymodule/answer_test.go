package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

const trustsSocket = `
	servers {
		trusted_proxies static private_ranges
		trusted_proxies_unix
	}` + oneIssuer

const answering = `
http://app.example.com {
	token_issuer
	token_gate {
		answer
		except /public/*
	}
	token_gate /orders/* {
		answer
		scope orders:read
		header X-User-Id {claim.sub}
	}
	token_gate /admin/* {
		answer
		scope openid
	}
	respond "handed on"
}`

// original are the headers by which each proxy says what it asks about.
func original(proxy, method, uri string) []string {
	if proxy == "nginx" {
		return []string{"X-Original-Method: " + method, "X-Original-URL: https://shop.example.com" + uri}
	}
	return []string{"X-Forwarded-Method: " + method, "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example.com", "X-Forwarded-Uri: " + uri}
}

func TestAnswerJudgesTheOriginalRequest(t *testing.T) {
	w := newWorld(t)
	w.load(trustsSocket, answering)
	bearer := "Authorization: Bearer " + w.token()
	for _, proxy := range []string{"nginx", "traefik"} {
		for _, c := range []struct {
			uri, authorization string
			status             int
			subject, user      string
		}{
			{"/", "", 401, "", ""},
			{"/", bearer, 200, "shop", ""},
			{"/?a=b", bearer, 200, "shop", ""},
			{"/orders/7", bearer, 200, "shop", "shop"},
			{"/orders/7", bearer + "x", 401, "", ""},
			{"/admin/x", bearer, 403, "", ""},
			{"/public/x", "", 200, "", ""},
			{"/public/../admin", "", 401, "", ""},
			{"/public/%2e%2e/admin", bearer, 403, "", ""}, // one of its readings is for the third gate
			{"/public/..;/admin/x", bearer, 403, "", ""},
		} {
			lines := append(original(proxy, "GET", c.uri), "X-Auth-Subject: admin", "X-User-Id: admin")
			if c.authorization != "" {
				lines = append(lines, c.authorization)
			}
			a := w.get("/auth", lines...)
			if a.status != c.status || a.body != "" || a.header.Get("X-Auth-Subject") != c.subject || a.header.Get("X-User-Id") != c.user {
				t.Errorf("%s %s: %v", proxy, c.uri, a)
			}
			if c.status == 200 && (a.header["X-Auth-Subject"] == nil || a.header["X-User-Id"] == nil || a.header.Get("Cache-Control") != "no-store") {
				t.Errorf("%s %s: a header of the caller's would stay: %v", proxy, c.uri, a.header)
			}
			if c.status == 401 && a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s: no challenge", proxy, c.uri)
			}
		}
	}
	if path := text(w.events("gate refused")[0]["path"]); path != "/" {
		t.Errorf("the log tells of %s", path)
	}
}

// What no gate took for a token is the backend's own: a proxy that copies the
// answer's Authorization must not lose it.
func TestAnswerLeavesAuthorizationWhereNothingIsAsked(t *testing.T) {
	w := newWorld(t)
	w.load(trustsSocket, answering)
	const basic = "Basic cm9vdDpvd24="
	if a := w.get("/auth", append(original("nginx", "GET", "/public/x"), "Authorization: "+basic)...); a.status != http.StatusOK || a.header.Get("Authorization") != basic {
		t.Errorf("excepted: %v %v", a, a.header)
	}
	bearer := "Bearer " + w.token()
	if a := w.get("/auth", append(original("nginx", "GET", "/"), "Authorization: "+bearer)...); a.status != http.StatusOK || !isEmpty(a.header["Authorization"]) {
		t.Errorf("with a token: %v %v", a, a.header)
	}
	if a := w.get("/auth", append(original("nginx", "GET", "/public/x"), "Authorization: "+basic, "Authorization: Basic eDp5")...); !isEmpty(a.header["Authorization"]) {
		t.Errorf("two of them: %v %v", a, a.header)
	}
}

// isEmpty is of a header that is there and says nothing: a proxy that sets what is
// answered takes the caller's out by it.
func isEmpty(values []string) bool { return len(values) == 1 && values[0] == "" }

// The caller's token is not the backend's: Envoy replaces what is answered, and
// leaves what is not.
func TestAnswerTakesTheCallersTokenOut(t *testing.T) {
	w := newWorld(t)
	for words, kept := range map[string]bool{"answer": false, "answer request": false, "answer\nforward drop": false, "answer request\nforward token": true} {
		w.load(trustsSocket, "http://app.example.com {\ntoken_issuer\n}\nhttp://gate.example.com {\ntoken_gate {\n"+words+"\n}\n}")
		bearer := "Bearer " + w.token()
		a := w.asks("http://gate.example.com/", append(original("nginx", "GET", "/"), "Authorization: "+bearer)...)
		if got := a.header["Authorization"]; a.status != http.StatusOK || kept && (len(got) != 1 || got[0] != bearer) || !kept && !isEmpty(got) {
			t.Errorf("%s: %d %q", words, a.status, got)
		}
	}
}

// A caller's own headers, mixed with the proxy's or instead of them, are no answer.
func TestQuestionThatHasTwoReadingsIsRefused(t *testing.T) {
	w := newWorld(t)
	w.load(trustsSocket, answering)
	bearer := "Authorization: Bearer " + w.token()
	nginx, traefik := original("nginx", "GET", "/"), original("traefik", "GET", "/")
	for name, lines := range map[string][]string{
		"nothing":              {},
		"both":                 append(append([]string{}, nginx...), traefik...),
		"a caller's address":   append([]string{"X-Original-URL: https://shop.example.com/public/x"}, traefik...),
		"a caller's method":    append([]string{"X-Forwarded-Method: GET"}, nginx...),
		"no method":            nginx[1:],
		"no address":           nginx[:1],
		"no host":              {traefik[0], traefik[1], traefik[3]},
		"no scheme":            {traefik[0], traefik[2], traefik[3]},
		"two addresses":        append([]string{"X-Forwarded-Uri: /public/x"}, traefik...),
		"two methods":          append([]string{"X-Original-Method: GET"}, nginx...),
		"a path alone":         {nginx[0], "X-Original-URL: /public/x"},
		"a host with a query":  {nginx[0], "X-Original-URL: https://shop.example.com?/admin"},
		"a host with a path":   {traefik[0], traefik[1], "X-Forwarded-Host: a/public/x?", traefik[3]},
		"a fragment":           {nginx[0], "X-Original-URL: https://shop.example.com/public/x#/admin"},
		"a person in the host": {nginx[0], "X-Original-URL: https://a@shop.example.com/public/x"},
		"a backslash":          {nginx[0], `X-Original-URL: https://shop.example.com\public/x`},
		"another scheme":       {nginx[0], "X-Original-URL: ftp://shop.example.com/public/x"},
		"an address in a path": {traefik[0], traefik[1], traefik[2], "X-Forwarded-Uri: https://shop.example.com/public/x"},
		"no path":              {traefik[0], traefik[1], traefik[2], "X-Forwarded-Uri: public/x"},
	} {
		if a := w.get("/auth", append(lines, bearer)...); a.status != http.StatusBadRequest {
			t.Errorf("%s: %v", name, a)
		}
	}
	causes := map[string]bool{}
	for _, e := range w.events("gate refused") {
		if causes[text(e["cause"])] = true; text(e["reason"]) != "bad_original_request" {
			t.Errorf("%v", e)
		}
	}
	for _, cause := range []string{"X-Forwarded-Uri has to be there once", "neither X-Original-URL nor X-Forwarded-Uri says what is asked about"} {
		if !causes[cause] {
			t.Errorf("no cause %q in %v", cause, causes)
		}
	}
}

// B14: whoever is no trusted proxy asks about nothing.
func TestOnlyATrustedProxyIsAnswered(t *testing.T) {
	w := newWorld(t)
	w.load(oneIssuer, answering)
	bearer := "Authorization: Bearer " + w.token()
	for _, proxy := range []string{"nginx", "traefik"} {
		if a := w.get("/public/x", append(original(proxy, "GET", "/public/x"), bearer)...); a.status != http.StatusBadRequest || a.header["X-Auth-Subject"] != nil {
			t.Errorf("%s: %v", proxy, a)
		}
	}
	if reason := text(w.events("gate refused")[0]["reason"]); reason != "untrusted_proxy" {
		t.Errorf("reason %q", reason)
	}
}

// asks is a question that a proxy puts to a gate.
func (w *world) asks(address string, lines ...string) answer {
	w.Helper()
	return w.visitor().do(http.MethodGet, address, "", lines...)
}

// askedItself is the sites for Envoy: the issuer's, and that of the gates, which is for
// every host.
var askedItself = "http://app.example.com {\ntoken_issuer\n}\n" +
	strings.NewReplacer("answer\n", "answer request\n", "http://app.example.com", "http://", "\ttoken_issuer\n", "").Replace(answering)

// B14: to a proxy every 200 is a yes, one that shows metadata or an error page as well,
// and what it does not hear of stays in the request: a caller's X-Auth-Subject.
func TestNothingButAYesIsAnsweredLikeOne(t *testing.T) {
	w := newWorld(t)
	forged := []string{"X-Auth-Subject: admin", "Authorization: Bearer forged"}
	resource := func(site string) string {
		return strings.Replace(site, "except /public/*", "except /public/*\n\t\tresource https://shop.example.com", 1) + "\nhttp://meta.example.com {\n\ttoken_gate\n}"
	}
	w.load(trustsSocket, resource(askedItself))
	for _, path := range []string{wellKnown, wellKnown + "/", "/oauth2/jwks"} {
		if a := w.asks("http://shop.example.com"+path, forged...); a.status != http.StatusUnauthorized {
			t.Errorf("about %s itself: %v", path, a)
		}
		if x := w.explained(http.MethodGet, "http://shop.example.com"+path, "forged"); x.Status != http.StatusUnauthorized {
			t.Errorf("about %s itself: %+v", path, x)
		}
	}
	w.load(trustsSocket, resource(answering))
	for _, proxy := range []string{"nginx", "traefik"} {
		if a := w.get(wellKnown, append(original(proxy, "GET", wellKnown), forged...)...); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %v", proxy, a)
		}
	}
	errors := "\thandle_errors {\n\t\trespond \"a page\" 200\n\t}\n\ttoken_gate {"
	w.load(trustsSocket, strings.Replace(answering, "\ttoken_gate {", errors, 1))
	bearer := "Authorization: Bearer " + w.token()
	for _, c := range []struct {
		lines  []string
		status int
	}{
		{original("nginx", "GET", "/x"), http.StatusUnauthorized},
		{append(original("nginx", "GET", "/admin/x"), bearer), http.StatusForbidden},
		{original("nginx", "GET", "/x")[1:], http.StatusBadRequest},
	} {
		if a := w.get("/auth", c.lines...); a.status != c.status || a.body != "" {
			t.Errorf("with a page for errors: %v, want %d", a, c.status)
		}
	}
}

// A gate anywhere in the configuration has its identity headers taken out of every
// request, before anything reads what a proxy or a browser has said in them.
func TestNoIdentityHeaderIsOneThatIsRead(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"X-Original-URL", "X-Original-Method", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Method", "Forwarded", "Origin", "Accept", "Sec-Fetch-Site", "Sec-Fetch-Mode"} {
		site := strings.Replace(answering, "X-User-Id {claim.sub}", name+" {claim.sub}", 1)
		if err := w.validate(trustsSocket, site); err == nil || !strings.Contains(err.Error(), "cannot be an identity header: it has a meaning of its own") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Metadata is for everybody, where the request for it is no question.
func TestMetadataOfAResourceBehindAProxy(t *testing.T) {
	w := newWorld(t)
	const resource = "answer\n\t\tresource https://app.example.com"
	w.load(trustsSocket, strings.Replace(answering, "answer", resource, 1))
	if a := w.get(wellKnown); a.status != http.StatusOK || !strings.Contains(a.body, `"resource":"https://app.example.com"`) {
		t.Errorf("passed on: %v", a)
	}
	const apart = "\nhttp://shop.example.com {\n\ttoken_gate\n\trespond none 404\n}"
	w.load(trustsSocket, strings.Replace(askedItself, "answer request", "answer request\n\t\tresource https://shop.example.com", 1)+apart)
	if a := w.asks("http://shop.example.com" + wellKnown); a.status != http.StatusOK || !strings.Contains(a.body, `"resource":"https://shop.example.com"`) {
		t.Errorf("at a gate that is not asked: %v", a)
	}
}

func TestIssuerInFrontOfAGateThatIsAskedAboutEverythingIsRefused(t *testing.T) {
	w := newWorld(t)
	for site, refused := range map[string]bool{
		strings.ReplaceAll(answering, "answer\n", "answer request\n"): true,
		answering:   false,
		askedItself: false,
	} {
		err := w.validate(trustsSocket, site)
		if said := err != nil && strings.Contains(err.Error(), "answers those of the issuer before this gate is asked"); said != refused || !refused && err != nil {
			t.Errorf("%s: %v", site, err)
		}
	}
}

// Envoy asks with the request itself; headers say nothing then.
func TestAnswerToTheRequestItself(t *testing.T) {
	w := newWorld(t)
	w.load(trustsSocket, askedItself)
	bearer := "Authorization: Bearer " + w.token()
	misleading := original("traefik", "GET", "/public/x")
	if a := w.asks("http://shop.example.com/admin/x", append(misleading, bearer)...); a.status != http.StatusForbidden {
		t.Errorf("/admin/x: %v", a)
	}
	if a := w.asks("http://shop.example.com/orders/7", bearer); a.status != http.StatusOK || a.header.Get("X-User-Id") != "shop" || a.body != "" {
		t.Errorf("/orders/7: %v", a)
	}
	if a := w.asks("http://shop.example.com/public/x"); a.status != http.StatusOK || a.header["X-Auth-Subject"] == nil {
		t.Errorf("/public/x: %v", a)
	}
}

// Envoy adds the peer's address behind what the caller has written; who reads from the
// front believes the caller.
func TestCallerOfEnvoyIsWhoItHasSeen(t *testing.T) {
	w := newWorld(t)
	site := "http://app.example.com {\ntoken_issuer\n}\nhttp:// {\n@out not client_ip 192.0.2.1\ntoken_gate @out {\nanswer request\n}\n}"
	for global, status := range map[string]int{
		trustsSocket: http.StatusOK, // as the page warns
		strings.Replace(trustsSocket, "trusted_proxies_unix", "trusted_proxies_unix\n\t\ttrusted_proxies_strict", 1): http.StatusUnauthorized,
	} {
		w.load(global, site)
		if a := w.asks("http://shop.example.com/x", "X-Forwarded-For: 192.0.2.1, 198.51.100.7, 10.0.0.5"); a.status != status {
			t.Errorf("%s: %v", global, a)
		}
	}
}

// All gates of a chain answer, or none does: the first would never be asked, or say yes
// by what it has of its own.
func TestGatesOfOneChainAnswerAlike(t *testing.T) {
	for name, c := range map[string]struct{ gates, want string }{
		"one behind": {"token_gate {\n answer\n }\n token_gate {\n scope openid\n }", "answers before this one is asked; write `answer` here, too, at Caddyfile:"},
		"one in front": {
			"token_gate @orders {\n scope openid\n }\n token_gate {\n answer request\n resource https://app.example.com\n }\n @orders path /orders/*",
			"is a yes to the proxy that asks; write `answer` there, too, at Caddyfile:",
		},
		"asked in two ways": {
			"token_gate {\n answer request\n optional\n }\n token_gate {\n answer\n resource https://app.example.com\n }", "is asked in another way, so one of both takes no question for one; write the same for both, at Caddyfile:",
		},
		"one around": {"token_gate {\n shadow\n }\n route {\n token_gate {\n answer\n }\n }", "write `answer` there, too"},
		"beside":     {"handle /a/* {\n token_gate {\n scope openid\n }\n respond a\n }\n handle {\n token_gate {\n answer\n }\n }", ""},
	} {
		w := newWorld(t)
		site := "http://auth.example.com {\n token_issuer\n}\nhttp://app.example.com {\n route {\n " + c.gates + "\n }\n}"
		err := w.validate(trustsSocket, site)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Not each question gets to every gate that answers: the yes of the last one that it
// gets to is whole, or a caller's own headers would stay, and no gate on its way is left out.
func TestGatesInsideOthersAnswer(t *testing.T) {
	w := newWorld(t)
	const issuer = "http://app.example.com {\n token_issuer\n}\n"
	for name, gates := range map[string]string{
		"inside": `
	token_gate {
		answer request
		except /public/*
	}
	handle /admin/* {
		token_gate {
			answer request
			scope openid
			header X-User-Id {claim.sub}
		}
	}
	handle /own/* {
		token_gate {
			answer request
			scope orders:read
			header X-User-Id {claim.sub}
		}
	}
	respond "nobody hears this"`,
		"before": `
	route {
		route /orders/* {
			token_gate {
				answer request
			}
		}
		route /public/* {
			token_gate {
				answer request
				except /public/*
			}
		}
		@admin path /orders/admin/* /admin/*
		token_gate @admin {
			answer request
			scope openid
			header X-User-Id {claim.sub}
		}
		token_gate {
			answer request
			except /public/*
		}
	}`,
		"invoked first": `
&(one) {
	token_gate {
		answer request
		except /public/*
	}
}
http:// {
	route {
		invoke one
		@admin path /orders/admin/* /admin/*
		token_gate @admin {
			answer request
			scope openid
			header X-User-Id {claim.sub}
		}
	}
}`,
		"invoked, with a word behind": `
&(two) {
	token_gate {
		answer request
		scope openid
		header X-User-Id {claim.sub}
	}
}
http:// {
	route {
		token_gate {
			answer request
			except /public/*
		}
		handle /orders/admin/* {
			invoke two
		}
		handle /admin/* {
			invoke two
		}
		handle {
			token_gate {
				answer request
				except /public/*
			}
		}
		respond "nobody gets here" 403
	}
}`,
		"invoked last": `
&(two) {
	@admin path /orders/admin/* /admin/*
	token_gate @admin {
		answer request
		scope openid
		header X-User-Id {claim.sub}
	}
}
http:// {
	token_gate {
		answer request
		except /public/*
	}
	invoke two
}`,
	} {
		site := issuer + "http:// {\n" + gates + "\n}"
		if strings.HasPrefix(name, "invoked") {
			site = issuer + gates
		}
		w.load(trustsSocket, site)
		bearer := "Authorization: Bearer " + w.token()
		forged := []string{"X-Auth-Subject: admin", "X-User-Id: admin"}
		for _, c := range []struct {
			path, authorization string
			status              int
			subject             string
		}{
			{"/orders/7", bearer, 200, "shop"},
			{"/own/x", bearer, 200, "shop"},
			{"/orders/7", bearer + "x", 401, ""},
			{"/public/x", "Authorization: Basic cm9vdDpvd24=", 200, ""},
			{"/admin/x", bearer, 403, ""},
			{"/orders/admin/x", bearer, map[bool]int{true: 200, false: 403}[name == "inside"], map[string]string{"inside": "shop"}[name]},
		} {
			a := w.asks("http://shop.example.com"+c.path, append(forged, c.authorization)...)
			if a.status != c.status || a.header.Get("X-Auth-Subject") != c.subject || a.body != "" || a.header.Get("X-User-Id") == "admin" {
				t.Errorf("%s %s: %v", name, c.path, a)
			}
			if user := a.header.Get("X-User-Id"); name == "inside" && c.path == "/own/x" && user != "shop" {
				t.Errorf("%s: the gate inside has said %q", name, user)
			}
			if said := a.header["X-Auth-Subject"] != nil && a.header["Authorization"] != nil && a.header.Get("Cache-Control") == "no-store"; said != (c.status == http.StatusOK) {
				t.Errorf("%s %s: a yes that is not whole, or what is left of one: %v", name, c.path, a.header)
			}
		}
		if x := w.explained(http.MethodGet, "http://shop.example.com/public/x", ""); !strings.HasPrefix(x.Next, toProxy) {
			t.Errorf("%s: explained: %+v", name, x)
		}
	}
}

// A site that is alone at its address, as Envoy's is, has its routes in the server itself:
// gates hear of each other there, too.
func TestGatesOfALoneSiteHearOfEachOther(t *testing.T) {
	w := newWorld(t)
	w.load(trustsSocket, `
:80 {
	route /orders/* {
		token_gate {
			answer request
		}
	}
	route {
		@admin path /admin/*
		token_issuer /oauth2/*
		token_gate @admin {
			answer request
			scope openid
		}
		token_gate /orders/* {
			answer request
			scope openid
			header X-User-Id {claim.sub}
		}
	}
}`)
	if a := w.asks("http://shop.example.com/orders/7", "Authorization: Bearer "+w.token(), "X-User-Id: admin"); a.status != http.StatusForbidden {
		t.Errorf("by the first gate alone: %v", a)
	}
}

// Where a backend stands on the same site no gate hands a question on that does not surely
// get to the next one, and the start says so.
func TestGatesOfOneSiteThatDoNotHearOfEachOtherAreToldOf(t *testing.T) {
	w := newWorld(t)
	w.write("log", "")
	for site, told := range map[string]bool{
		"route {\n route /a/* {\n token_gate {\n answer\n }\n }\n token_gate {\n answer\n scope openid\n }\n reverse_proxy unix/$DIR/backend\n }":        true,
		"route {\n route /a/* {\n token_gate {\n answer\n }\n }\n token_gate {\n answer\n scope openid\n }\n }":                                          false,
		"handle /a/* {\n token_gate {\n answer\n }\n }\n handle /b/* {\n token_gate {\n answer\n }\n }\n handle {\n reverse_proxy unix/$DIR/backend\n }": false,
	} {
		before := w.logged()
		if err := w.validate(trustsSocket, "http://auth.example.com {\n token_issuer\n}\nhttp://app.example.com {\n "+site+"\n}"); err != nil {
			t.Fatal(err)
		}
		log := strings.TrimPrefix(w.logged(), before)
		if got := strings.Contains(log, "this one answers it alone") && strings.Contains(log, `"at":"Caddyfile:`); got != told {
			t.Errorf("%s: %s", site, log)
		}
	}
}

// FuzzOriginal holds that an address that is believed is whole: what is judged is
// every letter of it, and nothing else.
func FuzzOriginal(f *testing.F) {
	for _, seed := range []string{"https://a.example/x?y=z", "https://a?/x", "https://a#/x", "https://u@a/x", "http://[::1]:80/%2e%2e/x", "https://a//x", `https://a\x`, "https:///x", "https://a/x y", "https:/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := originalURL(text)
		if err != nil {
			return
		}
		_, rest, _ := strings.Cut(text, "://")
		host, path, found := strings.Cut(rest, "/")
		undotted := strings.TrimSuffix(strings.Replace(host, ".:", ":", 1), ".") // the same host
		if !found || host != u.Host && undotted != u.Host || u.Hostname() == "" || strings.ContainsAny(host, "@?#\\") {
			t.Errorf("%q has the host %q", text, u.Host)
		}
		path, query, _ := strings.Cut("/"+path, "?")
		if path != u.EscapedPath() && path != u.Path || query != u.RawQuery {
			t.Errorf("%q has the path %q and the query %q", text, u.EscapedPath(), u.RawQuery)
		}
	})
}
