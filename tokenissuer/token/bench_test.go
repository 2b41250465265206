package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Sign from claims to compact JWS, beside the bare signature it cannot avoid.
func BenchmarkSign(b *testing.B) {
	access := token.Access{
		Issuer: testIssuer, Subject: "5486a5da-14a6-43dd-81cd-106db05a22ff", Audience: "shop", ID: "4384950a-391e-4708-b1ca-9f5d7437d7d2",
		Scopes: []string{"openid", "orders:read"}, IssuedAt: testNow, Expires: testNow.Add(300 * time.Second),
	}
	for _, alg := range algorithms {
		key := generate(b, alg)
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				payload, err := access.Payload()
				if err != nil {
					b.Fatal(err)
				}
				if _, err := key.Sign(token.TypeJWT, payload); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(alg)+"/bare", func(b *testing.B) {
			b.ReportAllocs()
			input := []byte(strings.Repeat("a", 500))
			for b.Loop() {
				if err := bare(key, input); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func bare(key *token.Key, input []byte) (err error) {
	sum := sha256.Sum256(input)
	switch private := key.Private.(type) {
	case *rsa.PrivateKey:
		if key.Algorithm == token.PS256 {
			_, err = rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
			return err
		}
		_, err = rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		_, err = ecdsa.SignASN1(rand.Reader, private, sum[:])
	case ed25519.PrivateKey:
		_ = ed25519.Sign(private, input)
	}
	return err
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range algorithms {
		key := generate(b, alg)
		ring := token.NewRing([]*token.Key{key})
		raw, err := key.Sign(token.TypeJWT, []byte(payload(nil)))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := token.Verify(raw, ring, ownWant, testNow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
