//go:build !openssl || !linux

package openssl

import (
	"crypto/rsa"
	"errors"
)

// errAbsent names the mend: who reads it has a binary, not a build.
var errAbsent = errors.New("this program is built without OpenSSL: take one that is built with the tag openssl (`make build-openssl` on Linux)")

// Load says why OpenSSL cannot be used.
func Load() error { return errAbsent }

// Signer is for builds with the tag.
func Signer(string, *rsa.PrivateKey) (func(input []byte) ([]byte, error), error) {
	return nil, errAbsent
}

// Verifier is for builds with the tag.
func Verifier(string, *rsa.PublicKey) (func(input, signature []byte) error, error) {
	return nil, errAbsent
}

// Held is 0: there is no library to hold anything.
func Held() int { return 0 }
