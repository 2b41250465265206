package gate_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

const issuer = "https://auth.example.com"

// scene is an issuer with one key, and the second it is.
type scene struct {
	key     *token.Key
	ring    *token.Ring
	revoked *list
	cache   *gate.Cache
	now     time.Time
}

func newScene(t testing.TB) *scene { return newSceneWith(t, token.ES256) }

func newSceneWith(t testing.TB, alg token.Algorithm) *scene {
	t.Helper()
	key, err := token.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	if token.OpenSSL.Check() == nil { // builds with its tag
		der, err := key.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if key, err = token.OpenSSL.ParseKey(key.ID, alg, der); err != nil {
			t.Fatal(err)
		}
	}
	cache, err := gate.NewCache(gate.DefaultCacheSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cache.Close)
	return &scene{
		key: key, ring: token.NewRing([]*token.Key{key}), cache: cache,
		revoked: &list{tokens: map[string]bool{}, clients: map[string]bool{}},
		now:     time.Unix(1_800_000_000, 0),
	}
}

func (s *scene) embedded() gate.Issuer {
	return gate.Issuer{Identifier: issuer, Keys: s.ring, Embedded: true, Revoked: s.revoked}
}

// gate completes the configuration with the embedded issuer.
func (s *scene) gate(t testing.TB, c gate.Config) *gate.Gate {
	t.Helper()
	c.Issuers = append(c.Issuers, s.embedded())
	g, err := gate.New(c, s.cache)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (s *scene) access(subject string) *token.Access {
	return &token.Access{
		Issuer: issuer, Subject: subject, Audience: "shop", ID: "jti-" + subject,
		Scopes:   []string{"openid", "orders:read"},
		IssuedAt: s.now.Add(-time.Second), Expires: s.now.Add(299 * time.Second),
	}
}

func (s *scene) sign(t testing.TB, subject string) string {
	t.Helper()
	return s.signed(t, s.access(subject))
}

func (s *scene) signed(t testing.TB, a *token.Access) string {
	t.Helper()
	payload, err := a.Payload()
	if err != nil {
		t.Fatal(err)
	}
	return s.signedText(t, token.TypeJWT, string(payload))
}

func (s *scene) signedText(t testing.TB, typ, payload string) string {
	t.Helper()
	raw, err := s.key.Sign(typ, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// request is what a browser sends, with a token.
func request(raw string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://app.example.com/orders?page=2", nil)
	for name, value := range map[string]string{
		"Accept": "application/json", "Accept-Encoding": "gzip, deflate, br, zstd", "Accept-Language": "en-GB,en;q=0.7",
		"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0", "Connection": "keep-alive",
		"Cookie": "theme=dark; basket=17", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Referer": "https://app.example.com/",
	} {
		r.Header.Set(name, value)
	}
	if raw != "" {
		r.Header.Set("Authorization", "Bearer "+raw)
	}
	return r
}

// list is a revocation list that counts how often it is asked.
type list struct {
	tokens, clients map[string]bool
	generation      uint64
	behind          bool // the nodes that know more
	unread          bool // are keys that they have made
	asked           atomic.Int64
}

func (l *list) Revoked(c *token.Claims) bool {
	l.asked.Add(1)
	return l.tokens[c.ID] || l.clients[c.ClientID]
}

func (l *list) Generation() uint64 { return l.generation }

func (l *list) Current() bool { return !l.behind }

func (l *list) KnowsKeys() bool { return !l.unread }

func refusal(t testing.TB, err error) *gate.Refusal {
	t.Helper()
	r, ok := errors.AsType[*gate.Refusal](err)
	if !ok {
		t.Fatalf("not a refusal: %v", err)
	}
	return r
}
