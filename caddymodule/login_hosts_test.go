package caddymodule

import (
	"strings"
	"testing"
)

// One cookie of a host cannot hold two sign-ins: people would go round between them.
func TestTwoClientsOfOneHostAreWarnedOf(t *testing.T) {
	w := newWorld(t)
	w.write("log", "")
	more := strings.Replace(loginGlobal, "\t\tclient site {", "\t\tclient other {\n\t\t\ttype web\n\t\t\tsecret {env.SHOP_SECRET}\n\t\t\tgrants authorization_code\n\t\t\tredirect_uris https://app.example.com/.gatehouse/callback\n\t\t\tscopes openid\n\t\t}\n\t\tclient site {", 1)
	login := func(matcher, client string) string {
		return "token_gate " + matcher + " {\nlogin {\nclient_id " + client + "\n}\n}\n"
	}
	site := func(address, words string) string { return address + " {\n" + words + "respond ok\n}\n" }
	const a, b, here = "@a host a.example.com\n", "@b host b.example.com\n", "bind 127.0.0.1\n"
	for sites, want := range map[string]bool{
		site("http://app.example.com", login("/a/*", "site")+login("/b/*", "other")):                                                   true,
		site("http://app.example.com", login("/a/*", "site")+login("/b/*", "site")):                                                    false,
		site("http://app.example.com:8080", here+login("", "site")) + site("http://APP.example.com:8081", here+login("", "other")):     true,
		site("http://app.example.com:8080", login("", "site")) + site("http://wiki.example.com:8081", login("", "other")):              false,
		site("http://*.example.com", login("/a/*", "site")+login("/b/*", "other")):                                                     true,
		site("http://*.example.com", a+b+login("@a", "site")+login("@b", "other")):                                                     false,
		site("http://*.example.com", a+b+"handle @a {\n"+login("", "site")+"}\nhandle @b {\n"+login("", "other")+"}\n"):                false,
		site("http://*.example.com", a+"handle @a {\nroute /x/* {\n"+login("", "site")+"}\n"+login("/y/*", "other")+"}\n"):             true,
		site("http://:8080", login("/a/*", "site")+login("/b/*", "other")):                                                             true,
		site("http://a.example.com http://b.example.com", a+login("@a", "site")) + site("http://b.example.com:81", login("", "other")): false,
	} {
		before := w.logged()
		if err := w.validate(more, "http://auth.example.com {\ntoken_issuer\n}\n"+sites); err != nil {
			t.Fatal(err)
		}
		log := strings.TrimPrefix(w.logged(), before)
		if strings.Contains(log, "each takes the other's away") != want {
			t.Errorf("%s: %s", sites, log)
		}
	}
}
