package token

import "math/big"

// isROCA says that the prime factors of an RSA modulus were made by a library
// that left them few choices: who sees the public key can compute the private
// one (CVE-2017-15361). Modulo each small prime such a factor, and so the
// product of two, is a power of 65537; of other keys one in 2^154 is that too.
func isROCA(modulus *big.Int) bool {
	// The library built factors of 2048-bit keys on the primes up to 701, and of
	// longer ones on more; shorter keys are refused anyway.
	for p := int64(3); p <= 701; p += 2 {
		prime := big.NewInt(p)
		if prime.ProbablyPrime(0) && !isPowerOf(65537, new(big.Int).Mod(modulus, prime).Int64(), p) {
			return false
		}
	}
	return true
}

func isPowerOf(base, n, prime int64) bool {
	power := int64(1)
	for range prime {
		if power == n {
			return true
		}
		power = power * base % prime
	}
	return false
}
