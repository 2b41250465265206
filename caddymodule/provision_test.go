package caddymodule

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// What adapting cannot see is refused when the configuration is loaded, with
// the line, and a running configuration goes on.
func TestMistakesInResolvedValuesNameTheirLine(t *testing.T) {
	w := newWorld(t)
	t.Setenv("EMPTY", "")
	t.Setenv("HTTP_ISSUER", "http://auth.example.com")
	t.Setenv("WRONG", "wrong")
	t.Setenv("ENDLESS", "999999d")
	t.Setenv("LONG", "30d")
	t.Setenv("TYPED", strings.Repeat("a", 32))
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	w.write("weak.json", fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"k","alg":"RS256","e":"AQAB","n":%q}]}`, base64.RawURLEncoding.EncodeToString(weak.N.Bytes())))
	w.write("hmac.json", `{"keys":[{"kty":"oct","kid":"k","alg":"HS256","k":"c2VjcmV0"}]}`)
	w.write("torn.json", `{"keys":[`)

	foreign := func(file string) string {
		return "issuer https://login.partner.example {\n\t\t\taudience https://api.example.com\n\t\t\tjwks_file " + file + "\n\t\t}"
	}
	for name, c := range map[string]struct {
		old, new string // in the global option
		gate     string
		want     []string
	}{
		"unset variable":       {"{env.SHOP_SECRET}", "{env.NOT_SET_HERE}", "", []string{"client shop: secret: ", "{env.NOT_SET_HERE}", "at Caddyfile:19"}},
		"empty variable":       {"{env.SHOP_SECRET}", "{env.EMPTY}", "", []string{"{env.EMPTY} is empty", "at Caddyfile:19"}},
		"file that is not":     {"{env.SHOP_SECRET}", "{file.$DIR/none}", "", []string{"none} cannot be read: ", "no such file", "at Caddyfile:19"}},
		"unknown placeholder":  {"{env.SHOP_SECRET}", "{vault.shop}", "", []string{"{vault.shop}", "at Caddyfile:19"}},
		"http issuer":          {"https://auth.example.com", "{env.HTTP_ISSUER}", "", []string{"must be https", "at Caddyfile:14"}},
		"unknown type":         {"type web", "type {env.WRONG}", "", []string{"client shop: type", `"wrong"`, "at Caddyfile:18"}},
		"unknown grant":        {"grants password client_credentials", "grants {env.WRONG}", "", []string{"client shop: grants", `"wrong"`, "at Caddyfile:20"}},
		"duration":             {"signing_algorithm ES256", "access_token_lifetime {env.WRONG}", "", []string{"access_token_lifetime", `"wrong"`, "at Caddyfile:16"}},
		"no duration at all":   {"signing_algorithm ES256", "access_token_lifetime {env.OFF}", "", []string{"access_token_lifetime", `"off"`, "at Caddyfile:16"}},
		"number":               {"signing_algorithm ES256", "limits {\n\t\t\ttokens_per_address {env.WRONG} 1m\n\t\t}", "", []string{"limits tokens_per_address", `"wrong"`, "at Caddyfile:17"}},
		"empty encryption key": {"signing_algorithm ES256", "key_encryption_key {env.EMPTY}", "", []string{"key_encryption_key", "at Caddyfile:16"}},
		"short encryption key": {"signing_algorithm ES256", "key_encryption_key {env.WRONG}", "", []string{"key_encryption_key: shorter than 16", "at Caddyfile:16"}},
		"second client":        {"client phone", "client {env.SHOP}", "", []string{"client shop: client: this id is used twice", "at Caddyfile:23"}},
		"store":                {"sqlite $DIR/store/issuer.db", "sqlite {env.EMPTY}", "", []string{"store: ", "at Caddyfile:15"}},
		"issuer in capitals":   {"https://auth.example.com", "{env.CAPITALS}", "", []string{"must be in lower case: https://auth.example.com", "at Caddyfile:14"}},
		"store in memory":      {"sqlite $DIR/store/issuer.db", "sqlite :memory:", "", []string{"store: expected the path of a file", "at Caddyfile:15"}},
		"store at an address":  {"sqlite $DIR/store/issuer.db", "sqlite file:x?mode=ro", "", []string{"store: expected the path of a file", "at Caddyfile:15"}},
		"store at home":        {"sqlite $DIR/store/issuer.db", "sqlite ~/issuer.db", "", []string{"store: expected the path of a file", "at Caddyfile:15"}},
		"gate scope":           {"", "", "scope {env.WRONG}", []string{"token_gate: scope wrong: no client has this scope", "at Caddyfile:34"}},
		"gate audience":        {"", "", "audience {env.WRONG}", []string{"token_gate: audience wrong: no client has this id", "at Caddyfile:34"}},
		"gate claim":           {"", "", "claim {env.WRONG} x", []string{"token_gate: claim wrong: no access token can carry it", "at Caddyfile:34"}},
		"gate claim value":     {"", "", "claim sub {env.EMPTY}", []string{"token_gate: claim: ", "{env.EMPTY} is empty", "at Caddyfile:34"}},
		"gate expression":      {"", "", "expression claims.sub == {env.EMPTY}", []string{"token_gate: expression: ", "{env.EMPTY} is empty", "at Caddyfile:34"}},
		"gate header":          {"", "", "header X-User {env.EMPTY}", []string{"token_gate: header: ", "{env.EMPTY} is empty", "at Caddyfile:34"}},
		"gate header template": {"", "", "header X-User {claims.sub}", []string{"{claims.sub}", "at Caddyfile:34"}},
		"gate Host header":     {"", "", "header Host {claim.sub}", []string{"Host cannot be an identity header", "at Caddyfile:34"}},
		"endless duration":     {"signing_algorithm ES256", "access_token_lifetime {env.ENDLESS}", "", []string{"access_token_lifetime", "too long", "at Caddyfile:16"}},
		"long duration":        {"signing_algorithm ES256", "access_token_lifetime {env.LONG}", "", []string{"access_token_lifetime: 720h0m0s is too long: at most 24h0m0s", "at Caddyfile:16"}},
		"typed encryption key": {"signing_algorithm ES256", "key_encryption_key {env.TYPED}", "", []string{"key_encryption_key: the same few characters", "at Caddyfile:16"}},
		"empty portal name":    {"signing_algorithm ES256", "portal {\n\t\t\tname {env.EMPTY}\n\t\t}", "", []string{"portal name: ", "is empty", "at Caddyfile:17"}},
		"portal colour":        {"signing_algorithm ES256", "portal {\n\t\t\tname Shop\n\t\t\tcolor {env.WRONG}\n\t\t}", "", []string{"portal color: expected a colour of the form", `"wrong"`, "at Caddyfile:18"}},
		"no logo":              {"signing_algorithm ES256", "portal {\n\t\t\tlogo $DIR/none.svg\n\t\t}", "", []string{"portal logo: ", "none.svg: no such file", "at Caddyfile:17"}},
		"logo of no image":     {"signing_algorithm ES256", "portal {\n\t\t\tlogo /etc/hostname\n\t\t}", "", []string{"portal logo: ", "is not an svg, png", "at Caddyfile:17"}},
		"empty scope text":     {"signing_algorithm ES256", "scope orders:read {env.EMPTY}", "", []string{"scope: ", "is empty", "at Caddyfile:16"}},
		"gate second scope":    {"", "", "scope orders:read\n\t\tscope {env.WRONG}", []string{"scope wrong", "at Caddyfile:35"}},
		"gate second except":   {"", "", "except /a\n\t\texcept {env.WRONG}", []string{"except wrong: a path begins with /", "at Caddyfile:35"}},
		"gate open wide":       {"", "", "except /*", []string{"except /* would let everything through", "at Caddyfile:34"}},
		"key in a folder":      {"signing_algorithm ES256", "key_encryption_key {file.$DIR}", "", []string{"key_encryption_key: {file.", "cannot be read: ", "is a directory", "at Caddyfile:16"}},
		"header of a request":  {"", "", "header X-User {http.auth.user.id}", []string{"token_gate: header: there is no request yet", "write {claim.sub}", "at Caddyfile:34"}},
		"endless leeway":       {"", "", strings.Replace(foreign("/none"), "\n\t\t}", "\n\t\t\tleeway {env.LONG}\n\t\t}", 1), []string{"leeway: at most 10m", "at Caddyfile:37"}},
		"no key file":          {"", "", foreign("$DIR/none.json"), []string{"issuer https://login.partner.example: jwks_file", "no such file", "at Caddyfile:36"}},
		"torn key file":        {"", "", foreign("$DIR/torn.json"), []string{"jwks_file", "torn.json", "at Caddyfile:36"}},
		"weak RSA key":         {"", "", foreign("$DIR/weak.json"), []string{"jwks_file", "no key of the JWK set can verify", "at Caddyfile:36"}},
		"symmetric key":        {"", "", foreign("$DIR/hmac.json"), []string{"jwks_file", "no key of the JWK set can verify", "at Caddyfile:36"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SHOP", "shop")
			t.Setenv("CAPITALS", "https://Auth.example.com")
			t.Setenv("OFF", "off")
			global := oneIssuer
			if c.old != "" {
				if global = strings.Replace(global, c.old, c.new, 1); global == oneIssuer {
					t.Fatalf("%q is not in the configuration", c.old)
				}
			}
			site := strings.Replace(oneSite, "token_gate", "token_gate {\n\t\t"+c.gate+"\n\t}", 1)
			err := w.validate(global, site)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

// JSON comes without lines, and from hands that no parser has checked.
func TestMistakesInJSONAreRefused(t *testing.T) {
	t.Parallel()
	const client = `{"id":"shop","type":"m2m","secrets":[{"value":"0123456789abcdef"}],"grants":["client_credentials"],"scopes":["read"]}`
	const partnerGate = `{"http":{"servers":{"s":{"listen":["unix//dev/null/x"],"routes":[{"handle":[{"handler":"token_gate","embedded":"off","issuer":[{"issuer":"https://partner.example","audience":["site"]}]`
	for config, want := range map[string]string{
		`{"token_issuer":{"clients":[` + client + `]}}`:                                                                               "issuer",
		`{"token_issuer":{"issuer":"https://a.example","crypto":"boringssl"}}`:                                                        `crypto: "boringssl" is not go or openssl`,
		`{"token_issuer":{"signing_algorithm":"ES256"}}`:                                                                              "issuer",
		`{"token_issuer":{"issuer":"https://a.example","acces_token_lifetime":"5m"}}`:                                                 "acces_token_lifetime",
		`{"token_issuer":{"issuer":"https://a.example","store":{"type":"mysql","path":"x"}}}`:                                         "store: expected sqlite",
		`{"token_issuer":{"issuer":"https://a.example","clients":[{"id":"shop","type":"m2m","secrets":[{}]}]}}`:                       "secret",
		`{"token_issuer":{"issuer":"https://a.example","limits":{"tokens_per_address":{"count":1.5}}}}`:                               "whole number",
		`{"token_issuer":{"issuer":"https://a.example","limits":{"tokens_per_address":{"count":-5,"within":"1m"}}}}`:                  "tokens_per_address",
		`{"http":{"servers":{"s":{"listen":["unix//dev/null/x"],"routes":[{"handle":[{"handler":"token_issuer"}]}]}}}}`:               "there is no issuer",
		`{"http":{"servers":{"s":{"listen":["unix//dev/null/x"],"routes":[{"handle":[{"handler":"token_gate"}]}]}}}}`:                 "there is no issuer",
		`{"http":{"servers":{"s":{"listen":["unix//dev/null/x"],"routes":[{"handle":[{"handler":"token_gate","scop":["x"]}]}]}}}}`:    "scop",
		`{"http":{"servers":{"s":{"listen":["unix//dev/null/x"],"routes":[{"handle":[{"handler":"token_gate","embedded":"no"}]}]}}}}`: "on or off",
		partnerGate + `,"login":{"client_id":"site"},"answer":"headers"}]}]}}}}`:                                                      "answer headers: the proxy that asks would keep the cookie",
		partnerGate + `,"token_from":["cookie"],"answer":"request"}]}]}}}}`:                                                           "answer request: the proxy that asks would keep the cookie",
		partnerGate + `,"forward_audience":"orders"}]}]}}}}`:                                                                          "forward drop: only a signed token has an audience of its own: leave orders out",
	} {
		var c caddy.Config
		if err := caddy.StrictUnmarshalJSON([]byte(`{"admin":{"disabled":true},"apps":`+config+`}`), &c); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n  got %v\n  want %q in it", config, err, want)
		}
	}
}
