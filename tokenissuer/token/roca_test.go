package token

import (
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"testing"
)

// CVE-2017-15361: a modulus as the broken library makes it, a power of 65537
// modulo the product of the small primes, is no key of anybody's.
func TestKeysOfABrokenGeneratorAreRefused(t *testing.T) {
	product := big.NewInt(1)
	for p := int64(2); p <= 701; p++ {
		if prime := big.NewInt(p); prime.ProbablyPrime(0) {
			product.Mul(product, prime)
		}
	}
	rest := new(big.Int).Lsh(big.NewInt(1), 2047)
	rest.Sub(rest, new(big.Int).Mod(rest, product))
	broken := new(big.Int).Add(rest, new(big.Int).Exp(big.NewInt(65537), big.NewInt(1_234_567), product))
	if err := RS256.fits(&rsa.PublicKey{N: broken, E: 65537}); err == nil {
		t.Error("a broken modulus is taken for a key")
	}
	near := new(big.Int).Add(broken, big.NewInt(2))
	if err := RS256.fits(&rsa.PublicKey{N: near, E: 65537}); err != nil {
		t.Errorf("the odd number after it: %v", err)
	}
	sound, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if err := RS256.fits(&sound.PublicKey); err != nil {
		t.Errorf("a sound key: %v", err)
	}
}
