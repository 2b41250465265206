package main

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// attack is a token that nobody may get in with.
type attack struct{ name, raw string }

// besieged is an instance in front of a backend that counts what reaches it: one
// gate for our own tokens, and under /foreign/ one for a partner's.
type besieged struct {
	*instance
	own, partner forger
	matched      string // host:port of a site whose gate has a matcher, on plain http
	seen         atomic.Int64
	every        sync.Map // what the backend saw, by number: *echo
}

func newBesieged(t *testing.T, path string, env ...string) *besieged {
	t.Helper()
	b := &besieged{instance: newInstance(t), partner: newPartner(t)}
	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	b.env = append(b.env, env...)
	b.path, b.matched = path, "127.0.0.1:"+ports[0]
	b.partner.publish(b.instance, "partner.json")
	b.configure(threeClients, `{$SITE} {
	token_issuer
	handle /foreign/* {
		token_gate {
			embedded off
			issuer https://partner.example {
				audience https://api.example.com
				jwks_file partner.json
			}
		}
		reverse_proxy {$BACKEND}
	}
	handle {
		token_gate {
			audience shop robot phone
			except /public/*
		}
		reverse_proxy {$BACKEND}
	}
}
http://`+b.matched+` {
	token_gate /admin/*
	reverse_proxy {$BACKEND}
}
`)
	b.start()
	b.own = b.thief()
	b.serve(func(rw http.ResponseWriter, r *http.Request) {
		saw := &echo{r.RequestURI, r.Header}
		b.every.Store(b.seen.Add(1), saw)
		_ = json.NewEncoder(rw).Encode(saw)
	})
	return b
}

// refuses sends an attack and wants 401 with error="invalid_token", at once, and
// nothing at the backend.
func (b *besieged) refuses(path string, a attack) {
	b.Helper()
	before, began := b.seen.Load(), time.Now()
	answer, err := b.ask(http.MethodGet, path, "", bearer(a.raw))
	if err != nil || answer.status != http.StatusUnauthorized || !strings.Contains(answer.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		b.Errorf("%s: %d %s %v", a.name, answer.status, answer.header.Get("WWW-Authenticate"), err)
	}
	if took := time.Since(began); took > patience/2 {
		b.Errorf("%s: refused after %v", a.name, took)
	}
	if b.seen.Load() != before {
		b.Errorf("%s: the backend saw it", a.name)
	}
}

func (b *besieged) refusesAll(path string, attacks []attack) {
	b.Helper()
	if len(attacks) == 0 {
		b.Fatal("no attacks")
	}
	for _, a := range attacks {
		b.refuses(path, a)
	}
}

// passes wants that a token opens the gate, so that refusing means something.
func (b *besieged) passes(path, name, raw string) {
	b.Helper()
	before := b.seen.Load()
	if a := b.must(http.MethodGet, path, "", bearer(raw)); a.status != http.StatusOK || b.seen.Load() != before+1 {
		b.Errorf("%s: %d %s %s", name, a.status, a.header.Get("WWW-Authenticate"), a.body)
	}
}

// A01-A35: every change of a token that the instance's own key has signed.
func TestForgedTokensOfOurOwnAreRefused(t *testing.T) {
	b := newBesieged(t, "gatehouse")
	f := b.own
	b.passes("/", "the token that the attacks are made from", f.good())
	b.refusesAll("/", f.algorithms(t))
	b.refusesAll("/", f.headers())
	b.refusesAll("/", f.payloads())
	b.refusesAll("/", f.shapes())
	b.refusesAll("/", f.signatures())
	b.refusesAll("/", f.typed("typ"))
	b.refusesAll("/", []attack{
		{"A14 exp a second ago", f.token(nil, map[string]any{"exp": time.Now().Unix() - 1})}, // A18: leeway 0
		{"A18 nbf in a moment", f.token(nil, map[string]any{"nbf": time.Now().Unix() + 20})},
		{"A18 iat in a moment", f.token(nil, map[string]any{"iat": time.Now().Unix() + 20})},
		{"of no typ", f.token(map[string]any{"typ": nil}, nil)},
		{"A05 no kid", f.token(map[string]any{"kid": nil}, nil)},
		{"A05 an empty kid", f.token(map[string]any{"kid": ""}, nil)},
		{"A22 an ID token's claims", f.token(nil, map[string]any{"scope": nil, "azp": "shop", "nonce": "n"})},
	})
	b.addAlice()
	b.refuses("/", attack{"A22 the ID token of a sign-in", b.earn(byPassword("phone")).ID})
	b.passes("/", "A21 one audience of several", f.token(nil, map[string]any{"aud": []string{"other", "shop"}, "client_id": "shop"}))
	b.passes("/", "at+jwt", f.token(map[string]any{"typ": "at+jwt"}, nil))
	b.passes("/", "and the token of the beginning", f.good())
	if _, err := os.Stat(b.file("pwned")); err == nil {
		t.Error("A05: a kid was run as a command")
	}
	if log, err := os.ReadFile(b.file("log")); err != nil || strings.Contains(strings.ToLower(string(log)), "sql") {
		t.Errorf("A05: the log speaks of SQL, %v", err)
	}
}

// The same of a partner, whose clock may be off by 30 seconds.
func TestForgedTokensOfAPartnerAreRefused(t *testing.T) {
	b := newBesieged(t, "gatehouse")
	f, now := b.partner, time.Now().Unix
	at := map[string]any{"typ": "at+jwt"}
	b.passes("/foreign/", "the token that the attacks are made from", f.good())
	b.refusesAll("/foreign/", f.algorithms(t))
	b.refusesAll("/foreign/", f.headers())
	b.refusesAll("/foreign/", f.payloads())
	b.refusesAll("/foreign/", f.shapes())
	b.refusesAll("/foreign/", f.curves())
	b.refusesAll("/foreign/", f.typed("typ"))
	b.refusesAll("/foreign/", []attack{
		{"A18 exp 40 s ago", f.token(nil, map[string]any{"exp": now() - 40})},
		{"A18 nbf in a minute", f.token(nil, map[string]any{"nbf": now() + 60})},
		{"A18 iat in an hour", f.token(nil, map[string]any{"iat": now() + 3600})},
		{"A22 an ID token", f.token(nil, map[string]any{"scope": nil, "azp": "app", "nonce": "n"})},
		{"A22 an ID token with at_hash", f.token(nil, map[string]any{"at_hash": "x"})},
		{"one of ours", b.own.good()},
	})
	b.refuses("/", attack{"the partner's at our own gate", f.good()})
	b.passes("/foreign/", "RFC 9068", f.token(at, map[string]any{"client_id": "app", "scope": "orders:read orders:write"}))
	b.passes("/foreign/", "A18 exp 20 s ago", f.token(at, map[string]any{"exp": now() - 20}))
	b.passes("/foreign/", "A18 nbf in 20 s", f.token(at, map[string]any{"nbf": now() + 20}))
	b.passes("/foreign/", "no typ", f.token(map[string]any{"typ": nil}, nil))
}

// A01, A02, A03
func (f forger) algorithms(t *testing.T) (all []attack) {
	t.Helper()
	good := f.good()
	_, payload, signature := cutToken(good)
	for _, alg := range []any{"none", "None", "NONE", "nOnE", "", nil, 0, []string{"none"}, null} {
		head := encode(text(f.header(map[string]any{"alg": alg})))
		name := fmt.Sprintf("A01 alg %v", alg)
		all = append(all, attack{name, head + "." + payload + "."}, attack{name + " with the good signature", head + "." + payload + "." + signature},
			attack{name + " signed", f.token(map[string]any{"alg": alg}, nil)})
	}
	der, err := x509.MarshalPKIXPublicKey(f.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	key := text(f.jwk(t))
	for name, secret := range map[string][]byte{
		"PEM": block, "PEM without newline": bytes.TrimSpace(block), "DER": der, "JWK": key, "JWKS": []byte(`{"keys":[` + string(key) + `]}`), "nothing": {},
	} {
		input := encode(text(f.header(map[string]any{"alg": "HS256"}))) + "." + payload
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		all = append(all, attack{"A02 HMAC with the " + name, input + "." + encode(mac.Sum(nil))})
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA", "ES256K", "HS256", "rs256"} {
		if alg != f.alg {
			all = append(all, attack{"A03 header says " + alg, f.token(map[string]any{"alg": alg}, nil)})
		}
	}
	if private, ok := f.key.(*rsa.PrivateKey); ok {
		input := encode(text(f.header(map[string]any{"alg": "PS256"}))) + "." + payload
		sum := sha256.Sum256([]byte(input))
		pss, err := rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: 32})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, attack{"A03 PS256, rightly signed by an RS256 key", input + "." + encode(pss)})
	}
	return all
}

// A05 - A13: what a header asks the verifier to do.
func (f forger) headers() (all []attack) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	stranger := f
	stranger.key, stranger.alg = key, "ES256"
	point, _ := key.PublicKey.Bytes()
	jwk := map[string]any{"kty": "EC", "crv": "P-256", "kid": f.kid, "x": encode(point[1:33]), "y": encode(point[33:])}
	for name, with := range map[string]map[string]any{
		"A05 kid is a path": {"kid": "../../../../dev/null"}, "A05 kid is SQL": {"kid": "x' UNION SELECT 'k'--"}, "A05 kid is a command": {"kid": "k|touch pwned"},
		"A05 kid is a number": {"kid": 1},
		"A10 crit unknown":    {"crit": []string{"x-unknown"}}, "A10 crit exp": {"crit": []string{"exp"}}, "A10 crit text": {"crit": "exp"}, "A10 crit null": {"crit": []any{nil}},
		"A10 crit empty": {"crit": []string{}}, "b64 false": {"b64": false, "crit": []string{"b64"}}, "typ a number": {"typ": 1},
	} {
		all = append(all, attack{name, f.token(with, nil)})
	}
	for name, with := range map[string]map[string]any{
		"signed by a stranger": nil, "A07 jwk": {"jwk": jwk}, "A07 jwk and its kid": {"jwk": jwk, "kid": "mine"},
		"A09 x5c": {"x5c": []string{"MIIB"}},
	} {
		all = append(all, attack{name, stranger.token(with, nil)})
	}
	good := string(text(f.header(nil)))
	for name, header := range map[string]string{
		"A12 alg twice, none first": `{"alg":"none",` + good[1:], "A12 alg twice, none last": strings.TrimSuffix(good, "}") + `,"alg":"none"}`,
		"A13 array": "[" + good + "]", "A13 string": `"` + f.alg + `"`, "A13 null": "null", "A13 trailing object": good + "{}", "A13 byte order mark": "\ufeff" + good,
		"A13 comment": "/**/" + good, "A13 single quotes": strings.ReplaceAll(good, `"`, "'"), "A13 nothing": "",
	} {
		all = append(all, attack{name, f.sealed(header, string(text(f.claims(nil))))})
	}
	return all
}

// A23, RFC 8725 §3.11: a token of another kind, with all the right claims.
func (f forger) typed(name string) (all []attack) {
	for _, typ := range []string{
		"dpop+jwt", "logout+jwt", "secevent+jwt", "oauth-authz-req+jwt", "token-introspection+jwt", "client-authentication+jwt",
		"id+jwt", "JWE", "JOSE", "JOSE+JSON", "application/jwt", "at+jwt ", " at+jwt", "at+jwt;x", "text/at+jwt",
	} {
		all = append(all, attack{"A23 " + name + " " + typ, f.token(map[string]any{name: typ}, nil)})
	}
	return append(all, attack{"a token around a token", f.sealed(string(text(f.header(map[string]any{"cty": "JWT"}))), f.good())})
}

// A14 - A28: what the payload says.
func (f forger) payloads() (all []attack) {
	now := time.Now().Unix()
	number := func(s string) json.RawMessage { return json.RawMessage(s) }
	for claim, values := range map[string][]any{
		"A14 exp": {nil, now - 600, 0, -1}, "A15 exp": {fmt.Sprint(now + 300), "2030-01-01T00:00:00Z", true, null, []int64{now + 300}, map[string]int{"a": 1}, number("1e400")},
		"A18 nbf": {now + 3600, "1", null}, "A18 iat": {now + 3600, "1", null},
		"A19 iss": {"https://other.example", f.issuer + ".evil", f.issuer + "/", strings.ToUpper(f.issuer), []string{f.issuer}, " " + f.issuer, "", nil},
		"A20 aud": {
			nil, "other", f.audience[:3], f.audience + "x", strings.ToUpper(f.audience),
			[]string{},
			[]any{nil},
			[]any{[]string{f.audience}},
			map[string]string{f.audience: f.audience},
			1, f.audience + ",other", "other " + f.audience,
		},
		"no sub": {nil, "", 1}, "L03 scope": {null, 1, map[string]string{}, []any{nil}},
	} {
		_, name, _ := strings.Cut(claim, " ")
		for _, v := range values {
			all = append(all, attack{fmt.Sprintf("%s: %v", claim, v), f.token(nil, map[string]any{name: v})})
		}
	}
	good := string(text(f.claims(nil)))
	for name, payload := range map[string]string{
		"array": "[" + good + "]", "string": `"a"`, "null": "null", "number": "1", "nothing": "", "a space": " ", "byte order mark": "\ufeff" + good,
		"trailing object": good + "{}", "sub twice": `{"sub":"admin",` + good[1:], "broken UTF-8": "{\"x\":\"\xff\"," + good[1:],
	} {
		all = append(all, attack{"A28 payload " + name, f.sealed(string(text(f.header(nil))), payload)})
	}
	return all
}

// A33 - A35, A40: what is no compact JWS.
func (f forger) shapes() []attack {
	good := f.good()
	h, p, s := cutToken(good)
	jwe := func(header map[string]any, parts ...string) string {
		return encode(text(header)) + "." + strings.Join(parts, ".")
	}
	pbes := map[string]any{"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2147483647, "p2s": "c2FsdA"}
	var bomb bytes.Buffer
	w, _ := flate.NewWriter(&bomb, flate.BestCompression)
	_, _ = w.Write(make([]byte, 4<<20))
	_ = w.Close()
	return []attack{
		{"A33 flattened JSON", `{"protected":"` + h + `","payload":"` + p + `","signature":"` + s + `"}`},
		{"A33 general JSON", `{"payload":"` + p + `","signatures":[{"protected":"` + h + `","signature":"` + s + `"}]}`},
		{"A33 four segments", good + "." + s},
		{"A33 five segments", good + "." + s + "." + s},
		{"A33 trailing dot", good + "."},
		{"A33 inner space", h + ". " + p + "." + s},
		{"A33 space in a part", h + "." + p[:8] + " " + p[8:] + "." + s},
		{"padding", good + "=="},
		{"A34 PBES2", jwe(pbes, "AA", "AAAAAAAAAAAAAAAA", "AA", "AAAAAAAAAAAAAAAAAAAAAA")},
		{"A34 compressed", jwe(map[string]any{"alg": "dir", "enc": "A128GCM", "zip": "DEF"}, "", "AAAAAAAAAAAAAAAA", encode(bomb.Bytes()), "AAAAAAAAAAAAAAAAAAAAAA")},
		{"A34 8,192 dots", strings.Repeat(".", 8192)},
		{"A34 8,193 A", strings.Repeat("A", 8193)},
		{"A35 a JWE of nothing", jwe(pbes, "", "", "", "")},
		{"A35 an empty key", jwe(map[string]any{"alg": "RSA-OAEP", "enc": "A128GCM"}, "", "AA", "AA", "AA")},
		{"A35 enc unknown", jwe(map[string]any{"alg": "RSA-OAEP", "enc": "none"}, "AA", "AA", "AA", "AA")},
		{"A40 truncated", good[:len(good)-1]},
		{"A40 opaque", strings.Repeat("a", 128)},
		{"A40 opaque, as ours", "8ab9812c-1076-47f0-9e4a-6d48280ec524"},
	}
}

// A30
func (f forger) signatures() []attack {
	h, p, s := cutToken(f.good())
	_, _, other := cutToken(f.good())
	raw := f.sign(h + "." + p)
	flipped := bytes.Clone(raw)
	flipped[len(flipped)/2] ^= 1
	return []attack{
		{"A30 a bit", h + "." + p + "." + encode(flipped)},
		{"A30 truncated", h + "." + p + "." + encode(raw[:len(raw)-1])},
		{"A30 extended", h + "." + p + "." + encode(append(bytes.Clone(raw), 0))},
		{"A30 extended in base64", h + "." + p + "." + s + "AAAA"},
		{"A30 empty", h + "." + p + "."},
		{"A30 absent", h + "." + p},
		{"A30 zero", h + "." + p + "." + encode(make([]byte, len(raw)))},
		{"A30 of another token", h + "." + p + "." + other},
	}
}

// A31
func (f forger) curves() []attack {
	h, p, _ := cutToken(f.good())
	raw := f.sign(h + "." + p)
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		panic(err)
	}
	n, zero := elliptic.P256().Params().N, new(big.Int)
	with := func(name string, signature []byte) attack {
		return attack{"A31 " + name, h + "." + p + "." + encode(signature)}
	}
	return append(f.signatures(), with("DER", der), with("zeros", pair(zero, zero)), with("r is 0", pair(zero, s)), with("s is 0", pair(r, zero)),
		with("r is n", pair(n, s)), with("s is n", pair(r, n)), with("both are n", pair(n, n)), with("swapped", pair(s, r)))
}

// A08: a token names an address where its key is. Nobody goes there.
func TestAddressesInATokenAreNotVisited(t *testing.T) {
	b := newBesieged(t, "gatehouse")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	visits := make(chan struct{}, 64)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				close(visits)
				return
			}
			conn.Close()
			visits <- struct{}{}
		}
	}()
	address := "http://" + listener.Addr().String() + "/keys.json"
	for _, name := range []string{"jku", "x5u"} {
		for _, f := range []forger{b.own, b.partner} {
			b.refuses("/", attack{"A08 " + name, f.token(map[string]any{name: address}, nil)})
			b.refuses("/foreign/", attack{"A08 " + name, f.token(map[string]any{name: address, "kid": "unknown"}, nil)})
		}
	}
	b.refuses("/foreign/", attack{"A08 iss", b.partner.token(map[string]any{"kid": "unknown"}, map[string]any{"iss": address})})
	listener.Close()
	for range visits {
		t.Error("somebody went to look")
	}
}
