package pkcs1_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token/pkcs1"
)

var algorithms = map[string]crypto.Hash{"RS256": crypto.SHA256, "RS384": crypto.SHA384, "RS512": crypto.SHA512}

var input = []byte("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9")

// judges are ours and the standard library's, which must agree.
type judges struct {
	name   string
	hash   crypto.Hash
	public *rsa.PublicKey
	ours   func(input, signature []byte) error
}

func newJudges(t testing.TB, algorithm string, public *rsa.PublicKey) judges {
	t.Helper()
	verify, err := pkcs1.Verifier(algorithm, public)
	if err != nil {
		t.Fatal(err)
	}
	return judges{algorithm, algorithms[algorithm], public, verify}
}

func (j judges) agree(t testing.TB, what string, signature []byte, good bool) {
	t.Helper()
	h := j.hash.New()
	h.Write(input)
	if theirs := rsa.VerifyPKCS1v15(j.public, j.hash, h.Sum(nil), signature) == nil; theirs != good {
		t.Errorf("%s %s: crypto/rsa accepts it: %v", j.name, what, theirs)
	}
	if ours := j.ours(input, signature) == nil; ours != good {
		t.Errorf("%s %s: accepted: %v", j.name, what, ours)
	}
}

func generate(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func TestSignaturesOfKeysOfAnySize(t *testing.T) {
	for _, bits := range []int{2048, 2050, 2056, 3072, 4096} {
		private := generate(t, bits)
		for algorithm, hash := range algorithms {
			j := newJudges(t, algorithm, &private.PublicKey)
			h := hash.New()
			h.Write(input)
			signature, err := rsa.SignPKCS1v15(nil, private, hash, h.Sum(nil))
			if err != nil {
				t.Fatal(err)
			}
			j.agree(t, fmt.Sprintf("of %d bits", bits), signature, true)
			for at := range signature { // any bit, of any byte
				wrong := bytes.Clone(signature)
				wrong[at] ^= 1 << (at % 8)
				j.agree(t, fmt.Sprintf("of %d bits, byte %d", bits, at), wrong, false)
			}
		}
	}
}

// What a signature holds is made by hand, with the private key: all the ways of
// RFC 8017 §8.2.2 in which it can be wrong, some of which others have read over.
func TestWhatASignatureHoldsIsComparedWhole(t *testing.T) {
	private := generate(t, 2048)
	j := newJudges(t, "RS256", &private.PublicKey)
	const info = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
	sum := sha256.Sum256(input)
	digest, other := string(sum[:]), sha256.Sum256([]byte("another"))
	ff := func(n int) string { return strings.Repeat("\xff", n) }
	const most = 256 - 3 - len(info) - 32
	for what, c := range map[string]struct {
		message string
		good    bool
	}{
		"right":                         {"\x00\x01" + ff(most) + "\x00" + info + digest, true},
		"of another text":               {"\x00\x01" + ff(most) + "\x00" + info + string(other[:]), false},
		"kind 2":                        {"\x00\x02" + ff(most) + "\x00" + info + digest, false},
		"kind 0":                        {"\x00\x00" + ff(most) + "\x00" + info + digest, false},
		"a first byte":                  {"\x01\x01" + ff(most) + "\x00" + info + digest, false},
		"padding of zeros":              {"\x00\x01" + strings.Repeat("\x00", most) + "\x00" + info + digest, false},
		"one byte of the padding":       {"\x00\x01" + ff(most-1) + "\xfe\x00" + info + digest, false},
		"no end of the padding":         {"\x00\x01" + ff(most) + "\xff" + info + digest, false},
		"something behind":              {"\x00\x01" + ff(8) + "\x00" + info + digest + strings.Repeat("\x00", most-8), false},
		"something before":              {"\x00\x01" + ff(8) + "\x00" + strings.Repeat("\x00", most-8) + info + digest, false},
		"without the algorithm's NULL":  {"\x00\x01" + ff(most+2) + "\x00\x30\x2f\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x04\x20" + digest, false},
		"another hash's name":           {"\x00\x01" + ff(most) + "\x00" + strings.Replace(info, "\x02\x01\x05", "\x02\x02\x05", 1) + digest, false},
		"garbage in the NULL":           {"\x00\x01" + ff(most) + "\x00" + strings.Replace(info, "\x05\x00", "\x05\x01", 1) + digest, false},
		"a length of several bytes":     {"\x00\x01" + ff(most-1) + "\x00\x30\x81\x31" + info[2:] + digest, false},
		"nothing but the digest":        {"\x00\x01" + ff(most+len(info)) + "\x00" + digest, false},
		"a digest that is cut":          {"\x00\x01" + ff(most+1) + "\x00" + info + digest[:31], false},
		"the digest's first byte, zero": {"\x00\x01" + ff(most) + "\x00" + info + "\x00" + digest[1:], digest[0] == 0},
	} {
		if len(c.message) != 256 {
			t.Fatalf("%s: %d bytes", what, len(c.message))
		}
		m := new(big.Int).SetBytes([]byte(c.message))
		j.agree(t, what, m.Exp(m, private.D, private.N).FillBytes(make([]byte, 256)), c.good)
	}
}

func TestSignaturesThatAreNoNumberOfTheKey(t *testing.T) {
	private := generate(t, 2048)
	j := newJudges(t, "RS256", &private.PublicKey)
	sum := sha256.Sum256(input)
	right, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	j.agree(t, "right", right, true)
	j.agree(t, "with a zero in front", append([]byte{0}, right...), false)
	j.agree(t, "with a zero behind", append(bytes.Clone(right), 0), false)
	j.agree(t, "cut", right[:255], false)
	j.agree(t, "nothing", nil, false)
	j.agree(t, "zero", make([]byte, 256), false)
	for what, n := range map[string]*big.Int{
		"one":               big.NewInt(1),
		"the modulus":       private.N,
		"the modulus and 1": new(big.Int).Add(private.N, big.NewInt(1)),
		"one less than it":  new(big.Int).Sub(private.N, big.NewInt(1)),
		"the largest":       new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 2048), big.NewInt(1)),
	} {
		j.agree(t, what, n.FillBytes(make([]byte, 256)), false)
	}
	// Another number with the same rest is another signature: one token, one spelling.
	if more := new(big.Int).Add(new(big.Int).SetBytes(right), private.N); more.BitLen() <= 2048 {
		j.agree(t, "with the modulus added", more.FillBytes(make([]byte, 256)), false)
	}
}

func TestExponents(t *testing.T) {
	for _, e := range []int{3, 17, 65537, 1<<31 - 1} {
		private := withExponent(t, e)
		j := newJudges(t, "RS256", &private.PublicKey)
		sum := sha256.Sum256(input)
		m := new(big.Int).SetBytes([]byte("\x00\x01" + strings.Repeat("\xff", 202) + "\x00\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20" + string(sum[:])))
		j.agree(t, fmt.Sprint("e = ", e), m.Exp(m, private.D, private.N).FillBytes(make([]byte, 256)), true)
	}
	n := new(big.Int).Lsh(big.NewInt(1), 2047)
	for want, public := range map[string]*rsa.PublicKey{
		"an RSA modulus is odd": {N: n, E: 65537},
		"an RSA exponent is odd, at least 3, and has at most 31 bits": {N: new(big.Int).SetBit(n, 0, 1), E: 1<<31 + 1},
		"an RSA key too short for the hash":                           {N: big.NewInt(3 * 5), E: 65537},
	} {
		if _, err := pkcs1.Verifier("RS512", public); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := pkcs1.Verifier("PS256", &rsa.PublicKey{N: n, E: 65537}); err == nil {
		t.Error("PS256 is of another kind")
	}
}

// withExponent makes a key that crypto/rsa would not.
func withExponent(t *testing.T, e int) *rsa.PrivateKey {
	t.Helper()
	one := big.NewInt(1)
	for {
		p, err := rand.Prime(rand.Reader, 1024)
		q, err2 := rand.Prime(rand.Reader, 1024)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		n := new(big.Int).Mul(p, q)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		if d := new(big.Int).ModInverse(big.NewInt(int64(e)), phi); d != nil && n.BitLen() == 2048 {
			return &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: e}, D: d}
		}
	}
}

func FuzzVerdictIsTheStandardLibrarys(f *testing.F) {
	private := generate(f, 2048)
	j := newJudges(f, "RS256", &private.PublicKey)
	sum := sha256.Sum256(input)
	right, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(right)
	f.Add(right[:255])
	f.Fuzz(func(t *testing.T, signature []byte) {
		j.agree(t, "found", signature, rsa.VerifyPKCS1v15(j.public, crypto.SHA256, sum[:], signature) == nil)
	})
}
