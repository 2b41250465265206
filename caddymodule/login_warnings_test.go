package caddymodule

import (
	"strings"
	"testing"
)

// What a sign-in cannot do, although it might be meant so, is told before the start.
func TestLoginThatCannotOpenItsGateIsWarnedOf(t *testing.T) {
	w := newWorld(t)
	w.write("log", "")
	for name, c := range map[string]struct{ client, gate, want, at string }{
		"all is well":          {"claims role", "expression `claims.role == \"admin\"`", "", ""},
		"a claim of no token":  {"", "expression `claims.role == \"admin\"`", "the expression asks for what the access tokens of client site do not say: role; add it", "40"},
		"a client that is off": {"disabled", "", "token_gate: login: client site is disabled: nobody can sign in to it", "38"},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.logged()
			global := `
	token_issuer {
		issuer https://app.example.com
		operator_attribute role
		store sqlite $DIR/store/issuer.db
		client site {
			type web
			secret {env.SHOP_SECRET}
			grants authorization_code refresh_token
			redirect_uris https://app.example.com/.gatehouse/callback
			scopes openid
			` + c.client + `
		}
		client desk {
			type web
			secret {env.SHOP_SECRET}
			grants password
			scopes openid
			claims role
		}
	}`
			site := "https://app.example.com {\n token_issuer\n token_gate {\n login {\n client_id site\n }\n " + c.gate + "\n }\n respond ok\n}"
			if err := w.validate(global, site); err != nil {
				t.Fatal(err)
			}
			log := strings.TrimPrefix(w.logged(), before)
			if told := strings.Contains(log, "token_gate: login: "); told != (c.want != "") || !strings.Contains(log, c.want) || told && !strings.Contains(log, `"at":"Caddyfile:`+c.at+`"`) {
				t.Errorf("%s", log)
			}
		})
	}
}

// Where a named route is invoked from nobody can tell, so nothing is said of its host.
func TestCookieThatNobodySetsIsWarnedOf(t *testing.T) {
	w := newWorld(t)
	w.write("log", "")
	const signIn, reads = "token_gate {\nlogin\n}\n", "token_gate {\ntoken_from header cookie\n}\n"
	site := func(address, words string) string { return address + " {\n" + words + "respond ok\n}\n" }
	for sites, want := range map[string]bool{
		site("&(backend)", signIn) + site("http://app.example.com", "invoke backend\n"):                                       false,
		site("&(backend)", reads) + site("http://app.example.com", signIn+"invoke backend\n"):                                 false,
		site("&(backend)", signIn) + site("http://app.example.com", "invoke backend\n") + site("http://b.example.com", reads): false,
		site("http://app.example.com", signIn) + site("http://b.example.com", reads):                                          true,
		site("http://app.example.com", signIn+"route /x {\n"+reads+"}\n"):                                                     false,
	} {
		before := w.logged()
		if err := w.validate(loginGlobal, "http://auth.example.com {\ntoken_issuer\n}\n"+sites); err != nil {
			t.Fatal(err)
		}
		if log := strings.TrimPrefix(w.logged(), before); strings.Contains(log, "token_from cookie is without effect") != want {
			t.Errorf("%s: %s", sites, log)
		}
	}
}
