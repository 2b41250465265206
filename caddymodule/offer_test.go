package caddymodule

import (
	"strings"
	"testing"
)

// What an expression asks for may be said by tokens of one client alone, and the
// gate's other lines leave only those of another.
func TestExpressionThatNoTokenCanMeetIsWarnedOf(t *testing.T) {
	w := newWorld(t)
	w.write("log", "")
	for name, c := range map[string]struct{ gate, want string }{
		"a machine never signs in":          {"audience svc\n expression `claims.auth_time > 5`", "auth_time"},
		"nor has it attributes":             {"audience svc\n expression `claims.role == \"a\" || claims.sub == \"x\"`", "role"},
		"people say when":                   {"expression `claims.auth_time > 5`", ""},
		"one says when, the other the rest": {"audience site\n expression `claims.auth_time > 5 && claims.role == \"a\"`", "role"},
		"what all tokens say":               {"audience svc\n expression `claims.sub == \"robot\"`", ""},
		"no claim":                          {"audience svc\n expression `request.method == \"GET\"`", ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.logged()
			global := `
	token_issuer {
		issuer https://app.example.com
		operator_attribute role
		store sqlite $DIR/store/issuer.db
		client robot {
			type m2m
			secret {env.SHOP_SECRET}
			grants client_credentials
			audience svc
			access_token at+jwt
		}
		client site {
			type web
			secret {env.SHOP_SECRET}
			grants password
			scopes openid
			access_token at+jwt
		}
		client desk {
			type web
			secret {env.SHOP_SECRET}
			grants password
			scopes openid
			access_token at+jwt
			claims role
		}
	}`
			site := "https://app.example.com {\n token_issuer\n token_gate {\n " + c.gate + "\n }\n respond ok\n}"
			if err := w.validate(global, site); err != nil {
				t.Fatal(err)
			}
			log := strings.TrimPrefix(w.logged(), before)
			told := strings.Contains(log, "token_gate: expression: it asks for what no token says that the gate's other lines let through: "+c.want+"; tokens of")
			if told != (c.want != "") || strings.Contains(log, "token_gate: expression") != told || told && !strings.Contains(log, `"at":"Caddyfile:4`) {
				t.Errorf("%s", log)
			}
		})
	}
}
