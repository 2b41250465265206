package e2e

import (
	"os/exec"
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
				node := exec.CommandContext(t.Context(), "node", library+".mjs")
				node.Dir, node.WaitDelay = "npm", time.Second
				node.Env = append(here.env, "NODE_EXTRA_CA_CERTS="+here.rootFile(), "ISSUER="+here.site,
					"CLIENT_ID="+c.id, "CLIENT_SECRET="+c.secret, "DIALECT="+c.dialect, "SCOPE="+c.scope, "NAME="+name, "PASSWORD="+password)
				if out, err := node.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			})
		}
	}
}
