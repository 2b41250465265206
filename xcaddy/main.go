// Command gatehouse is Caddy with the token issuer and the token gate.
//
// It is the program that xcaddy generates plus one import: pacing, which is
// process-wide and therefore stands here instead of in the module.
package main

import (
	"fmt"
	"os"
	// Every zone of expiry dates works without the host's zone files, as in
	// Caddy's own command: the container image has none.
	_ "time/tzdata"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/gatehouse-auth/gatehouse/caddymodule"
	_ "github.com/gatehouse-auth/gatehouse/xcaddy/pacing"
)

func main() {
	caddy.CustomBinaryName = "gatehouse" // what usage lines say
	caddycmd.Main()                      // returns from a command that went well
	if err := caddymodule.Objection(); err != nil {
		fmt.Fprintln(os.Stderr, "Error: not valid after all: "+err.Error())
		os.Exit(1)
	}
}
