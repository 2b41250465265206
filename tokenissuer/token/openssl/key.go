//go:build openssl && linux

package openssl

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/ebitengine/purego"
)

// The names of openssl/rsa.h.
const (
	paddingPKCS1 = 1  // RSA_PKCS1_PADDING
	paddingPSS   = 6  // RSA_PKCS1_PSS_PADDING
	saltAsHash   = -1 // RSA_PSS_SALTLEN_DIGEST: RFC 7518 §3.5 wants it so, and no other length
)

// scheme is how an algorithm of RFC 7518 signs.
type scheme struct {
	new     func() hash.Hash
	hash    string // the function of libcrypto
	padding int
}

var schemes = map[string]scheme{
	"RS256": {sha256.New, "EVP_sha256", paddingPKCS1},
	"RS384": {sha512.New384, "EVP_sha384", paddingPKCS1},
	"RS512": {sha512.New, "EVP_sha512", paddingPKCS1},
	"PS256": {sha256.New, "EVP_sha256", paddingPSS},
	"PS384": {sha512.New384, "EVP_sha384", paddingPSS},
	"PS512": {sha512.New, "EVP_sha512", paddingPSS},
}

var errSignature = errors.New("wrong signature")

// held counts what is in the library's memory because of this package.
var held atomic.Int64

// Held is how many keys and contexts there are in the library's memory. It is 0
// some time after the last function that Signer and Verifier returned is dropped.
func Held() int { return int(held.Load()) }

// Signer returns what signs with a key by the algorithm, from any goroutine.
func Signer(algorithm string, private *rsa.PrivateKey) (func(input []byte) ([]byte, error), error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("handing a key to OpenSSL: %w", err)
	}
	defer clear(der)
	k, err := newKey(algorithm, der, true)
	if err != nil {
		return nil, err
	}
	return k.sign, nil
}

// Verifier returns what verifies with a key by the algorithm, from any goroutine.
func Verifier(algorithm string, public *rsa.PublicKey) (func(input, signature []byte) error, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("handing a key to OpenSSL: %w", err)
	}
	k, err := newKey(algorithm, der, false)
	if err != nil {
		return nil, err
	}
	return k.verify, nil
}

// key is an EVP_PKEY for one algorithm. OpenSSL lets threads share it for reading.
type key struct {
	library *library
	address uintptr
	size    int
	scheme  scheme
	signs   bool
	idle    sync.Pool // of *context
}

func newKey(algorithm string, der []byte, private bool) (*key, error) {
	s, ok := schemes[algorithm]
	if !ok {
		return nil, fmt.Errorf("%s is not an RSA algorithm", algorithm)
	}
	l, err := load()
	if err != nil {
		return nil, err
	}
	return l.newKey(s, der, private)
}

func (l *library) newKey(s scheme, der []byte, private bool) (*key, error) {
	k := &key{library: l, scheme: s, signs: private}
	read := l.readPublic
	if private {
		read = l.readPrivate
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// A number, not a pointer: the library moves it to behind the last byte.
	at := uintptr(unsafe.Pointer(&der[0]))
	k.address, _, _ = purego.SyscallN(read, 0, uintptr(unsafe.Pointer(&at)), uintptr(len(der)))
	runtime.KeepAlive(der)
	if k.address == 0 {
		return nil, l.failed("reading a key")
	}
	owned(k, l.freeKey, k.address)
	size, _, _ := purego.SyscallN(l.keySize, k.address)
	k.size = int(int32(size))
	// The first context now: what the library will not do with this key is said
	// where the key is read.
	c, err := k.context()
	if err != nil {
		return nil, err
	}
	k.idle.Put(c)
	return k, nil
}

// owned frees an object of the library when nothing refers to its holder any more.
func owned[T any](holder *T, free, address uintptr) {
	held.Add(1)
	runtime.AddCleanup(holder, func(address uintptr) {
		purego.SyscallN(free, address)
		held.Add(-1)
	}, address)
}

// context is an EVP_PKEY_CTX that is ready to sign or to verify, as often as one
// likes but one goroutine at a time. It keeps its key's memory.
type context struct {
	address uintptr
	hash    hash.Hash
	sum     [sha512.Size]byte
	length  uintptr // of the signature
}

// context is an idle one, or a new one: making it costs ten signatures' look-ups.
func (k *key) context() (*context, error) {
	if c, ok := k.idle.Get().(*context); ok {
		return c, nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := &context{hash: k.scheme.new()}
	c.address, _, _ = purego.SyscallN(k.library.newContext, k.address, 0)
	runtime.KeepAlive(k)
	if c.address == 0 {
		return nil, k.library.failed("making a context")
	}
	owned(c, k.library.freeContext, c.address)
	start := k.library.verifyInit
	if k.signs {
		start = k.library.signInit
	}
	type step struct{ function, argument uintptr }
	steps := []step{{start, 0}, {k.library.setPadding, uintptr(k.scheme.padding)}, {k.library.setHash, k.library.hashes[k.scheme.hash]}}
	if salt := saltAsHash; k.scheme.padding == paddingPSS {
		steps = append(steps, step{k.library.setSalt, uintptr(salt)})
	}
	for _, step := range steps {
		if ok, _, _ := purego.SyscallN(step.function, c.address, step.argument); int32(ok) != 1 {
			return nil, k.library.failed("preparing a context")
		}
	}
	return c, nil
}

// digest hashes in Go, which is as fast and needs no call.
func (c *context) digest(input []byte) []byte {
	c.hash.Reset()
	c.hash.Write(input)
	return c.hash.Sum(c.sum[:0])
}

func (k *key) sign(input []byte) ([]byte, error) {
	k.library.slots <- struct{}{}
	defer func() { <-k.library.slots }()
	// The queue of errors is the thread's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, err := k.context()
	if err != nil {
		return nil, err
	}
	digest := c.digest(input)
	signature := make([]byte, k.size)
	c.length = uintptr(len(signature))
	ok, _, _ := purego.SyscallN(k.library.sign, c.address,
		uintptr(unsafe.Pointer(&signature[0])), uintptr(unsafe.Pointer(&c.length)),
		uintptr(unsafe.Pointer(&digest[0])), uintptr(len(digest)))
	if int32(ok) != 1 {
		return nil, k.library.failed("signing")
	}
	signature = signature[:c.length]
	k.idle.Put(c)
	return signature, nil
}

func (k *key) verify(input, signature []byte) error {
	if len(signature) != k.size {
		return errSignature // there is no first byte of nothing to point at
	}
	c, err := k.context()
	if err != nil {
		return err
	}
	digest := c.digest(input)
	ok, _, _ := purego.SyscallN(k.library.verify, c.address,
		uintptr(unsafe.Pointer(&signature[0])), uintptr(len(signature)),
		uintptr(unsafe.Pointer(&digest[0])), uintptr(len(digest)))
	k.idle.Put(c)
	if int32(ok) != 1 {
		return errSignature
	}
	return nil
}
