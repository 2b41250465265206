// Package tokenissuer is the issuer: an OAuth 2 authorization server as an
// http.Handler. It knows nothing of Caddy.
//
// A token request runs in one direction:
//
//	routes.go     path and method                      -> endpoint
//	token.go      oauth.ReadForm                       -> Form
//	              client.Authenticate                  -> Client
//	              grant (grant/*.go)                   -> Authorization, with the writes that use the proof up
//	mint.go       signs, makes the refresh record      -> tokens, writes
//	              store.Apply                          one transaction; a conflict asks the grant once more
//	answer.go     the dialect's answer, one event      only now does a token leave the process
//
// Errors go the other way: every step returns one, answer.go alone turns it
// into an answer.
//
// A proxied request does not come here. The gate asks Keys and Revoked, both
// in memory.
package tokenissuer
