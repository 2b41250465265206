package token_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token/openssl"
)

// needOpenSSL skips where there is none, which is every build without its tag.
func needOpenSSL(t *testing.T) {
	t.Helper()
	if err := token.OpenSSL.Check(); err != nil {
		t.Skip(err)
	}
}

// as reads a key once more, for a crypto.
func as(t *testing.T, crypto token.Crypto, key *token.Key) *token.Key {
	t.Helper()
	der, err := key.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := crypto.ParseKey(key.ID, key.Algorithm, der)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestWhoComputesCannotBeSeen(t *testing.T) {
	needOpenSSL(t)
	for _, alg := range algorithms {
		made := generate(t, alg)
		var tokens []string
		var holders []token.Keys // of the public key: our ring, and those who fetch the set
		for _, crypto := range []token.Crypto{token.Go, token.OpenSSL} {
			key := as(t, crypto, made)
			raw, err := key.Sign(token.TypeJWT, []byte(payload(nil)))
			if err != nil {
				t.Fatal(err)
			}
			ring := token.NewRing([]*token.Key{key})
			set, err := crypto.ParseJWKS(ring.JWKS(testNow))
			if err != nil {
				t.Fatal(err)
			}
			tokens, holders = append(tokens, raw), append(holders, ring, set)
		}
		if same := tokens[0] == tokens[1]; same != (alg == token.RS256 || alg == token.EdDSA) {
			t.Errorf("%s: one token of both: %v", alg, same)
		}
		for _, raw := range tokens {
			for n, keys := range holders {
				if _, err := token.Verify(raw, keys, ownWant, testNow); err != nil {
					t.Errorf("%s, holder %d: %v", alg, n, err)
				}
				if _, err := token.Verify(raw[:len(raw)-8]+"AAAAAAAA", keys, ownWant, testNow); !errors.Is(err, token.ErrSignature) {
					t.Errorf("%s, holder %d, another signature: %v", alg, n, err)
				}
			}
		}
		one, other := as(t, token.Go, made).Public(), as(t, token.OpenSSL, made).Public()
		if !one.Same(other) || !other.Same(one) {
			t.Errorf("%s: the key is another one to OpenSSL", alg)
		}
		if text := fmt.Sprintf("%v %+v %#v", as(t, token.OpenSSL, made), as(t, token.OpenSSL, made), as(t, token.OpenSSL, made)); strings.Contains(text, "0x") {
			t.Errorf("%s: a key prints more than its name: %s", alg, text)
		}
	}
}

// A key that is rotated out leaves OpenSSL's memory too, and so does the set of a
// foreign issuer that has been fetched anew.
func TestKeysRotatedOutAreFreed(t *testing.T) {
	needOpenSSL(t)
	before := settled(t, 0) // keys of other tests that are still in use
	made := generate(t, token.RS256)
	var ring *token.Ring
	var set *token.Set
	for range 10 {
		key := as(t, token.OpenSSL, made)
		ring = token.NewRing([]*token.Key{key})
		raw, err := key.Sign(token.TypeJWT, []byte(payload(nil)))
		if err != nil {
			t.Fatal(err)
		}
		if set, err = token.OpenSSL.ParseJWKS(ring.JWKS(testNow)); err != nil {
			t.Fatal(err)
		}
		if _, err := token.Verify(raw, set, ownWant, testNow); err != nil {
			t.Fatal(err)
		}
	}
	if openssl.Held() <= before {
		t.Fatal("nothing is counted")
	}
	runtime.KeepAlive(ring)
	runtime.KeepAlive(set)
	settled(t, before)
}

// settled collects until OpenSSL holds no more than most, or as little as it will.
func settled(t *testing.T, most int) int {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	least := openssl.Held()
	for same := 0; openssl.Held() > most; {
		runtime.GC()
		switch now := openssl.Held(); {
		case now < least:
			least, same = now, 0
		case most == 0 && same > 20:
			return least
		case time.Now().After(end):
			t.Fatalf("OpenSSL holds %d objects, and should %d", now, most)
		default:
			same++
		}
	}
	return openssl.Held()
}

func TestCryptoIsGoOrOpenSSL(t *testing.T) {
	for crypto, ok := range map[token.Crypto]bool{"": true, token.Go: true, "boringssl": false} {
		if err := crypto.Check(); (err == nil) != ok {
			t.Errorf("%q: %v", crypto, err)
		}
	}
	// Without the library its keys are refused, not signed with something else.
	if why := token.OpenSSL.Check(); why != nil {
		der, err := generate(t, token.RS256).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := token.OpenSSL.ParseKey("k", token.RS256, der); err == nil || !strings.Contains(err.Error(), why.Error()) {
			t.Errorf("a key for OpenSSL, although %v: %v", why, err)
		}
	}
}
