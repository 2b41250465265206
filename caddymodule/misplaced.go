package caddymodule

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() { httpcaddyfile.RegisterGlobalOption("token_gate", refuseGlobalGate) }

// refuseGlobalGate says where a gate stands: beside the global option token_issuer it
// would be an option that Caddy does not know.
func refuseGlobalGate(d *caddyfile.Dispenser, _ any) (any, error) {
	d.Next()
	return nil, d.Err("token_gate is no global option: it stands in a site, before what it guards")
}

// homes says of words that are taken for those of another block where they stand.
var homes = map[string]string{
	"auth_source": "the global option token_issuer",
	"client":      "the global option token_issuer",
	"store":       "the global option token_issuer",

	"auth_sources":  "a client of token_issuer",
	"grants":        "a client of token_issuer",
	"redirect_uris": "a client of token_issuer",
	"scopes":        "a client of token_issuer",

	"digits":              "an auth_source of token_issuer",
	"identifiers":         "an auth_source of token_issuer",
	"lockout":             "an auth_source of token_issuer",
	"password_min_length": "an auth_source of token_issuer",
	"send":                "an auth_source of token_issuer",

	"audience": "a token_gate, an issuer of one, or a client of token_issuer",
	"scope":    "a token_gate, or with a text the global option token_issuer",

	"answer":     "a token_gate",
	"claim":      "a token_gate",
	"except":     "a token_gate",
	"expression": "a token_gate",
	"forward":    "a token_gate",
	"login":      "a token_gate",
	"optional":   "a token_gate",
	"shadow":     "a token_gate",
	"token_from": "a token_gate",

	"introspection": "an issuer of a token_gate",
	"jwks_file":     "an issuer of a token_gate",
	"jwks_uri":      "an issuer of a token_gate",
	"leeway":        "an issuer of a token_gate",
}

// ofSites are directives that stand behind a gate whose block has lost its brace.
var ofSites = []string{
	"basic_auth", "encode", "file_server", "forward_auth", "handle", "handle_errors", "handle_path", "log", "php_fastcgi", "redir",
	"respond", "reverse_proxy", "rewrite", "root", "route", "templates", "tls", "token_gate", "token_issuer", "uri",
}

// hint says what a word may have been meant for that a block does not know.
func hint(got string, names []string) string {
	if slices.Contains(ofSites, got) {
		return ", a directive of the site: is the } of this block missing before it?"
	}
	isNear := func(name string) bool { return strings.HasPrefix(name, got) || strings.HasPrefix(got, name) }
	if home := homes[got]; home != "" && !slices.ContainsFunc(names, isNear) {
		return ", which stands in " + home
	}
	return didYouMean(got, names)
}
