//go:build openssl && linux

package openssl_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token/openssl"
)

var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

// computed is one algorithm with one key, both ways.
type computed struct {
	algorithm string
	private   *rsa.PrivateKey
	sign      func(input []byte) ([]byte, error)
	verify    func(input, signature []byte) error
	goSigner  jws.Signer
}

func compute(t testing.TB, algorithm string, private *rsa.PrivateKey) *computed {
	t.Helper()
	if err := openssl.Load(); err != nil {
		t.Skip(err)
	}
	c := &computed{algorithm: algorithm, private: private}
	var err error
	if c.sign, err = openssl.Signer(algorithm, private); err != nil {
		t.Fatal(err)
	}
	if c.verify, err = openssl.Verifier(algorithm, &private.PublicKey); err != nil {
		t.Fatal(err)
	}
	if c.goSigner, err = jws.NewSigner(jwa.SignatureAlgorithm(algorithm)); err != nil {
		t.Fatal(err)
	}
	return c
}

var hashes = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}

// inGo is what the standard library says, as the rest of the program asks it.
func (c *computed) inGo(input, signature []byte) error {
	h := hashes[c.algorithm[2:]]
	sum := h.New()
	sum.Write(input)
	if strings.HasPrefix(c.algorithm, "PS") {
		return rsa.VerifyPSS(&c.private.PublicKey, h, sum.Sum(nil), signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	return rsa.VerifyPKCS1v15(&c.private.PublicKey, h, sum.Sum(nil), signature)
}

// judge asks both, and returns what they say: they must agree.
func (c *computed) judge(t testing.TB, what string, input, signature []byte) bool {
	t.Helper()
	ours, theirs := c.verify(input, signature), c.inGo(input, signature)
	if (ours == nil) != (theirs == nil) {
		t.Errorf("%s, %s: OpenSSL says %v, Go %v", c.algorithm, what, ours, theirs)
	}
	return ours == nil
}

var keys = map[int]func() *rsa.PrivateKey{}

func init() {
	// 2049 and 2055 leave bits of the first byte unused, 2049 the whole of it in PSS
	// (RFC 8017 §9.1.1).
	for _, bits := range []int{2048, 2049, 2055, 3072, 4096} {
		keys[bits] = sync.OnceValue(func() *rsa.PrivateKey {
			key, err := rsa.GenerateKey(rand.Reader, bits)
			if err != nil {
				panic(err)
			}
			return key
		})
	}
}

func TestBothMakeTheSameSignatures(t *testing.T) {
	t.Parallel()
	for bits, key := range keys {
		for _, algorithm := range algorithms {
			c := compute(t, algorithm, key())
			for _, length := range []int{0, 1, 700, 8 << 10} {
				what := fmt.Sprintf("%d bits over %d bytes", bits, length)
				input := make([]byte, length)
				rand.Read(input)
				ours, err := c.sign(input)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				theirs, err := c.goSigner.Sign(input, c.private)
				if err != nil {
					t.Fatal(err)
				}
				// RFC 8017 §8.2: without a salt there is one signature; §8.1: with one there is never the same.
				if same := bytes.Equal(ours, theirs); same != strings.HasPrefix(algorithm, "RS") {
					t.Errorf("%s, %s: the same bytes: %v", algorithm, what, same)
				}
				if !c.judge(t, what+" by OpenSSL", input, ours) || !c.judge(t, what+" by Go", input, theirs) {
					t.Errorf("%s, %s: a good signature is refused", algorithm, what)
				}
			}
		}
	}
}

// RFC 7518 §3.5: the salt is as long as the hash.
func TestASaltOfAnotherLengthIsRefused(t *testing.T) {
	t.Parallel()
	c := compute(t, "PS256", keys[2048]())
	sum := sha256.Sum256([]byte("input"))
	for _, salt := range []int{rsa.PSSSaltLengthAuto, rsa.PSSSaltLengthEqualsHash, 0, 1, 31, 33, 64} {
		signature, err := rsa.SignPSS(rand.Reader, c.private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			t.Fatal(err)
		}
		if ok := c.judge(t, fmt.Sprintf("salt of %d", salt), []byte("input"), signature); ok != (salt == rsa.PSSSaltLengthEqualsHash) {
			t.Errorf("salt of %d: accepted %v", salt, ok)
		}
	}
	ours, err := c.sign([]byte("input"))
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPSS(&c.private.PublicKey, crypto.SHA256, sum[:], ours, &rsa.PSSOptions{SaltLength: sha256.Size}); err != nil {
		t.Errorf("our own salt is not as long as the hash: %v", err)
	}
}

func TestBothRefuseTheSameSignatures(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{2048, 2049} {
		for _, algorithm := range algorithms {
			c := compute(t, algorithm, keys[bits]())
			input := []byte("input")
			good, err := c.sign(input)
			if err != nil {
				t.Fatal(err)
			}
			stranger := compute(t, algorithm, keys[2055]())
			strangers, err := stranger.sign(input)
			if err != nil {
				t.Fatal(err)
			}
			// s + n is the same number modulo n: a second spelling of a good signature.
			sum := new(big.Int).Add(new(big.Int).SetBytes(good), c.private.N)
			for what, bad := range map[string][]byte{
				"none":             nil,
				"empty":            {},
				"one byte":         {0},
				"cut":              good[:len(good)-1],
				"longer":           append(bytes.Clone(good), 0),
				"led by a zero":    append([]byte{0}, good...),
				"zeros":            make([]byte, len(good)),
				"ones":             bytes.Repeat([]byte{0xff}, len(good)),
				"one":              append(make([]byte, len(good)-1), 1),
				"the modulus":      c.private.N.FillBytes(make([]byte, len(good))),
				"with the modulus": sum.FillBytes(make([]byte, (sum.BitLen()+7)/8)),
				"another key's":    strangers,
			} {
				if c.judge(t, what, input, bad) {
					t.Errorf("%s, %s: accepted", algorithm, what)
				}
			}
			for at := range good {
				bad := bytes.Clone(good)
				bad[at] ^= 1 << (at % 8)
				if c.judge(t, fmt.Sprintf("byte %d changed", at), input, bad) {
					t.Errorf("%s, byte %d changed: accepted", algorithm, at)
				}
			}
			if c.judge(t, "another input", []byte("inpuT"), good) {
				t.Errorf("%s: another input is accepted", algorithm)
			}
			// What failed leaves nothing behind that the next one trips over.
			if !c.judge(t, "good after bad", input, good) {
				t.Errorf("%s: a good signature is refused after bad ones", algorithm)
			}
		}
	}
}

// Another algorithm of the same key is another signature (RFC 8725 §3.1).
func TestAlgorithmsDoNotStandInForEachOther(t *testing.T) {
	t.Parallel()
	for _, one := range algorithms {
		signature, err := compute(t, one, keys[2048]()).sign([]byte("input"))
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range algorithms {
			if got := compute(t, other, keys[2048]()).judge(t, "signed by "+one, []byte("input"), signature); got != (one == other) {
				t.Errorf("%s signed, %s: accepted %v", one, other, got)
			}
		}
	}
	if _, err := openssl.Signer("ES256", keys[2048]()); err == nil {
		t.Error("an RSA key signs for ES256")
	}
}

// A key that cannot be is refused where it is read or where it is used, by both.
func TestBrokenKeysVerifyNothing(t *testing.T) {
	t.Parallel()
	good := compute(t, "RS256", keys[2048]())
	signature, err := good.sign([]byte("input"))
	if err != nil {
		t.Fatal(err)
	}
	even := new(big.Int).Lsh(good.private.N, 1)
	even.SetBit(even, 2048, 0)
	for what, public := range map[string]*rsa.PublicKey{
		"an even modulus":         {N: even, E: 65537},
		"a modulus of 17000 bits": {N: new(big.Int).SetBit(big.NewInt(1), 17000, 1), E: 65537},
		"another exponent":        {N: good.private.N, E: 3},
	} {
		bad := make([]byte, (public.N.BitLen()+7)/8)
		copy(bad[len(bad)-min(len(bad), len(signature)):], signature)
		verify, err := openssl.Verifier("RS256", public)
		if err == nil && verify([]byte("input"), bad) == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestManyGoroutinesShareAKey(t *testing.T) {
	t.Parallel()
	c := compute(t, "RS256", keys[2048]())
	pss := compute(t, "PS256", keys[2048]())
	want := make([][]byte, 50)
	for n := range want {
		var err error
		if want[n], err = c.goSigner.Sign([]byte{byte(n)}, c.private); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for n := range want {
		all.Go(func() {
			for round := range 20 {
				got, err := c.sign([]byte{byte(n)})
				if err != nil || !bytes.Equal(got, want[n]) {
					t.Errorf("goroutine %d: %v, the same bytes: %v", n, err, bytes.Equal(got, want[n]))
					return
				}
				salted, err := pss.sign([]byte{byte(n)})
				if err != nil || pss.verify([]byte{byte(n)}, salted) != nil {
					t.Errorf("goroutine %d: %v", n, err)
					return
				}
				// Bad ones between good ones leave errors on this thread.
				got[round] ^= 1
				if c.verify([]byte{byte(n)}, got) == nil || c.verify([]byte{byte(n)}, want[n]) != nil {
					t.Errorf("goroutine %d: a bad signature is accepted or a good one refused", n)
					return
				}
			}
		})
	}
	all.Wait()
}

// Not parallel: it counts what all keys of the process hold.
func TestKeysThatNobodyHoldsAreFreed(t *testing.T) {
	if err := openssl.Load(); err != nil {
		t.Skip(err)
	}
	func() {
		for range 20 {
			c := compute(t, "RS256", keys[2048]())
			signature, err := c.sign([]byte("input"))
			if err != nil || c.verify([]byte("input"), signature) != nil {
				t.Fatal(err)
			}
		}
		if _, err := openssl.Verifier("RS256", &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 17000, 1), E: 65537}); err != nil {
			t.Log(err)
		}
		if openssl.Held() == 0 {
			t.Fatal("nothing is counted")
		}
	}()
	for end := time.Now().Add(20 * time.Second); openssl.Held() > 0; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d objects are left in the library's memory", openssl.Held())
		}
		runtime.GC()
	}
}

// Nothing is accepted by one that the other refuses, whatever the bytes are.
func FuzzBothJudgeAlike(f *testing.F) {
	var all []*computed
	for _, algorithm := range algorithms {
		c := compute(f, algorithm, keys[2048]())
		signature, err := c.sign([]byte("input"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte("input"), signature)
		all = append(all, c)
	}
	f.Fuzz(func(t *testing.T, input, signature []byte) {
		for _, c := range all {
			c.judge(t, "fuzzed", input, signature)
			// Of another length it gets nowhere.
			fitting := make([]byte, c.private.Size())
			copy(fitting, signature)
			c.judge(t, "fuzzed, of the right length", input, fitting)
		}
	})
}
