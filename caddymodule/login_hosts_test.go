package caddymodule

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// One cookie of a host cannot hold two sign-ins: people would go round between them.
func TestTwoClientsOfOneHostAreWarnedOf(t *testing.T) {
	w := newWorld(t)
	w.write("log", "")
	more := strings.Replace(loginGlobal, "\t\tclient site {", "\t\tclient other {\n\t\t\ttype web\n\t\t\tsecret {env.SHOP_SECRET}\n\t\t\tgrants authorization_code\n\t\t\tredirect_uris https://app.example.com/.gatehouse/callback\n\t\t\tscopes openid\n\t\t}\n\t\tclient site {", 1)
	gates := "\ntoken_gate /a/* {\nlogin {\nclient_id site\n}\n}\ntoken_gate /b/* {\nlogin {\nclient_id CLIENT\n}\n}\nrespond ok\n}"
	for sites, want := range map[string]bool{
		"http://app.example.com {" + strings.Replace(gates, "CLIENT", "other", 1): true,
		"http://app.example.com {" + strings.Replace(gates, "CLIENT", "site", 1):  false,
	} {
		before := w.logged()
		var config caddy.Config
		if err := caddy.StrictUnmarshalJSON(w.caddyfile(more, "http://auth.example.com {\ntoken_issuer\n}\n"+sites), &config); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&config); err != nil {
			t.Fatal(err)
		}
		log := strings.TrimPrefix(w.logged(), before)
		if strings.Contains(log, "each takes the other's away") != want {
			t.Errorf("%s: %s", sites, log)
		}
	}
}
