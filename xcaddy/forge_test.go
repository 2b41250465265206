package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"
)

// forger writes tokens as an attacker does who has got hold of a signing key, or
// of one of his own: any header, any claims, any signature. It shares nothing
// with the code under test.
type forger struct {
	kid, alg, issuer string
	audience         string
	key              crypto.Signer
}

// thief is a forger with the key that the instance itself signs with. It ends
// the program, looks into the store, and starts it again.
func (i *instance) thief() forger {
	i.Helper()
	i.stop()
	db, err := sql.Open("sqlite", i.file("data/caddy/token_issuer/issuer.db"))
	if err != nil {
		i.Fatal(err)
	}
	defer db.Close()
	f := forger{issuer: i.site, audience: "shop"}
	var material []byte
	if err := db.QueryRowContext(i.Context(), "SELECT id, algorithm, material FROM keys WHERE algorithm = 'RS256'").Scan(&f.kid, &f.alg, &material); err != nil {
		i.Fatal(err)
	}
	private, err := x509.ParsePKCS8PrivateKey(material)
	if err != nil {
		i.Fatal(err)
	}
	f.key = private.(crypto.Signer)
	i.start()
	return f
}

// newPartner is the issuer outside that the gate trusts too.
func newPartner(t *testing.T) forger {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return forger{kid: "partner-1", alg: "ES256", issuer: "https://partner.example", audience: "https://api.example.com", key: key}
}

// jwk is the public key.
func (f forger) jwk(t *testing.T) map[string]any {
	t.Helper()
	switch key := f.key.Public().(type) {
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "kid": f.kid, "use": "sig", "alg": f.alg, "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"kty": "EC", "crv": "P-256", "kid": f.kid, "use": "sig", "alg": f.alg, "x": encode(point[1:33]), "y": encode(point[33:])}
	}
	t.Fatalf("%T", f.key)
	return nil
}

// publish writes the key set that the gate reads.
func (f forger) publish(i *instance, name string) {
	i.Helper()
	if err := os.WriteFile(i.file(name), text(map[string]any{"keys": []any{f.jwk(i.T)}}), 0o600); err != nil {
		i.Fatal(err)
	}
}

// good is a token that every attack is one change away from.
func (f forger) good() string { return f.token(nil, nil) }

// token is a good one with members replaced or, by nil, removed.
func (f forger) token(header, claims map[string]any) string {
	return f.sealed(string(text(f.header(header))), string(text(f.claims(claims))))
}

func (f forger) header(with map[string]any) map[string]any {
	return changed(map[string]any{"kid": f.kid, "typ": "JWT", "alg": f.alg}, with)
}

func (f forger) claims(with map[string]any) map[string]any {
	now := time.Now().Unix()
	return changed(map[string]any{
		"sub": "mallory", "aud": f.audience, "nbf": now, "scope": []string{"orders:read"}, "iss": f.issuer, "exp": now + 300, "iat": now, "jti": rand.Text(),
	}, with)
}

// sealed signs any header over any payload.
func (f forger) sealed(header, payload string) string {
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	return input + "." + encode(f.sign(input))
}

func (f forger) sign(input string) []byte {
	sum := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch key := f.key.(type) {
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, key, sum[:]); err == nil {
			signature = pair(r, s)
		}
	}
	if err != nil {
		panic(err)
	}
	return signature
}

func pair(r, s *big.Int) []byte {
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func changed(base, with map[string]any) map[string]any {
	for name, value := range with {
		if base[name] = value; value == nil {
			delete(base, name)
		}
	}
	return base
}

// null is a JSON null, where nil means that the member is absent.
var null = json.RawMessage("null")

func text(value any) []byte {
	t, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return t
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func cutToken(raw string) (header, payload, signature string) {
	p := strings.Split(raw, ".")
	return p[0], p[1], p[2]
}
