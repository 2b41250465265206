// Package caddymodule makes the issuer and the gate modules of Caddy.
//
//	token_issuer                the app: global option `token_issuer { … }`
//	http.handlers.token_issuer  the issuer's endpoints: directive `token_issuer`
//	http.handlers.token_gate    the gate: directive `token_gate { … }`
//	admin.api.token_issuer      /token_issuer/… on Caddy's admin endpoint
//	gatehouse issuer …          the commands that talk to it
//
// The life of a configuration: adapting checks what is written literally,
// Provision resolves placeholders and checks the rest and opens nothing, Start
// opens the shared state or joins the one that is open, Stop and Cleanup give it
// back. Caddy runs those two while requests of the old configuration are under
// way, so a request leases the state and the last lease closes it.
//
// The package translates and decides nothing: what is right is said by
// tokenissuer.Config and by package gate.
package caddymodule
