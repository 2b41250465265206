package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

var (
	foreignTokens []string // good for a day, of an issuer that every gate here is told to trust
	expiredToken  string
	b64           = base64.RawURLEncoding
)

// prepare makes the foreign issuer's key and tokens, and starts the upstream and
// the gateway for messages.
func prepare() error {
	keys := filepath.Join(work, "keys")
	if err := os.MkdirAll(keys, 0o755); err != nil {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(keys, "public.pem"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644); err != nil {
		return err
	}
	jwks := fmt.Sprintf(`{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"foreign","n":%q,"e":%q}]}`,
		b64.EncodeToString(key.N.Bytes()), b64.EncodeToString(big.NewInt(int64(key.E)).Bytes()))
	if err := os.WriteFile(filepath.Join(keys, "jwks.json"), []byte(jwks), 0o644); err != nil {
		return err
	}
	now := time.Now()
	for i := range 2000 {
		raw, err := foreignToken(key, i, now.Add(24*time.Hour))
		if err != nil {
			return err
		}
		foreignTokens = append(foreignTokens, raw)
	}
	if expiredToken, err = foreignToken(key, 0, now.Add(-time.Hour)); err != nil {
		return err
	}
	messages.open()
	return serveUpstream()
}

// foreignToken is as large as a user's access token, about 750 bytes.
func foreignToken(key *rsa.PrivateKey, i int, expires time.Time) (string, error) {
	head := b64.EncodeToString([]byte(`{"kid":"foreign","typ":"JWT","alg":"RS256"}`))
	issued := expires.Add(-25 * time.Hour).Unix()
	payload, err := json.Marshal(map[string]any{
		"sub": fmt.Sprintf("user-%08d", i), "aud": "bench", "nbf": issued, "scope": []string{"api:read"}, "iss": foreignIssuer, "exp": expires.Unix(), "iat": issued,
		"jti": fmt.Sprintf("5486a5da-14a6-43dd-81cd-%012d", i), "email": fmt.Sprintf("user-%08d@example.com", i),
	})
	if err != nil {
		return "", err
	}
	in := head + "." + b64.EncodeToString(payload)
	sum := sha256.Sum256([]byte(in))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	return in + "." + b64.EncodeToString(signature), err
}

// answer is what a token endpoint says.
type answer struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

func (s *server) ask(c *http.Client, form url.Values) (answer, error) {
	var a answer
	path := "/oauth2/token"
	if s.needs == "node" {
		path = "/token"
	}
	res, err := c.Post("http://127.0.0.1:"+s.port+path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(body, &a); err != nil || res.StatusCode != http.StatusOK || a.AccessToken == "" {
		return a, fmt.Errorf("answer %d %.200s", res.StatusCode, body)
	}
	return a, nil
}

// collect gets n tokens from the server itself.
func (s *server) collect(n int) error {
	for range n {
		a, err := s.ask(browser, s.form)
		if err != nil {
			return err
		}
		s.tokens = append(s.tokens, a.AccessToken)
	}
	return nil
}

// prove makes sure that the server does the work its row claims: a fast answer to everything is not a gate.
func (s *server) prove() error {
	if s.kind == token {
		earn, err := s.earner(browser)
		if err != nil {
			return err
		}
		first, err := earn()
		if err != nil {
			return err
		}
		second, err := earn()
		if err != nil {
			return err
		}
		if first.AccessToken == second.AccessToken {
			return fmt.Errorf("the same token twice")
		}
		var head struct{ Alg string }
		text, _ := b64.DecodeString(strings.Split(first.AccessToken, ".")[0])
		if json.Unmarshal(text, &head) != nil || head.Alg != s.algorithm {
			return fmt.Errorf("signs with %q, not %s", head.Alg, s.algorithm)
		}
		return nil
	}
	if !s.guards {
		return nil
	}
	good := s.tokens[0]
	dot := strings.LastIndexByte(good, '.')
	other := byte('A')
	if good[dot+40] == other {
		other = 'B'
	}
	for name, raw := range map[string]string{"no token": "", "a changed token": good[:dot+40] + string(other) + good[dot+41:], "an expired token": expiredToken} {
		if err := s.get(browser, raw, http.StatusUnauthorized); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
