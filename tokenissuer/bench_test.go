package tokenissuer_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/sqlite"
)

// benchIssuer is an issuer without a network in front of it.
func benchIssuer(b *testing.B, algorithm string) *tokenissuer.Issuer {
	b.Helper()
	return benchConfig(b, tokenissuer.Config{SigningAlgorithm: algorithm, Clients: clients()})
}

func benchConfig(b *testing.B, config tokenissuer.Config) *tokenissuer.Issuer {
	b.Helper()
	config.Issuer = "https://auth.example.com"
	st, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "issuer.db"))
	if err != nil {
		b.Fatal(err)
	}
	state, err := tokenissuer.OpenState(b.Context(), st, config.KeyRules(""), func(err error) { b.Error(err) })
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := state.Close(); err != nil {
			b.Error(err)
		}
	})
	i, err := tokenissuer.New(config, state)
	if err != nil {
		b.Fatal(err)
	}
	return i
}

func ask(b *testing.B, i *tokenissuer.Issuer, body string) []byte {
	b.Helper()
	r := httptest.NewRequest(http.MethodPost, "/oauth2/token", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		b.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// BenchmarkBareRSA is what one RS256 token costs at the least.
func BenchmarkBareRSA(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("token"))
	for b.Loop() {
		if _, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClientCredentials(b *testing.B) {
	for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			i := benchIssuer(b, alg)
			body := form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret)
			b.ReportAllocs()
			for b.Loop() {
				ask(b, i, body)
			}
		})
	}
}

func BenchmarkPassword(b *testing.B) {
	i := benchIssuer(b, "ES256")
	benchUser(b, i)
	for b.Loop() {
		ask(b, i, signIn("spa", "alice"))
	}
}

// BenchmarkRefresh is one durable write and two signatures.
func BenchmarkRefresh(b *testing.B) {
	for name, client := range map[string]string{"rotate": "spa", "reuse": "shop"} {
		b.Run(name, func(b *testing.B) {
			i := benchIssuer(b, "ES256")
			benchUser(b, i)
			suffix := ""
			if client == "shop" {
				suffix = "&client_secret=" + secret
			}
			var last struct {
				RefreshToken string `json:"refresh_token"`
			}
			body := ask(b, i, signIn(client, "alice")+suffix)
			b.ReportAllocs()
			for b.Loop() {
				if err := json.Unmarshal(body, &last); err != nil {
					b.Fatal(err)
				}
				body = ask(b, i, refresh(client, last.RefreshToken)+suffix)
			}
		})
	}
}

// BenchmarkCode is the two requests that a token takes once a browser is signed
// in: one for a code, and one that redeems it with PKCE.
func BenchmarkCode(b *testing.B) {
	config := authorizing()
	config.SigningAlgorithm = "ES256"
	i := benchConfig(b, config)
	benchUser(b, i)
	cookies := map[string]string{}
	path := authorizePath("spa", "code_challenge", challenge(), "code_challenge_method", "S256")
	page := browse(b, i, cookies, http.MethodGet, path, "")
	for strings.HasPrefix(page.Header().Get("Location"), "https://auth.example.com/") {
		page = browse(b, i, cookies, http.MethodGet, strings.TrimPrefix(page.Header().Get("Location"), "https://auth.example.com"), "")
	}
	fields := []string{"username", "alice", "password", password}
	for _, h := range hidden.FindAllStringSubmatch(page.Body.String(), -1) {
		fields = append(fields, h[1], html.UnescapeString(h[2]))
	}
	action := formAction.FindStringSubmatch(page.Body.String())
	if action == nil {
		b.Fatalf("no form: %d %s", page.Code, page.Body)
	}
	browse(b, i, cookies, http.MethodPost, html.UnescapeString(action[1]), form(fields...))
	b.ReportAllocs()
	for b.Loop() {
		to, err := url.Parse(browse(b, i, cookies, http.MethodGet, path, "").Header().Get("Location"))
		if err != nil || to.Query().Get("code") == "" {
			b.Fatalf("%v, %v", to, err)
		}
		ask(b, i, form("grant_type", "authorization_code", "client_id", "spa", "code", to.Query().Get("code"), "redirect_uri", callback, "code_verifier", verifier))
	}
}

// browse is a request of a browser with these cookies.
func browse(b *testing.B, i *tokenissuer.Issuer, cookies map[string]string, method, path, body string) *httptest.ResponseRecorder {
	b.Helper()
	r := httptest.NewRequest(method, "https://auth.example.com"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "https://auth.example.com")
	}
	for name, value := range cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	if w.Code >= http.StatusBadRequest {
		b.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	for _, c := range w.Result().Cookies() {
		cookies[c.Name] = c.Value
	}
	return w
}

// BenchmarkOneTimeCode is a code sent by a webhook on loopback, and the request
// that shows it.
func BenchmarkOneTimeCode(b *testing.B) {
	codes := make(chan string, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ Code string }
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			b.Error(err)
		}
		codes <- m.Code
	}))
	defer hook.Close()
	i := benchConfig(b, tokenissuer.Config{
		SigningAlgorithm: "ES256",
		OTPPerNumber:     []tokenissuer.Rate{{Count: 1e9, Within: time.Second}, {Count: 1e9, Within: time.Hour}},
		OTPPerClient:     tokenissuer.Rate{Count: 1e9, Within: time.Hour},
		Sources:          []tokenissuer.Source{{ID: "sms", Type: "sms_otp", Webhook: message.WebhookConfig{URL: hook.URL}}},
		Clients:          []tokenissuer.Client{{ID: "shop", Type: "web", Secrets: []string{secret}, Grants: []string{sms}, Sources: []string{"sms"}}},
	})
	if _, err := i.AddUser(b.Context(), tokenissuer.NewUser{PhoneNumber: number}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		w := browse(b, i, nil, http.MethodPost, sendPath, form("client_id", "shop", "client_secret", secret, "usage", "login", "auth_source_id", "sms", "phone_number", number))
		var sent struct {
			Token string `json:"otp_token"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &sent); err != nil {
			b.Fatal(err)
		}
		ask(b, i, shown("shop", sent.Token, <-codes))
	}
}

func benchUser(b *testing.B, i *tokenissuer.Issuer) {
	b.Helper()
	if _, err := i.AddUser(b.Context(), tokenissuer.NewUser{Username: "alice", Password: password}); err != nil {
		b.Fatal(err)
	}
}
