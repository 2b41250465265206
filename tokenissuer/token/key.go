package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Key is one of our own signing keys, with its schedule. Make it with Generate
// or ParseKey; it is not to be changed once it is in a Ring.
type Key struct {
	ID        string
	Algorithm Algorithm
	Private   crypto.Signer
	Created   time.Time
	SignFrom  time.Time // published before, signs from here
	Retired   time.Time // signs no more; zero while it may
	Expires   time.Time // leaves the key set; zero until retired

	sign   func(input []byte) ([]byte, error)
	verify func(input, signature []byte) error // of Public
	header string                              // of typ JWT, encoded, with its dot: the same for every token
}

// String keeps the private key out of logs.
func (k *Key) String() string { return "key " + k.ID }

// GoString keeps the private key out of %#v too.
func (k *Key) GoString() string { return k.String() }

// Generate makes a key with a new id. Its schedule is the caller's to set.
func Generate(alg Algorithm) (*Key, error) {
	private, err := generate(alg)
	if err != nil {
		return nil, fmt.Errorf("making a %s key: %w", alg, err)
	}
	return Go.newKey(uuid.NewString(), alg, private)
}

func generate(alg Algorithm) (crypto.Signer, error) {
	switch alg {
	case RS256, PS256:
		// 2048 bits sign in under a millisecond, 4096 in five; 2048 is what the
		// documented tokens have.
		return rsa.GenerateKey(rand.Reader, 2048)
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	default:
		return nil, errors.New("no algorithm to sign with")
	}
}

// ParseKey reads a key that Marshal wrote, to sign and verify with Go's own code.
func ParseKey(id string, alg Algorithm, der []byte) (*Key, error) { return Go.ParseKey(id, alg, der) }

// ParseKey reads a key that Marshal wrote.
func (c Crypto) ParseKey(id string, alg Algorithm, der []byte) (*Key, error) {
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("reading key %q: %w", id, err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("reading key %q: %T cannot sign", id, private)
	}
	return c.newKey(id, alg, signer)
}

func (c Crypto) newKey(id string, alg Algorithm, private crypto.Signer) (*Key, error) {
	if id == "" {
		return nil, errors.New("a key needs an id")
	}
	if _, err := ParseAlgorithm(string(alg)); err != nil {
		return nil, fmt.Errorf("key %q: %w", id, err)
	}
	if err := alg.fits(private.Public()); err != nil {
		return nil, fmt.Errorf("key %q: %w", id, err)
	}
	k := &Key{ID: id, Algorithm: alg, Private: private}
	var err error
	if k.sign, err = c.signer(alg, private); err != nil {
		return nil, fmt.Errorf("key %q: %w", id, err)
	}
	if k.verify, err = c.verifier(alg, private.Public()); err != nil {
		return nil, fmt.Errorf("key %q: %w", id, err)
	}
	k.header, err = k.encodeHeader(TypeJWT)
	return k, err
}

// Marshal returns the private key as PKCS #8.
func (k *Key) Marshal() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k.Private) }

// Public returns what verifies the key's tokens.
func (k *Key) Public() Public {
	return Public{ID: k.ID, Algorithm: k.Algorithm, Key: k.Private.Public(), verify: k.verify}
}

// Sign returns a compact JWS (RFC 7515 §7.1) whose header is exactly
// {"kid","typ","alg"} in this order.
func (k *Key) Sign(typ string, payload []byte) (string, error) {
	header := k.header
	if typ != TypeJWT {
		var err error
		if header, err = k.encodeHeader(typ); err != nil {
			return "", err
		}
	}
	// One buffer: header, dot, payload are the signing input; the signature is
	// appended to the same bytes. 342 is an RSA-2048 signature, encoded.
	buf := make([]byte, 0, len(header)+encoding.EncodedLen(len(payload))+1+342)
	buf = append(buf, header...)
	buf = encoding.AppendEncode(buf, payload)
	signature, err := k.sign(buf)
	if err != nil {
		return "", fmt.Errorf("signing with key %s: %w", k.ID, err)
	}
	buf = append(buf, '.')
	return string(encoding.AppendEncode(buf, signature)), nil
}

// encoding is base64url without padding (RFC 7515 §2), strict about the bits
// after the last byte: else one token had several spellings.
var encoding = base64.RawURLEncoding.Strict()

func (k *Key) encodeHeader(typ string) (string, error) {
	text, err := json.Marshal(struct {
		KeyID     string    `json:"kid"`
		Type      string    `json:"typ"`
		Algorithm Algorithm `json:"alg"`
	}{k.ID, typ, k.Algorithm})
	if err != nil {
		return "", fmt.Errorf("header of key %s: %w", k.ID, err)
	}
	return encoding.EncodeToString(text) + ".", nil
}

// Public is a key that verifies, with the one algorithm it is for.
type Public struct {
	ID        string
	Algorithm Algorithm
	Key       crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey

	verify func(input, signature []byte) error // nil: the algorithm's own
}

// Bare is the key for those who only remember it: without what verifies, which may
// hold memory of a library for as long as anybody has it.
func (p Public) Bare() Public {
	p.verify = nil
	return p
}

// Same says whether two keys are one: equal in id, algorithm and bytes.
func (p Public) Same(other Public) bool {
	if p.ID != other.ID || p.Algorithm != other.Algorithm {
		return false
	}
	switch key := p.Key.(type) {
	case *rsa.PublicKey:
		same, ok := other.Key.(*rsa.PublicKey)
		return ok && (key == same || key.Equal(same))
	case *ecdsa.PublicKey:
		same, ok := other.Key.(*ecdsa.PublicKey)
		return ok && (key == same || key.Equal(same))
	case ed25519.PublicKey:
		same, ok := other.Key.(ed25519.PublicKey)
		return ok && bytes.Equal(key, same)
	}
	return false
}

// Keys finds the key that a token names.
type Keys interface {
	Key(kid string) (Public, bool)
}
