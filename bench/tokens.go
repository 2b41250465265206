package main

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

var (
	expiredToken string
	b64          = base64.RawURLEncoding
)

// prepare makes the foreign issuer's keys and the sites' certificate, and starts
// the upstream and the gateway for messages.
func prepare() error {
	jwks, err := makeForeign()
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(&foreign.rsa.public)
	if err != nil {
		return err
	}
	site, err := certify()
	if err != nil {
		return err
	}
	keys := filepath.Join(work, "keys")
	if err := os.MkdirAll(keys, 0o755); err != nil {
		return err
	}
	for name, text := range map[string][]byte{"jwks.json": jwks, "public.pem": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "site.pem": site} {
		if err := os.WriteFile(filepath.Join(keys, name), text, 0o600); err != nil {
			return err
		}
	}
	if expiredToken, err = foreignToken("RS256", 0, time.Now().Add(-time.Hour)); err != nil {
		return err
	}
	messages.open()
	return serveUpstream()
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
	res, err := c.Post(s.base+path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
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
