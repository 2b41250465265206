package vectors

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token/openssl"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token/pkcs1"
)

// rsaGroup is signatures of one RSA key.
type rsaGroup struct {
	Public     hexed  `json:"publicKeyAsn"` // PKCS #1
	Private    hexed  `json:"privateKeyPkcs8"`
	Hash       string `json:"sha"`
	MaskHash   string `json:"mgfSha"`
	SaltLength int    `json:"sLen"`
	Tests      []struct {
		ID      int    `json:"tcId"`
		Comment string `json:"comment"`
		Message hexed  `json:"msg"`
		Sig     hexed  `json:"sig"`
		Result  string `json:"result"`
	}
}

// hexed is bytes in hexadecimal.
type hexed []byte

func (t *hexed) UnmarshalText(s []byte) (err error) {
	*t, err = hex.DecodeString(string(s))
	return err
}

// ours are the hashes of RFC 7518, by their names there.
var ours = map[string]struct {
	bits string
	hash crypto.Hash
}{"SHA-256": {"256", crypto.SHA256}, "SHA-384": {"384", crypto.SHA384}, "SHA-512": {"512", crypto.SHA512}}

func readRSA(t *testing.T, pattern string) (groups []rsaGroup) {
	t.Helper()
	names, err := fs.Glob(wycheproof.TestVectors, pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no files: %v", pattern, err)
	}
	for _, name := range names {
		content, err := fs.ReadFile(wycheproof.TestVectors, name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ TestGroups []rsaGroup }
		if err := json.Unmarshal(content, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, g := range file.TestGroups {
			if _, known := ours[g.Hash]; known {
				groups = append(groups, g)
			}
		}
	}
	return groups
}

// Go's code, ours and OpenSSL's judge every signature as the vectors say, and alike.
func TestRSASignatureVectors(t *testing.T) {
	for scheme, c := range map[string]struct {
		pattern string
		want    tally
	}{
		"RS": {"rsa_signature_*_test.json", tally{"valid": 89, "invalid": 3005, "acceptable": 12}},
		"PS": {"rsa_pss_*_test.json", tally{"valid": 775, "invalid": 411, "by other rules": 1020}},
	} {
		got := tally{}
		for _, g := range readRSA(t, c.pattern) {
			g.judge(t, scheme, got)
		}
		got.want(t, c.want)
	}
}

func (g rsaGroup) judge(t *testing.T, scheme string, seen tally) {
	public, err := x509.ParsePKCS1PublicKey(g.Public)
	if err != nil {
		t.Fatal(err)
	}
	algorithm, hash := scheme+ours[g.Hash].bits, ours[g.Hash].hash
	// RFC 7518 §3.5 leaves one choice of all that PSS has.
	other := scheme == "PS" && (g.MaskHash != g.Hash || g.SaltLength != hash.Size())
	byOpenSSL, missing := openssl.Verifier(algorithm, public)
	if missing != nil && openssl.Load() == nil {
		t.Fatal(missing)
	}
	ours := func(_, _ []byte) error { return nil }
	if scheme == "RS" {
		if ours, err = pkcs1.Verifier(algorithm, public); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range g.Tests {
		sum := hash.New()
		sum.Write(v.Message)
		var refusal error
		if scheme == "PS" {
			refusal = rsa.VerifyPSS(public, hash, sum.Sum(nil), v.Sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			refusal = rsa.VerifyPKCS1v15(public, hash, sum.Sum(nil), v.Sig)
		}
		kind := v.Result
		if other {
			kind = "by other rules"
		}
		seen[kind]++
		// A salt of another length than the group's may be of ours.
		if good := refusal == nil; good != (kind == "valid") && !other {
			t.Errorf("%s %d %s, %s: Go accepts %v", algorithm, v.ID, v.Comment, kind, good)
		}
		if err := ours(v.Message, v.Sig); scheme == "RS" && (err == nil) != (refusal == nil) {
			t.Errorf("%s %d %s, %s: ours says %v, Go %v", algorithm, v.ID, v.Comment, kind, err, refusal)
		}
		if missing != nil {
			continue
		}
		if err := byOpenSSL(v.Message, v.Sig); (err == nil) != (refusal == nil) {
			t.Errorf("%s %d %s, %s: OpenSSL says %v, Go %v", algorithm, v.ID, v.Comment, kind, err, refusal)
		}
	}
}

// What OpenSSL signs is what the vectors have, byte by byte.
func TestRSASigningVectors(t *testing.T) {
	if err := openssl.Load(); err != nil {
		t.Skip(err)
	}
	signed := 0
	for _, g := range readRSA(t, "rsa_pkcs1_*_sig_gen_test.json") {
		private, err := x509.ParsePKCS8PrivateKey(g.Private)
		if err != nil {
			t.Fatal(err)
		}
		sign, err := openssl.Signer("RS"+ours[g.Hash].bits, private.(*rsa.PrivateKey))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range g.Tests {
			signed++
			if got, err := sign(v.Message); err != nil || !bytes.Equal(got, v.Sig) {
				t.Errorf("%s %d %s: %v", g.Hash, v.ID, v.Comment, fmt.Sprint(err, len(got)))
			}
		}
	}
	if signed < 30 {
		t.Errorf("%d signatures were made", signed)
	}
}
