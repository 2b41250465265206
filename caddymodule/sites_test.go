package caddymodule

import (
	"bytes"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestSitesAreLookedAtBeforeAStart: what the routes leave undone is told where a
// configuration is only validated, with the line, and nothing else is.
func TestSitesAreLookedAtBeforeAStart(t *testing.T) {
	w := newWorld(t)
	w.write("log", "")
	const page = "client page {\n type spa\n grants authorization_code\n redirect_uris https://app.example.com/a https://page.example.com/b http://127.0.0.1/c\n}\n"
	const people = "client people {\n type web\n secret {env.SHOP_SECRET}\n grants authorization_code refresh_token\n redirect_uris https://auth.example.com/.gatehouse/callback\n}\n"
	const sockets = "servers {\n trusted_proxies_unix\n}\n"
	const proxied = "servers {\n trusted_proxies static private_ranges\n}\n"
	for name, c := range map[string]struct {
		global, site string
		want         []string
	}{
		"all is well":         {"", "https://auth.example.com {\n token_issuer\n token_gate\n respond ok\n}", nil},
		"a wildcard":          {"", "https://*.example.com {\n token_issuer\n token_gate\n respond ok\n}", nil},
		"a site for any host": {page, "http:// {\n token_issuer\n token_gate\n respond ok\n}", nil},
		"an application elsewhere": {
			page, "https://auth.example.com https://app.example.com {\n token_issuer\n}",
			[]string{"client page: redirect_uris https://page.example.com/b: no site of this Caddy answers for page.example.com (right", `"at":"Caddyfile:20"`},
		},
		"an application with a slip": {
			page, "https://auth.example.com https://app.example.com https://paeg.example.com {\n token_issuer\n}",
			[]string{"no site of this Caddy answers for page.example.com, did you mean paeg.example.com? (right"},
		},
		"another host": {
			"", "https://aut.example.com {\n token_issuer\n}",
			[]string{"token_issuer: issuer: no site answers for auth.example.com, did you mean aut.example.com?: name a site so", `"at":"Caddyfile:14"`},
		},
		"no directive":              {"", "https://auth.example.com {\n token_gate\n}", []string{"no site serves the issuer; add the directive token_issuer to one"}},
		"nothing of ours in a site": {"", "https://auth.example.com {\n respond ok\n}", []string{"no site serves the issuer; add the directive token_issuer to one"}},
		"no site":                   {"", "", []string{"no site serves the issuer; add the directive token_issuer to one", `"at":"Caddyfile:`}},
		"a gate behind the backend": {
			"", "https://auth.example.com {\n token_issuer\n route {\n respond /x hello\n route {\n reverse_proxy 127.0.0.1:9\n }\n token_gate\n }\n}",
			[]string{"token_gate: no request gets here: reverse_proxy before it answers every one; put token_gate first", `"at":"Caddyfile:37"`},
		},
		"an issuer behind files":          {"", "https://auth.example.com {\n route {\n file_server\n token_issuer\n }\n}", []string{"directive token_issuer: no request gets here: file_server"}},
		"a gate behind some of the files": {"", "https://auth.example.com {\n token_issuer\n route {\n file_server {\n pass_thru\n }\n token_gate\n }\n}", nil},
		"a backend behind a gate that answers": {
			sockets, "https://auth.example.com {\n token_issuer\n token_gate /a/* {\n answer\n }\n token_gate /b/* {\n answer\n }\n reverse_proxy /c 127.0.0.1:9\n}",
			[]string{"token_gate: answer: this gate tells the proxy that asks and hands nothing on, so no request gets to reverse_proxy behind it; take `answer` out", `"at":"Caddyfile:35"`},
		},
		"a cookie that nobody sets": {
			"", "https://auth.example.com {\n token_issuer\n token_gate {\n token_from cookie\n }\n respond ok\n}",
			[]string{"token_gate: token_from cookie is without effect: no gate of this host has `login`", `"at":"Caddyfile:33"`},
		},
		"a cookie that is of another host": {
			people, "https://auth.example.com {\n token_issuer\n token_gate {\n login\n }\n respond ok\n}\nhttps://other.example.com {\n token_gate {\n token_from header cookie\n }\n respond ok\n}",
			[]string{"token_gate: token_from cookie is without effect: no gate of this host has `login`", `"at":"Caddyfile:45"`},
		},
		"a gate behind forward_auth": {
			"", "https://auth.example.com {\n token_issuer\n forward_auth 127.0.0.1:9 {\n uri /v\n }\n handle /api/* {\n token_gate\n respond ok\n }\n respond no\n}", nil,
		},
		"a gate behind some of a group": {
			"", "https://auth.example.com {\n token_issuer\n route {\n handle /a/* {\n header X-A 1\n }\n handle {\n respond b\n }\n token_gate\n respond a\n }\n}", nil,
		},
		"a gate behind all of a group": {
			"", "https://auth.example.com {\n token_issuer\n route {\n handle /a/* {\n respond a\n }\n handle {\n respond b\n }\n token_gate\n }\n}",
			[]string{"token_gate: no request gets here: static_response before it answers every one"},
		},
		"a gate that answers in its own handle": {sockets, "https://auth.example.com {\n token_issuer\n handle /gate {\n token_gate {\n answer\n }\n }\n reverse_proxy 127.0.0.1:9\n}", nil},
		"a name without an address": {
			"", "https://*.example.com {\n token_issuer\n token_gate {\n resource_name Shop\n }\n respond ok\n}",
			[]string{"token_gate: resource_name: without effect: the site has no address for its metadata; name what the gate guards", `"at":"Caddyfile:33"`},
		},
		"a name with an address": {"", "https://*.example.com {\n token_issuer\n token_gate {\n resource https://a.example.com\n resource_name Shop\n }\n respond ok\n}", nil},
		"two names of one thing": {
			"", "https://auth.example.com {\n token_issuer\n token_gate {\n resource_name Shop\n }\n token_gate @x {\n resource_name Store\n }\n @x method POST\n respond ok\n}",
			[]string{"token_gate: resource_name: without effect: the gate at Caddyfile:32 guards https://auth.example.com, too, and calls it Shop; keep one of both", `"at":"Caddyfile:36"`},
		},
		"one name of one thing": {"", "https://auth.example.com {\n token_issuer\n token_gate {\n resource_name Shop\n }\n token_gate @x {\n resource_name Shop\n }\n @x method POST\n respond ok\n}", nil},
		"a sign-in that leads to another site": {
			people,
			"https://auth.example.com https://docs.example.com {\n token_issuer\n handle {\n token_gate {\n login\n }\n respond ok\n }\n}",
			[]string{"token_gate: login: client people sends nobody back to docs.example.com; add `redirect_uris https://docs.example.com/.gatehouse/callback` to it", `"at":"Caddyfile:40"`},
		},
		"a sign-in that leads to no site of many": {
			"client people {\n type web\n secret {env.SHOP_SECRET}\n grants authorization_code refresh_token\n redirect_uris https://auth.example.com/.gatehouse/callback\n}\n",
			"https://auth.example.com {\n token_issuer\n}\nhttps://*.shop.example.com {\n token_gate {\n login\n }\n respond ok\n}",
			[]string{"token_gate: login: client people sends nobody back to a host of *.shop.example.com; add `redirect_uris https://HOST/.gatehouse/callback` to it for each", `"at":"Caddyfile:`},
		},
		"a sign-in that leads to one site of many": {
			"client people {\n type web\n secret {env.SHOP_SECRET}\n grants authorization_code refresh_token\n redirect_uris https://a.shop.example.com/.gatehouse/callback\n}\n",
			"https://auth.example.com {\n token_issuer\n}\nhttps://*.shop.example.com {\n token_gate {\n login\n }\n respond ok\n}", nil,
		},
		"a sign-in in plain text": {
			people, "http://auth.example.com {\n bind 127.0.0.1\n token_issuer\n token_gate {\n login\n }\n respond ok\n}",
			[]string{"token_gate: login: this site is plain HTTP, where no cookie counts and nobody is sent to sign in; give it an https address, or name", `"at":"Caddyfile:40"`},
		},
		"a cookie in plain text": {
			people, "https://auth.example.com {\n token_issuer\n token_gate {\n login\n }\n respond ok\n}\nhttp://auth.example.com:81 {\n bind 127.0.0.1\n token_gate {\n token_from cookie\n }\n}",
			[]string{"token_gate: token_from cookie: this site is plain HTTP, where no cookie counts; give it an https address", `"at":"Caddyfile:46"`},
		},
		"a sign-in in plain text and over TLS":   {people, "http://auth.example.com https://auth.example.com {\n bind 127.0.0.1\n token_issuer\n token_gate {\n login\n }\n respond ok\n}", nil},
		"a sign-in behind a proxy that ends TLS": {proxied + people, "http://auth.example.com {\n bind 127.0.0.1\n token_issuer\n token_gate {\n login\n }\n respond ok\n}", nil},
		"a question that nobody may ask": {
			"", "http://auth.example.com {\n bind 127.0.0.1\n token_issuer\n token_gate {\n answer\n }\n}",
			[]string{"token_gate: answer: no proxy is believed here, so each that asks is answered 400 untrusted_proxy; name it in `trusted_proxies` of", `"at":"Caddyfile:34"`},
		},
		"an issuer beside a gate that is asked about every address": {
			sockets, "http://auth.example.com {\n handle /oauth2/* {\n token_issuer\n }\n handle {\n token_gate {\n answer request\n }\n }\n}",
			[]string{"token_gate: answer request: the proxy asks about every address, and the directive token_issuer at Caddyfile:35 answers those of the issuer on the same site, which is a yes; give the gate a site of its own", `"at":"Caddyfile:38"`},
		},
		"a caller whose issuer nobody names": {
			"", "http://auth.example.com {\n token_issuer\n token_gate {\n issuer https://partner.example {\n audience x\n }\n header X-Client {claim.client_id}\n }\n respond ok\n}",
			[]string{"token_gate: this gate trusts 2 issuers, and header X-Client does not say of which a caller is", "add a header of {claim.iss}", `"at":"Caddyfile:36"`},
		},
		"a claim that any issuer may say": {
			"", "http://auth.example.com {\n token_issuer\n token_gate {\n issuer https://partner.example {\n audience x\n }\n claim role admin\n }\n respond ok\n}",
			[]string{"token_gate: this gate trusts 2 issuers, and the claim role holds whichever of them says so, of whomever it likes; ask for claims.iss", `"at":"Caddyfile:36"`},
		},
		"an expression that any issuer may fulfil": {
			"", "http://auth.example.com {\n token_issuer\n token_gate {\n embedded off\n issuer https://a.example {\n audience x\n }\n issuer https://b.example {\n audience x\n }\n expression `claims.role == \"admin\"`\n }\n respond ok\n}",
			[]string{"token_gate: this gate trusts 2 issuers, and `expression` holds whichever of them says so", `"at":"Caddyfile:40"`},
		},
		"a scope that any issuer may give": {
			"", "http://auth.example.com {\n token_issuer\n token_gate {\n issuer https://partner.example {\n audience x\n }\n scope read admin\n }\n respond ok\n}",
			[]string{"token_gate: this gate trusts 2 issuers, and the scope read holds whichever of them says so", `"at":"Caddyfile:36"`},
		},
		"callers of the issuer that an expression asks for": {"", "http://auth.example.com {\n token_issuer\n token_gate {\n issuer https://partner.example {\n audience x\n }\n scope admin\n header X-User {claim.sub}\n expression `claims.iss == \"https://partner.example\"`\n }\n respond ok\n}", nil},
		"callers whose issuer is named":                     {"", "http://auth.example.com {\n token_issuer\n token_gate {\n issuer https://partner.example {\n audience x\n }\n header X-User {claim.sub}\n header X-From {claim.iss}\n expression `claims.iss != \"https://partner.example\" && claims.role == \"admin\"`\n }\n respond ok\n}", nil},
		"callers of two issuers":                            {"", "http://auth.example.com {\n token_issuer\n token_gate {\n issuer https://partner.example {\n audience x\n }\n }\n respond ok\n}", nil},
		"claims of one issuer of two":                       {"", "http://auth.example.com {\n token_issuer\n token_gate {\n issuer https://partner.example {\n audience x\n }\n claim iss https://partner.example\n claim role admin\n header X-User {claim.sub}\n }\n respond ok\n}", nil},
		"a caller of the one issuer elsewhere":              {"", "http://auth.example.com {\n token_issuer\n token_gate {\n embedded off\n issuer https://partner.example {\n audience x\n }\n claim role admin\n header X-User {claim.sub}\n }\n respond ok\n}", nil},
		"an issuer on another site":                         {sockets, "http://auth.example.com {\n token_issuer\n}\nhttp://gate.example.com {\n token_gate {\n answer request\n }\n}", nil},
		"a question over a socket": {
			proxied, "http://auth.example.com {\n token_issuer\n token_gate {\n answer\n }\n}", []string{"token_gate: answer: no proxy is believed here"},
		},
		"a question of a proxy that is believed": {proxied, "http://auth.example.com {\n bind 127.0.0.1\n token_issuer\n token_gate {\n answer\n }\n}", nil},
		"a sign-in that comes back to another handle": {
			people, "https://auth.example.com {\n token_issuer\n handle /wiki/* {\n token_gate {\n login\n }\n respond ok\n }\n handle {\n respond other\n }\n}",
			[]string{"token_gate: login: https://auth.example.com/.gatehouse/callback does not get to this gate, so nobody can sign in; take the gate out of the `handle`", `"at":"Caddyfile:40"`},
		},
		"a sign-in on a site of one path": {
			people, "https://auth.example.com {\n token_issuer\n}\nhttps://auth.example.com/wiki/* {\n token_gate {\n login\n }\n respond ok\n}",
			[]string{"https://auth.example.com/.gatehouse/callback does not get to this gate"},
		},
		"sign-ins of which one is come back to": {
			people, "https://auth.example.com {\n token_issuer\n handle /wiki/* {\n token_gate {\n login\n }\n respond ok\n }\n handle {\n token_gate /x {\n login\n }\n respond other\n }\n}", nil,
		},
		"a sign-in in a handle for others": {people, "https://auth.example.com {\n token_issuer\n @in remote_ip 10.0.0.0/8\n handle @in {\n route {\n token_gate /wiki/* {\n login\n }\n }\n respond ok\n }\n}", nil},
		"a sign-in behind what answers its address": {
			people, "https://auth.example.com {\n token_issuer\n route {\n redir /.gatehouse/* /\n token_gate {\n login\n }\n respond ok\n }\n}",
			[]string{"https://auth.example.com/.gatehouse/callback does not get to this gate, so nobody can sign in", "put it before what answers that address"},
		},
		"a sign-in behind a handle that answers its address": {
			people, "https://auth.example.com {\n token_issuer\n handle /.gatehouse/* {\n respond nope\n }\n handle {\n token_gate {\n login\n }\n respond ok\n }\n}",
			[]string{"https://auth.example.com/.gatehouse/callback does not get to this gate, so nobody can sign in"},
		},
		"a sign-in behind an answer to others": {
			people, "https://auth.example.com {\n token_issuer\n route {\n @in {\n path /.gatehouse/*\n remote_ip 10.0.0.0/8\n }\n respond @in no\n respond /healthz ok\n token_gate {\n login\n }\n respond ok\n }\n}", nil,
		},
		"a sign-in behind a gate without one": {
			people, "https://auth.example.com {\n token_issuer\n token_gate {\n audience shop people\n }\n token_gate /ui/* {\n login\n }\n respond ok\n}",
			[]string{"token_gate: login: the gate at Caddyfile:38 stands before this one and has no login, so it refuses whoever comes back", `"at":"Caddyfile:42"`},
		},
		"a sign-in behind a gate of another path": {people, "https://auth.example.com {\n token_issuer\n token_gate /api/* {\n audience shop\n }\n token_gate /ui {\n login\n }\n respond ok\n}", nil},
		"a sign-in behind a rewrite":              {people, "https://auth.example.com {\n token_issuer\n rewrite /.gatehouse/* /wiki{uri}\n handle /wiki/* {\n token_gate {\n login\n }\n respond ok\n }\n}", nil},
		"a gate in its own handle":                {"", "https://auth.example.com {\n token_issuer\n handle /a {\n respond a\n }\n handle {\n token_gate\n respond b\n }\n}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.logged()
			servers, clients := "", c.global
			if strings.HasPrefix(c.global, "servers") {
				servers, clients, _ = strings.Cut(c.global, "}\n")
				servers += "}\n"
			}
			global := servers + strings.Replace(oneIssuer, "client shop {", clients+"client shop {", 1)
			if err := w.validate(global, c.site); err != nil {
				t.Fatal(err)
			}
			log := strings.TrimPrefix(w.logged(), before)
			for _, want := range c.want {
				if !strings.Contains(log, want) {
					t.Errorf("%s is not in the log:\n%s", want, log)
				}
			}
			said := 0
			for line := range strings.Lines(log) {
				if strings.Contains(line, `"level":"warn"`) && strings.Contains(line, `"logger":"token_issuer"`) {
					said++
				}
			}
			if (said > 0) != (len(c.want) > 0) || said > 1 {
				t.Errorf("%d warnings:\n%s", said, log)
			}
		})
	}
}

// Caddy's JSON takes any text for a host.
func TestHostThatIsNoneIsAnError(t *testing.T) {
	w := newWorld(t)
	site := "http://auth.example.com {\n\ttoken_issuer\n}\nhttp://odd.example.com {\n\ttoken_gate {\n\t\tanswer\n\t}\n}\n"
	for _, odd := range []string{"a b", "%zz", "[::1]", "::1%eth0"} {
		text := bytes.ReplaceAll(w.caddyfile(oneIssuer, site), []byte("odd.example.com"), []byte(odd))
		if err := caddy.Load(text, true); err == nil || !strings.Contains(err.Error(), "parse \"http") {
			t.Errorf("%q: %v", odd, err)
		}
	}
}
