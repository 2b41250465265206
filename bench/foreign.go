package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"sync"
	"time"
)

// The foreign issuer is this program: every gate here is told to trust it.
var foreign struct {
	rsa     smoothKey
	ec      *ecdsa.PrivateKey
	expires time.Time
	pools   map[string][]string // by algorithm
}

// rotating is how many tokens come in turn. Those behind them in a pool are sent once.
const rotating = 2000

func makeForeign() (jwks []byte, err error) {
	if foreign.rsa, err = newSmoothKey(); err != nil {
		return nil, err
	}
	if foreign.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	foreign.expires, foreign.pools = time.Now().Add(24*time.Hour), map[string][]string{}
	point, err := foreign.ec.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"foreign-RS256","n":%q,"e":"AQAB"},`+
		`{"kty":"EC","use":"sig","alg":"ES256","kid":"foreign-ES256","crv":"P-256","x":%q,"y":%q}]}`,
		b64.EncodeToString(foreign.rsa.public.N.Bytes()), b64.EncodeToString(point[1:33]), b64.EncodeToString(point[33:])), nil
}

// pool returns the first n tokens of an algorithm, good for a day. Those that are
// not there yet are signed on every core this process may use.
func pool(algorithm string, n int) ([]string, error) {
	if algorithm == "" {
		algorithm = "RS256"
	}
	have := foreign.pools[algorithm]
	if n <= len(have) {
		return have[:n], nil
	}
	all := append(have, make([]string, n-len(have))...)
	errs := make([]error, runtime.NumCPU())
	var signers sync.WaitGroup
	for worker := range errs {
		signers.Go(func() {
			for i := len(have) + worker; i < n && errs[worker] == nil; i += len(errs) {
				all[i], errs[worker] = foreignToken(algorithm, i, foreign.expires)
			}
		})
	}
	signers.Wait()
	foreign.pools[algorithm] = all
	return all, errors.Join(errs...)
}

// foreignToken is as large as a user's access token: about 750 bytes with RS256, 500 with ES256.
func foreignToken(algorithm string, i int, expires time.Time) (string, error) {
	head := b64.EncodeToString([]byte(`{"kid":"foreign-` + algorithm + `","typ":"JWT","alg":"` + algorithm + `"}`))
	issued := expires.Add(-25 * time.Hour).Unix()
	payload, err := json.Marshal(map[string]any{
		"sub": fmt.Sprintf("user-%08d", i), "aud": "bench", "nbf": issued, "scope": []string{"api:read"}, "iss": foreignIssuer, "exp": expires.Unix(), "iat": issued,
		"jti": fmt.Sprintf("5486a5da-14a6-43dd-81cd-%012d", i), "email": fmt.Sprintf("user-%08d@example.com", i),
	})
	if err != nil {
		return "", err
	}
	in := head + "." + b64.EncodeToString(payload)
	sum := sha256.Sum256([]byte(in))
	signature := make([]byte, 64)
	if algorithm == "ES256" {
		r, s, err := ecdsa.Sign(rand.Reader, foreign.ec, sum[:])
		if err != nil {
			return "", err
		}
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
	} else {
		signature = foreign.rsa.sign(sum)
	}
	return in + "." + b64.EncodeToString(signature), nil
}

// smoothKey is an RSA key of 2048 bits that anybody could factor: it has sixteen
// small primes, so that it signs eight times as fast as a real one, for the
// hundred thousands of tokens that are sent once. To whoever verifies it is an RSA
// key as any other.
type smoothKey struct {
	public                          rsa.PublicKey
	primes, exponents, coefficients []*big.Int
}

func newSmoothKey() (k smoothKey, err error) {
	const size, count = 2048, 16
	k.public.E = 65537
	e, one := big.NewInt(int64(k.public.E)), big.NewInt(1)
	n := one
	for try := 0; len(k.primes) < count; try++ {
		bits := size / count
		if len(k.primes) == count-1 {
			bits = size - n.BitLen() + try%2 // by the leading bits of n it is one or the other that fits
		}
		p, err := rand.Prime(rand.Reader, bits)
		if err != nil {
			return k, err
		}
		d := new(big.Int).ModInverse(e, new(big.Int).Sub(p, one))
		all := new(big.Int).Mul(n, p)
		if d == nil || len(k.primes) == count-1 && all.BitLen() != size {
			continue
		}
		n, k.primes, k.exponents = all, append(k.primes, p), append(k.exponents, d)
	}
	k.public.N = n
	for _, p := range k.primes {
		rest := new(big.Int).Div(k.public.N, p)
		k.coefficients = append(k.coefficients, rest.Mul(rest, new(big.Int).ModInverse(rest, p)))
	}
	sum := sha256.Sum256(nil)
	return k, rsa.VerifyPKCS1v15(&k.public, crypto.SHA256, sum[:], k.sign(sum))
}

// sign is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2.1).
func (k *smoothKey) sign(sum [sha256.Size]byte) []byte {
	const prefix = "\x00\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
	out := make([]byte, k.public.Size())
	for i := range out {
		out[i] = 0xff
	}
	out[0], out[1] = 0, 1
	copy(out[len(out)-len(sum)-len(prefix):], prefix)
	copy(out[len(out)-len(sum):], sum[:])
	m, s, part := new(big.Int).SetBytes(out), new(big.Int), new(big.Int)
	for i, p := range k.primes {
		part.Exp(part.Mod(m, p), k.exponents[i], p)
		s.Add(s, part.Mul(part, k.coefficients[i]))
	}
	return s.Mod(s, k.public.N).FillBytes(out)
}
