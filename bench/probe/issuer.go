package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// issuer answers client_credentials of one client with a signed token and does nothing else:
//
//	least_issuer RS256|ES256|EdDSA ISSUER      the secret is that of BENCH_SECRET
type issuer struct {
	Algorithm string `json:"algorithm"`
	Issuer    string `json:"issuer"`

	head   string
	secret [32]byte
	sign   func(in []byte) ([]byte, error)
}

func (*issuer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.least_issuer", New: func() caddy.Module { return new(issuer) }}
}

func (i *issuer) words() []*string { return []*string{&i.Algorithm, &i.Issuer} }

func (i *issuer) Provision(caddy.Context) (err error) {
	i.head = base64.RawURLEncoding.EncodeToString([]byte(`{"kid":"least","typ":"JWT","alg":"`+i.Algorithm+`"}`)) + "."
	i.secret = sha256.Sum256([]byte(os.Getenv("BENCH_SECRET")))
	i.sign, err = signer(i.Algorithm)
	return err
}

func signer(algorithm string) (func([]byte) ([]byte, error), error) {
	switch algorithm {
	case "RS256":
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		return func(in []byte) ([]byte, error) {
			sum := sha256.Sum256(in)
			return rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
		}, err
	case "ES256":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		return func(in []byte) ([]byte, error) {
			sum := sha256.Sum256(in)
			r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
			if err != nil {
				return nil, err
			}
			out := make([]byte, 64)
			r.FillBytes(out[:32])
			s.FillBytes(out[32:])
			return out, nil
		}, err
	case "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return func(in []byte) ([]byte, error) { return ed25519.Sign(key, in), nil }, err
	default:
		return nil, fmt.Errorf("unknown algorithm %s", algorithm)
	}
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if err := r.ParseForm(); err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	secret := sha256.Sum256([]byte(r.PostForm.Get("client_secret")))
	if r.PostForm.Get("grant_type") != "client_credentials" || subtle.ConstantTimeCompare(secret[:], i.secret[:]) != 1 {
		w.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	var id [16]byte
	rand.Read(id[:])
	now := time.Now().Unix()
	payload, err := json.Marshal(map[string]any{
		"iss": i.Issuer, "sub": "bench", "aud": "bench", "jti": hex.EncodeToString(id[:]),
		"scope": []string{"api:read"}, "exp": now + 300, "iat": now, "nbf": now,
	})
	if err != nil {
		return err
	}
	token := base64.RawURLEncoding.AppendEncode([]byte(i.head), payload)
	signature, err := i.sign(token)
	if err != nil {
		return err
	}
	token = base64.RawURLEncoding.AppendEncode(append(token, '.'), signature)
	answer := append([]byte(`{"access_token":"`), token...)
	answer = append(answer, `","token_type":"Bearer","expires_in":299}`...)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, err = w.Write(answer)
	return err
}
