package main

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
)

type kind int

const (
	proxy kind = iota // stands in front of the upstream
	token             // answers a token endpoint
	both              // stands in front of the upstream while people sign in
)

// target is a server that can be measured. Its command and its environment know
// BIN, SERVERS, KEYS, RUN, PORT, ADMIN, UPSTREAM, FOREIGN_ISSUER, WEBHOOK and BENCH_SECRET.
type target struct {
	name  string
	about string
	kind  kind
	argv  []string
	env   []string
	needs string // a command that has to exist, or our other build

	guards bool // refuses bad tokens
	own    bool // with tokens of its own token endpoint instead of the foreign ones
	anew   bool // is there for tokens that are sent once

	algorithm string                                      // of its tokens
	form      url.Values                                  // one token
	person    url.Values                                  // one sign-in, where form is not a person's
	grant     func(*server, *http.Client) (earner, error) // instead: earns them in another way
	setup     []string                                    // once, while it runs; reads the account's password from stdin
	reload    string                                      // the Caddyfile to load again
}

const (
	foreignIssuer   = "https://foreign.example"
	secret          = "bench-secret-0123456789abcdef"
	account         = "bench"
	accountPassword = "bench-password-0123456789"
)

var clientCredentials = url.Values{"grant_type": {"client_credentials"}, "client_id": {"bench"}, "client_secret": {secret}, "scope": {"api:read"}}

var targets = []target{
	{name: "plain", about: "Caddy v2.11.9 reverse_proxy: the floor for any module", argv: caddy("caddy", "plain"), reload: "plain"},
	{name: "least-gate", about: "Caddy with the least a gate can cost: SHA-256, ristretto, one header", argv: caddy("probe", "least-gate"), guards: true},
	{name: "gatehouse", about: "issuer and gate in one, the tokens its own", argv: caddy("gatehouse", "gatehouse"), env: []string{"ALGORITHM=RS256"}, guards: true, own: true, form: clientCredentials, reload: "gatehouse"},
	{name: "gatehouse-openssl", about: "the same, its tokens verified by OpenSSL", argv: caddy("gatehouse-openssl", "gatehouse"), env: []string{"ALGORITHM=RS256", "CRYPTO=openssl"}, needs: "gatehouse-openssl", guards: true, own: true, form: clientCredentials, reload: "gatehouse"},
	{name: "gatehouse-foreign", about: "the gate alone, tokens of another issuer by jwks_file", argv: caddy("gatehouse", "foreign"), guards: true},
	{name: "foreign-openssl", about: "the same, verified by OpenSSL", argv: caddy("gatehouse-openssl", "foreign-openssl"), needs: "gatehouse-openssl", guards: true, anew: true},
	{name: "foreign-ES256", about: "the same by Go, with shorter tokens: ES256", argv: caddy("gatehouse", "foreign"), algorithm: "ES256", guards: true, anew: true},
	{name: "gatehouse-off", about: "the same program without gate and issuer: what the build and pacing change", argv: caddy("gatehouse", "plain")},
	{name: "haproxy-plain", about: "HAProxy, one thread, no check", argv: haproxy("haproxy-plain"), needs: "haproxy"},
	{name: "haproxy-jwt", about: "HAProxy, one thread, RS256 verified on every request", argv: haproxy("haproxy-jwt"), needs: "haproxy", guards: true},

	{name: "least-RS256", about: "Caddy with the least a token endpoint can cost", kind: token, argv: caddy("probe", "least-issuer"), algorithm: "RS256", form: clientCredentials},
	{name: "least-ES256", about: "the same, ES256", kind: token, argv: caddy("probe", "least-issuer"), algorithm: "ES256", form: clientCredentials},
	{name: "least-EdDSA", about: "the same, Ed25519", kind: token, argv: caddy("probe", "least-issuer"), algorithm: "EdDSA", form: clientCredentials},
	{name: "RS256", about: "gatehouse, client_credentials", kind: token, argv: caddy("gatehouse", "gatehouse"), algorithm: "RS256", form: clientCredentials},
	{name: "openssl-RS256", about: "the same, signed by OpenSSL", kind: token, argv: caddy("gatehouse-openssl", "gatehouse"), env: []string{"CRYPTO=openssl"}, needs: "gatehouse-openssl", algorithm: "RS256", form: clientCredentials},
	{name: "ES256", about: "gatehouse, client_credentials", kind: token, argv: caddy("gatehouse", "gatehouse"), algorithm: "ES256", form: clientCredentials},
	{name: "EdDSA", about: "gatehouse, client_credentials", kind: token, argv: caddy("gatehouse", "gatehouse"), algorithm: "EdDSA", form: clientCredentials},
	refreshing("RS256"),
	refreshing("ES256"),
	refreshing("EdDSA"),
	of("code", "RS256", code),
	of("code", "ES256", code),
	of("otp", "RS256", oneTimeCode),
	of("otp", "ES256", oneTimeCode),
	of("password", "RS256", nil),
	of("password", "ES256", nil),
	among("RS256"),
	among("ES256"),
	inOpenSSL(among("RS256")),
	{name: "oidc-provider-RS256", about: "node-oidc-provider 9.13.3, in memory", kind: token, argv: node, algorithm: "RS256", form: clientCredentials, needs: "node"},
	{name: "oidc-provider-ES256", about: "the same, ES256", kind: token, argv: node, algorithm: "ES256", form: clientCredentials, needs: "node"},
}

var (
	addUser    = []string{"$BIN/gatehouse", "issuer", "user", "add", account, "--password-stdin", "--address", "$ADMIN"}
	byPassword = url.Values{"grant_type": {"password"}, "auth_source_id": {"password"}, "username": {account}, "password": {accountPassword}}
)

// refreshing is a public client: its refresh token rotates, which is a durable write and two signatures.
func refreshing(algorithm string) target {
	return target{
		name: "refresh-" + algorithm, about: "gatehouse, a public client's refresh with rotation: two signatures, one durable write", kind: token,
		argv: caddy("gatehouse", "gatehouse"), algorithm: algorithm, form: with(byPassword, "client_id", "app"), grant: refresh, setup: addUser,
	}
}

// of is a client with a secret that a person's proof earns tokens for: an access token and an ID token.
func of(name, algorithm string, grant func(*server, *http.Client) (earner, error)) target {
	return target{
		name: name + "-" + algorithm, about: abouts[name], kind: token,
		argv: caddy("gatehouse", "people"), algorithm: algorithm, form: with(byPassword, "client_id", "shop", "client_secret", secret), grant: grant, setup: addUser,
	}
}

// among is a gate whose issuer signs people in.
func among(algorithm string) target {
	t := of("signin", algorithm, nil)
	t.kind, t.guards, t.own, t.person, t.form = both, true, true, t.form, clientCredentials
	return t
}

// inOpenSSL is a target of ours whose signatures OpenSSL computes.
func inOpenSSL(t target) target {
	t.name, t.about, t.needs = t.name+"-openssl", t.about+", signed by OpenSSL", "gatehouse-openssl"
	t.argv = append([]string{"$BIN/gatehouse-openssl"}, t.argv[1:]...)
	t.env = append(t.env, "CRYPTO=openssl")
	return t
}

var abouts = map[string]string{
	"code":     "gatehouse, authorization_code with PKCE: GET /oauth2/authorize with a session, and POST /oauth2/token; two signatures",
	"otp":      "gatehouse, a one-time code: POST /otp/send, its webhook, and POST /oauth2/token; two signatures",
	"signin":   "gatehouse, issuer and gate in one, on every core",
	"password": "gatehouse, password: argon2id with 19 MiB and two passes; two signatures",
}

func caddy(program, config string) []string {
	return []string{"$BIN/" + program, "run", "--adapter", "caddyfile", "--config", "$SERVERS/" + config + ".Caddyfile"}
}

func haproxy(config string) []string {
	return []string{"haproxy", "-db", "-f", "$SERVERS/" + config + ".cfg"}
}

var node = []string{"node", "$WORK/oidc-provider/server.mjs"}

// in says whether the target has a row for a mode. Who makes its tokens itself
// would make for an hour what is sent once.
func (t target) in(mode string) bool {
	return !t.own && mode == "distinct" || !t.anew && mode != "distinct"
}

// remembers says that a token which comes again is cheaper.
func (t target) remembers() bool { return t.guards && t.needs != "haproxy" }

// missing says why the target cannot run here.
func (t target) missing() string {
	if t.needs == "gatehouse-openssl" {
		if _, err := os.Stat(filepath.Join(work, "bin", t.needs)); err != nil {
			return "run `make build-openssl`"
		}
		return ""
	}
	if t.needs != "" {
		if _, err := exec.LookPath(t.needs); err != nil {
			return t.needs + " is not installed"
		}
	}
	if t.needs == "node" {
		if _, err := os.Stat(filepath.Join(work, "oidc-provider/node_modules/oidc-provider")); err != nil {
			return "run `npm install` in " + filepath.Join(work, "oidc-provider")
		}
	}
	return ""
}
