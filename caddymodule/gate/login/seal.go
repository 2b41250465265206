package login

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
)

// Keys seal what browsers keep for us.
type Keys struct{ session, state cipher.AEAD }

// NewKeys derives them from a secret of 32 bytes.
func NewKeys(secret []byte) (*Keys, error) {
	if len(secret) < sha256.Size {
		return nil, errors.New("the key of sign-ins is too short")
	}
	var k Keys
	for use, aead := range map[string]*cipher.AEAD{"session": &k.session, "state": &k.state} {
		key, err := hkdf.Key(sha256.New, secret, nil, "gatehouse login "+use, 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		if *aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, err
		}
	}
	return &k, nil
}

// String keeps the keys out of logs.
func (*Keys) String() string { return "keys of sign-ins" }

var encoding = base64.RawURLEncoding.Strict()

// seal makes text of it that opens for this host alone.
func seal(aead cipher.AEAD, host string, plain []byte) string {
	return encoding.EncodeToString(aead.Seal(nil, nil, plain, []byte(host)))
}

// scratch is what opening needs for the moment, kept for the next request.
type scratch struct{ sealed, plain []byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

var errSealed = errors.New("not sealed here")

// open hands what was sealed, in parts, to read, which must not keep it.
func open(aead cipher.AEAD, host string, read func(plain []byte) error, parts ...string) error {
	s, _ := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.sealed = s.sealed[:0]
	for _, part := range parts {
		var err error
		if s.sealed, err = encoding.AppendDecode(s.sealed, []byte(part)); err != nil {
			return fmt.Errorf("%w: %w", errSealed, err)
		}
	}
	plain, err := aead.Open(s.plain[:0], nil, s.sealed, []byte(host))
	if err != nil {
		return fmt.Errorf("%w: %w", errSealed, err)
	}
	s.plain = plain
	return read(plain)
}
