package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dgraph-io/ristretto/v2"
)

// gate looks a token's digest up in ristretto, verifies it once with the
// standard library, and sets one header:
//
//	least_gate ISSUER PUBLIC_KEY_FILE      a path in the first place would be a matcher
type gate struct {
	KeyFile string `json:"key_file"`
	Issuer  string `json:"issuer"`

	key   *rsa.PublicKey
	cache *ristretto.Cache[uint64, *verified]
}

type verified struct {
	digest  [32]byte
	expires int64
	subject string
}

func (*gate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.least_gate", New: func() caddy.Module { return new(gate) }}
}

func (g *gate) words() []*string { return []*string{&g.Issuer, &g.KeyFile} }

func (g *gate) Provision(caddy.Context) error {
	text, err := os.ReadFile(g.KeyFile)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return err
	}
	g.key = key.(*rsa.PublicKey)
	g.cache, err = ristretto.NewCache(&ristretto.Config[uint64, *verified]{NumCounters: 1e6, MaxCost: 1e5, BufferItems: 64, IgnoreInternalCost: true})
	return err
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	raw, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found {
		return deny(w)
	}
	digest := sha256.Sum256([]byte(raw))
	key := binary.LittleEndian.Uint64(digest[:])
	v, hit := g.cache.Get(key)
	if !hit || v.digest != digest {
		var err error
		if v, err = g.verify(raw); err != nil {
			return deny(w)
		}
		v.digest = digest
		g.cache.SetWithTTL(key, v, 1, time.Hour)
	}
	if v.expires <= time.Now().Unix() {
		return deny(w)
	}
	r.Header.Set("X-Auth-Subject", v.subject)
	return next.ServeHTTP(w, r)
}

func deny(w http.ResponseWriter) error {
	w.Header().Set("WWW-Authenticate", "Bearer")
	w.WriteHeader(http.StatusUnauthorized)
	return nil
}

func (g *gate) verify(raw string) (*verified, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a JWT")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(g.key, crypto.SHA256, sum[:], signature); err != nil {
		return nil, err
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	var claims struct {
		Iss, Sub string
		Exp      int64
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, err
	}
	if claims.Iss != g.Issuer {
		return nil, errors.New("another issuer's")
	}
	return &verified{expires: claims.Exp, subject: claims.Sub}, nil
}
