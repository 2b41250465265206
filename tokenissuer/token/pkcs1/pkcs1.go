// Package pkcs1 verifies RSASSA-PKCS1-v1_5 signatures (RFC 8017 §8.2.2) of a key that
// verifies often. crypto/rsa makes a key ready for arithmetic anew with every
// signature, which is a third of the time; here that is done once.
package pkcs1

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"

	"filippo.io/bigmod"
)

var errSignature = errors.New("wrong signature")

// scheme is one algorithm of RFC 7518 §3.3.
type scheme struct {
	name   string // of the hash, as a DigestInfo begins (RFC 8017 §9.2, note 1)
	digest func(input []byte) []byte
}

var schemes = map[string]scheme{
	"RS256": {"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20", func(input []byte) []byte { d := sha256.Sum256(input); return d[:] }},
	"RS384": {"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30", func(input []byte) []byte { d := sha512.Sum384(input); return d[:] }},
	"RS512": {"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40", func(input []byte) []byte { d := sha512.Sum512(input); return d[:] }},
}

// Is says whether an algorithm is one of these.
func Is(algorithm string) bool { return schemes[algorithm].name != "" }

// key is a public key for one algorithm.
type key struct {
	modulus  *bigmod.Modulus
	exponent uint
	before   []byte // what an encoded message has in front of the digest (RFC 8017 §9.2)
	digest   func(input []byte) []byte
}

// Verifier returns what verifies with a key by the algorithm, from any goroutine. How
// strong the key is, is not asked.
func Verifier(algorithm string, public *rsa.PublicKey) (func(input, signature []byte) error, error) {
	s, ok := schemes[algorithm]
	switch {
	case !ok:
		return nil, fmt.Errorf("%s is not an algorithm of RSASSA-PKCS1-v1_5", algorithm)
	case public.N.Bit(0) == 0:
		return nil, errors.New("an RSA modulus is odd")
	case public.E < 3 || public.E&1 == 0 || public.E > 1<<31-1: // as crypto/rsa has it
		return nil, errors.New("an RSA exponent is odd, at least 3, and has at most 31 bits")
	}
	modulus, err := bigmod.NewModulus(public.N.Bytes())
	if err != nil {
		return nil, fmt.Errorf("making an RSA key ready: %w", err)
	}
	padding := modulus.Size() - len("\x00\x01\x00"+s.name) - len(s.digest(nil))
	if padding < 8 {
		return nil, errors.New("an RSA key too short for the hash")
	}
	k := &key{modulus: modulus, exponent: uint(public.E), digest: s.digest}
	k.before = fmt.Appendf(nil, "\x00\x01%s\x00%s", bytes.Repeat([]byte{0xff}, padding), s.name)
	return k.verify, nil
}

// verify builds what the signature must hold and compares the whole of it: whoever
// reads it instead has to find every way in which it can be wrong. All of it is public,
// so it takes the time it takes.
func (k *key) verify(input, signature []byte) error {
	if len(signature) != k.modulus.Size() {
		return errSignature
	}
	s, err := bigmod.NewNat().SetBytes(signature, k.modulus)
	if err != nil {
		return errSignature // not smaller than the modulus
	}
	message := bigmod.NewNat().ExpShortVarTime(s, k.exponent, k.modulus).Bytes(k.modulus)
	at := len(k.before)
	if !bytes.Equal(message[:at], k.before) || !bytes.Equal(message[at:], k.digest(input)) {
		return errSignature
	}
	return nil
}
