//go:build openssl && linux

package openssl_test

import (
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token/openssl"
)

// The two computations beside each other, with the same key.
func BenchmarkRSA(b *testing.B) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	input := make([]byte, 500)
	for _, alg := range []jwa.SignatureAlgorithm{jwa.RS256, jwa.PS256} {
		goSigner, err := jws.NewSigner(alg)
		if err != nil {
			b.Fatal(err)
		}
		goVerifier, err := jws.NewVerifier(alg)
		if err != nil {
			b.Fatal(err)
		}
		sign, err := openssl.Signer(alg.String(), private)
		if err != nil {
			b.Fatal(err)
		}
		verify, err := openssl.Verifier(alg.String(), &private.PublicKey)
		if err != nil {
			b.Fatal(err)
		}
		signature, err := sign(input)
		if err != nil {
			b.Fatal(err)
		}
		for name, run := range map[string]func() error{
			"sign/go":        func() error { _, err := goSigner.Sign(input, private); return err },
			"sign/openssl":   func() error { _, err := sign(input); return err },
			"verify/go":      func() error { return goVerifier.Verify(input, signature, &private.PublicKey) },
			"verify/openssl": func() error { return verify(input, signature) },
		} {
			b.Run(alg.String()+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := run(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
