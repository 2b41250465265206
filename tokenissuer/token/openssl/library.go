//go:build openssl && linux

package openssl

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// file is found as the system's loader finds it: LD_LIBRARY_PATH, its cache,
// its folders. The number is that of the interface, which OpenSSL 3 and only it has.
const file = "libcrypto.so.3"

// least is OpenSSL 3.0.0: before it, half of the functions below were macros.
const least = 0x30000000

// library holds the addresses of the functions that are called.
type library struct {
	readPrivate uintptr // EVP_PKEY *d2i_AutoPrivateKey(EVP_PKEY **, const unsigned char **, long)
	readPublic  uintptr // EVP_PKEY *d2i_PUBKEY(EVP_PKEY **, const unsigned char **, long)
	freeKey     uintptr // void EVP_PKEY_free(EVP_PKEY *)
	keySize     uintptr // int EVP_PKEY_get_size(const EVP_PKEY *)

	newContext  uintptr // EVP_PKEY_CTX *EVP_PKEY_CTX_new(EVP_PKEY *, ENGINE *)
	freeContext uintptr // void EVP_PKEY_CTX_free(EVP_PKEY_CTX *)
	setPadding  uintptr // int EVP_PKEY_CTX_set_rsa_padding(EVP_PKEY_CTX *, int)
	setSalt     uintptr // int EVP_PKEY_CTX_set_rsa_pss_saltlen(EVP_PKEY_CTX *, int)
	setHash     uintptr // int EVP_PKEY_CTX_set_signature_md(EVP_PKEY_CTX *, const EVP_MD *)

	signInit   uintptr // int EVP_PKEY_sign_init(EVP_PKEY_CTX *)
	sign       uintptr // int EVP_PKEY_sign(EVP_PKEY_CTX *, unsigned char *, size_t *, const unsigned char *, size_t)
	verifyInit uintptr // int EVP_PKEY_verify_init(EVP_PKEY_CTX *)
	verify     uintptr // int EVP_PKEY_verify(EVP_PKEY_CTX *, const unsigned char *, size_t, const unsigned char *, size_t)

	lastError   uintptr // unsigned long ERR_peek_last_error(void)
	errorReason uintptr // const char *ERR_reason_error_string(unsigned long)

	hashes map[string]uintptr // const EVP_MD *EVP_sha256(void), called

	// slots bounds the signatures under way. One keeps an operating system's thread
	// for 300 us, and Go would start another for each request that waits behind it.
	slots chan struct{}
}

// loaded is the library once it is there. It is never unloaded.
var (
	loaded  *library
	loading sync.Mutex
)

// Load loads the library, and says what is missing where that fails. It tries
// again each time: the operator may have installed it meanwhile.
func Load() error {
	_, err := load()
	return err
}

func load() (*library, error) {
	loading.Lock()
	defer loading.Unlock()
	if loaded != nil {
		return loaded, nil
	}
	l, err := open(file)
	if err != nil {
		return nil, err
	}
	if err := l.try(); err != nil {
		return nil, fmt.Errorf("%s does no RSA on this machine: %w: look at OpenSSL's configuration (openssl.cnf, OPENSSL_CONF), and start again", file, err)
	}
	loaded = l
	return l, nil
}

const mend = "install OpenSSL 3 (Debian and Ubuntu: apt-get install libssl3 or libssl3t64; Fedora and Red Hat: openssl-libs)"

func open(file string) (_ *library, err error) {
	handle, err := purego.Dlopen(file, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be loaded: %w: %s", file, err, mend)
	}
	defer func() {
		if err != nil {
			// Or else the loader would give the same one again after the mend.
			_ = purego.Dlclose(handle)
			err = fmt.Errorf("%s %w: %s", file, err, mend)
		}
	}()
	version, err := purego.Dlsym(handle, "OpenSSL_version_num")
	if err != nil {
		return nil, fmt.Errorf("is not OpenSSL: %w", err)
	}
	if number, _, _ := purego.SyscallN(version); number < least {
		return nil, fmt.Errorf("is OpenSSL %s, and 3.0.0 is the least that will do", spell(number))
	}
	l := &library{hashes: map[string]uintptr{}, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
	for name, into := range l.functions() {
		if *into, err = purego.Dlsym(handle, name); err != nil {
			return nil, fmt.Errorf("is not all of OpenSSL 3: %w", err)
		}
	}
	for _, name := range []string{"EVP_sha256", "EVP_sha384", "EVP_sha512"} {
		function, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("is not all of OpenSSL 3: %w", err)
		}
		l.hashes[name], _, _ = purego.SyscallN(function)
	}
	return l, nil
}

// try prepares a verification with every algorithm: a configuration of the machine
// can leave them out.
func (l *library) try() error {
	number := new(big.Int).SetBit(big.NewInt(1), 2047, 1) // of the right size, and nobody's
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: number, E: 65537})
	if err != nil {
		return err
	}
	for _, s := range schemes {
		if _, err := l.newKey(s, der, false); err != nil {
			return err
		}
	}
	return nil
}

func (l *library) functions() map[string]*uintptr {
	return map[string]*uintptr{
		"d2i_AutoPrivateKey":               &l.readPrivate,
		"d2i_PUBKEY":                       &l.readPublic,
		"EVP_PKEY_free":                    &l.freeKey,
		"EVP_PKEY_get_size":                &l.keySize,
		"EVP_PKEY_CTX_new":                 &l.newContext,
		"EVP_PKEY_CTX_free":                &l.freeContext,
		"EVP_PKEY_CTX_set_rsa_padding":     &l.setPadding,
		"EVP_PKEY_CTX_set_rsa_pss_saltlen": &l.setSalt,
		"EVP_PKEY_CTX_set_signature_md":    &l.setHash,
		"EVP_PKEY_sign_init":               &l.signInit,
		"EVP_PKEY_sign":                    &l.sign,
		"EVP_PKEY_verify_init":             &l.verifyInit,
		"EVP_PKEY_verify":                  &l.verify,
		"ERR_peek_last_error":              &l.lastError,
		"ERR_reason_error_string":          &l.errorReason,
	}
}

// spell writes OPENSSL_VERSION_NUMBER: 0xMNN00PP0L since 3.0, 0xMNNFFPPSL before.
func spell(version uintptr) string {
	if version >= least {
		return fmt.Sprintf("%d.%d.%d", version>>28, version>>20&0xff, version>>4&0xff)
	}
	return fmt.Sprintf("%d.%d.%d", version>>28, version>>20&0xff, version>>12&0xff)
}

// failed is the reason of the newest error of this operating system's thread: the
// caller has locked itself to it since the call that failed.
func (l *library) failed(doing string) error {
	code, _, _ := purego.SyscallN(l.lastError)
	text, _, _ := purego.SyscallN(l.errorReason, code)
	if code == 0 || text == 0 {
		return errors.New(doing + ": OpenSSL refuses, and gives no reason")
	}
	return fmt.Errorf("%s: OpenSSL: %s", doing, goString(text))
}

// goString copies a C string that is never freed, such as a text of the library's
// own tables.
func goString(address uintptr) string {
	// Through the address of the variable: what is at it was never Go's memory.
	p := *(**byte)(unsafe.Pointer(&address))
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}
