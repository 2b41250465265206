package e2e

import (
	"os/exec"
	"slices"
	"testing"
	"time"
)

// Clients that others wrote sign people in, refresh, revoke and sign out, as
// their documentation has it.
func TestReadyMadeClients(t *testing.T) {
	for _, library := range []string{"openid-client", "oauth4webapi"} {
		for _, c := range []struct{ id, secret, dialect, scope string }{
			{"shop", shopSecret, "ciam", "openid profile email"},
			{"page", "", "ciam", "openid email"},
			{"modern", modernSecret, "oauth", "openid profile email"},
			{"modernpage", "", "oauth", "openid email"},
		} {
			t.Run(library+"/"+c.id, func(t *testing.T) {
				name := library + "-" + c.id
				here.user(t, name)
				here.node(t, library, here.site, "CLIENT_ID="+c.id, "CLIENT_SECRET="+c.secret, "DIALECT="+c.dialect, "SCOPE="+c.scope, "NAME="+name)
			})
		}
	}
}

// The second documented API has an issuer of its own. What it leaves out or
// spells in its own way is what the scripts want to fail.
func TestReadyMadeClientsOfTheOtherAPI(t *testing.T) {
	for _, library := range []string{"openid-client", "oauth4webapi"} {
		t.Run(library, func(t *testing.T) {
			name := library + "-legacy"
			here.user(t, name)
			here.node(t, "idaas-"+library, here.site+"/api/v1/oauth2",
				"CLIENT_ID=legacy", "CLIENT_SECRET="+legacySecret, "DIALECT=idaas", "SCOPE=openid get_user_info", "NAME="+name)
		})
	}
}

// node runs a script of npm/ for somebody with the password of the tests.
func (w *world) node(t *testing.T, script, issuer string, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", script+".mjs")
	cmd.Dir, cmd.WaitDelay = "npm", time.Second
	cmd.Env = append(slices.Concat(w.env, []string{"NODE_EXTRA_CA_CERTS=" + w.rootFile(), "ISSUER=" + issuer, "PASSWORD=" + password}), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
