package token_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// The documented tokens were issued at this second.
var documented = time.Unix(1640588828, 0)

var documentedWant = token.Want{
	Issuer:    "https://sample.portal.tencentciam.com",
	Audiences: []string{"TENANT_CLIENT_ID"},
}

func golden(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(text))
}

func documentedKeys(t testing.TB) *token.Set {
	t.Helper()
	keys, err := underTest.ParseJWKS([]byte(golden(t, "jwks.json")))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestDocumentedTokenVerifies(t *testing.T) {
	raw := golden(t, "client_credentials_access.jwt")
	claims, err := token.Verify(raw, documentedKeys(t), documentedWant, documented.Add(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if claims.Subject != "TENANT_CLIENT_ID" || claims.ClientID != "TENANT_CLIENT_ID" ||
		claims.ID != "9939bc3f-5edf-46c3-8f5c-2b1dc1acfa90" || claims.Text("scope") != "identity_proofing" ||
		claims.Expires-claims.IssuedAt != 300 {
		t.Errorf("claims: %+v", claims)
	}
}

func TestDocumentedTokenEnds(t *testing.T) {
	raw := golden(t, "client_credentials_access.jwt")
	for _, c := range []struct {
		after time.Duration
		want  error
	}{
		{-time.Second, token.ErrNotYet},
		{299 * time.Second, nil},
		{300 * time.Second, token.ErrExpired},
		{301 * time.Second, token.ErrExpired},
	} {
		if _, err := token.Verify(raw, documentedKeys(t), documentedWant, documented.Add(c.after)); !errors.Is(err, c.want) {
			t.Errorf("%v after it was issued: %v, want %v", c.after, err, c.want)
		}
	}
}

func TestDocumentedTokenWithOneBitFlipped(t *testing.T) {
	raw := golden(t, "client_credentials_access.jwt")
	parts := strings.Split(raw, ".")
	keys := documentedKeys(t)
	for i, part := range parts {
		data, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range len(data) * 8 {
			data[bit/8] ^= 1 << (bit % 8)
			parts[i] = base64.RawURLEncoding.EncodeToString(data)
			if _, err := token.Verify(strings.Join(parts, "."), keys, documentedWant, documented.Add(10*time.Second)); err == nil {
				t.Errorf("part %d, bit %d: accepted", i, bit)
			}
			data[bit/8] ^= 1 << (bit % 8)
		}
		parts[i] = part
	}
}

// The documented ID token has the issuer, audience, key and typ of the access
// token beside it. Its key was not published, so its payload is signed again
// to see that its kind, and not its signature, is what refuses it.
func TestDocumentedIDTokenIsNoAccessToken(t *testing.T) {
	now := documented.Add(10 * time.Second)
	if _, err := token.Verify(golden(t, "password_identity.jwt"), documentedKeys(t), documentedWant, now); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("as it is: %v, want %v", err, token.ErrUnknownKey)
	}
	key, err := token.Generate(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	ring := token.NewRing([]*token.Key{key})
	for name, want := range map[string]error{"password_identity.jwt": token.ErrType, "password_access.jwt": nil} {
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(golden(t, name), ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		raw, err := key.Sign(token.TypeJWT, payload)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := token.Verify(raw, ring, documentedWant, now); !errors.Is(err, want) {
			t.Errorf("%s signed by a known key: %v, want %v", name, err, want)
		}
	}
}

// Payloads have the documented members in the documented order.
func TestPayloadsAsDocumented(t *testing.T) {
	access := token.Access{
		Issuer: "https://sample.portal.tencentciam.com", Subject: "MOCK_USER_ID", Audience: "TENANT_CLIENT_ID",
		ID: "5486a5da-14a6-43dd-81cd-106db05a22ff", Scopes: []string{"openid"},
		IssuedAt: time.Unix(1640588826, 0), Expires: time.Unix(1640589126, 0),
	}
	identity := token.Identity{
		Issuer: "https://sample.portal.tencentciam.com", Subject: "MOCK_USER_ID", ClientID: "TENANT_CLIENT_ID",
		ID: "4384950a-391e-4708-b1ca-9f5d7437d7d2", IssuedAt: time.Unix(1640588826, 0), Expires: time.Unix(1640590626, 0),
	}
	for name, payload := range map[string]func() ([]byte, error){
		"password_access.jwt": access.Payload, "password_identity.jwt": identity.Payload,
	} {
		got, err := payload()
		if err != nil {
			t.Fatal(err)
		}
		want, err := base64.RawURLEncoding.DecodeString(strings.Split(golden(t, name), ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		// The documents escape slashes, which has no meaning in JSON.
		if want := strings.ReplaceAll(string(want), `\/`, `/`); string(got) != want {
			t.Errorf("%s\n got %s\nwant %s", name, got, want)
		}
	}
}
