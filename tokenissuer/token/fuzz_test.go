package token_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Nothing is accepted that we did not sign: whatever becomes of good tokens,
// as text or inside one of their parts, what verifies is one of them.
func FuzzVerify(f *testing.F) {
	var keys []*token.Key
	for _, alg := range algorithms {
		keys = append(keys, generate(f, alg))
	}
	ring := token.NewRing(keys)
	var signed []string
	for _, key := range keys {
		for _, typ := range []string{token.TypeJWT, token.TypeAccess} {
			raw, err := key.Sign(typ, []byte(payload(nil)))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw, uint8(len(signed)), uint8(0), uint16(5), byte(1), "")
			f.Add(raw+".", uint8(len(signed)), uint8(1), uint16(9), byte(0), `,"sub":"admin"`)
			signed = append(signed, raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw string, which, part uint8, at uint16, flip byte, insert string) {
		mutant := mutate(signed[int(which)%len(signed)], int(part)%3, int(at), flip, insert)
		for _, text := range []string{raw, mutant} {
			for _, want := range []token.Want{ownWant, leniency} {
				if _, err := token.Verify(text, ring, want, testNow); err == nil && !isOneOf(signed, text) {
					t.Errorf("accepted, and never signed: %s", text)
				}
			}
		}
	})
}

// mutate changes one decoded part, so that the change is not just bad base64.
func mutate(raw string, part, at int, flip byte, insert string) string {
	parts := strings.Split(raw, ".")
	data := []byte(decode(parts[part]))
	at %= len(data)
	data[at] ^= flip
	parts[part] = encode(string(slices.Insert(data, at, []byte(insert)...)))
	return strings.Join(parts, ".")
}

// isOneOf compares bytes. Of an ECDSA token it compares the signed part: from
// (r, s) anybody can compute (r, n-s), which signs the same.
func isOneOf(signed []string, raw string) bool {
	return slices.ContainsFunc(signed, func(s string) bool {
		head, _, _ := strings.Cut(s, ".")
		body := s[:strings.LastIndex(s, ".")+1]
		return s == raw || strings.Contains(decode(head), `"ES256"`) && strings.HasPrefix(raw, body)
	})
}

// What we write, we read back: every claim, whatever its text.
func FuzzAccessReadsBack(f *testing.F) {
	key := generate(f, token.EdDSA)
	ring := token.NewRing([]*token.Key{key})
	f.Add("alice", "shop", "openid orders:read", "1", int64(300))
	f.Add("\"\\\u2028<&>", "ü\n\x00", " ", "\u007f", int64(2))
	f.Add("\"\\\n\x00\u2028<&>", "ü", " ", "\u007f", int64(1))
	f.Fuzz(func(t *testing.T, sub, aud, scopes, id string, lifetime int64) {
		if sub == "" || lifetime < 1 || lifetime > 1<<40 || len(sub)+len(aud)+len(scopes)+len(id) > 1000 {
			return
		}
		for _, s := range []string{sub, aud, scopes, id} {
			if !utf8.ValidString(s) {
				return
			}
		}
		a := token.Access{
			Issuer: testIssuer, Subject: sub, Audience: aud, ID: id, Scopes: strings.Split(scopes, " "),
			IssuedAt: testNow, Expires: time.Unix(testNow.Unix()+lifetime, 0),
		}
		text, err := a.Payload()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := key.Sign(token.TypeJWT, text)
		if err != nil {
			t.Fatal(err)
		}
		c, err := token.Verify(raw, ring, token.Want{Issuer: testIssuer, Audiences: []string{aud}}, testNow)
		if !token.IsPresentable(sub) && errors.Is(err, token.ErrMalformed) {
			return // nobody is called so
		}
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if c.Subject != sub || c.ID != id || !slices.Equal(c.Scopes, a.Scopes) || c.Expires != testNow.Unix()+lifetime || c.ClientID != aud {
			t.Errorf("%s read as %+v", text, c)
		}
	})
}

// A key set that is read has a key, and none of them verifies what a stranger
// signed: no text makes a key that accepts anything.
func FuzzParseJWKS(f *testing.F) {
	for _, alg := range algorithms {
		f.Add(token.NewRing([]*token.Key{generate(f, alg)}).JWKS(testNow))
	}
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`))
	stranger := newForger(f)
	raw := stranger.good()
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := underTest.ParseJWKS(text)
		if err != nil {
			return
		}
		if set.Len() == 0 {
			t.Error("an empty set was read")
		}
		if _, err := token.Verify(raw, set, leniency, testNow); err == nil {
			t.Errorf("it verifies a stranger's token: %s", text)
		}
	})
}
