package remote_test

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// site is an issuer on loopback, with TLS of its own authority.
type site struct {
	*httptest.Server
	asked atomic.Int64 // for the key set

	mu   sync.Mutex
	ring []*token.Key
	keys http.HandlerFunc // answers instead, where given
	meta http.HandlerFunc
	age  string // Cache-Control
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.answer))
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	s.rotate(t)
	return s
}

func (s *site) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	keys, meta, ring, age := s.keys, s.meta, token.NewRing(s.ring), s.age
	s.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		if meta == nil {
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": s.URL, "jwks_uri": s.URL + "/keys"})
			return
		}
		meta(w, r)
	case "/keys":
		s.asked.Add(1)
		if keys != nil {
			keys(w, r)
			return
		}
		if age != "" {
			w.Header().Set("Cache-Control", age)
		}
		_, _ = w.Write(ring.JWKS(time.Unix(0, 0)))
	default:
		http.NotFound(w, r)
	}
}

// rotate adds a key, and drops all but the newest so many.
func (s *site) rotate(t testing.TB, keep ...int) *token.Key {
	t.Helper()
	key, err := token.Generate(token.EdDSA)
	if err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring = append(s.ring, key)
	if len(keep) > 0 && len(s.ring) > keep[0] {
		s.ring = s.ring[len(s.ring)-keep[0]:]
	}
	return key
}

func (s *site) newest() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring[len(s.ring)-1].ID
}

// answers has the keys, or the metadata, answered in another way; nil: as before.
func (s *site) answers(keys, meta http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.meta = keys, meta
}

func (s *site) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

// log is what was observed.
type log struct {
	mu     sync.Mutex
	events []remote.Event
}

func (l *log) observe(e remote.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *log) last() remote.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.events) == 0 {
		return remote.Event{}
	}
	return l.events[len(l.events)-1]
}

// turns are the changes of state, in order.
func (l *log) turns() (all []remote.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.From != e.To {
			all = append(all, e.To)
		}
	}
	return all
}

func open(t testing.TB, c remote.KeysConfig) *remote.Keys {
	t.Helper()
	k, err := remote.OpenKeys(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func known(k *remote.Keys, kid string) bool {
	_, ok := k.Key(kid)
	return ok
}

func html(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("<!doctype html><title>Sign in</title>"))
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}
