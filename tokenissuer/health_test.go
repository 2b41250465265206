package tokenissuer_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// A server that is about to end says so to whoever asks for its health, and answers
// everything else: what a load balancer sends it until then is not lost.
func TestHealthIsBadBeforeTheEnd(t *testing.T) {
	var ending atomic.Bool
	s := start(t, tokenissuer.Config{Leaving: func(context.Context) bool { return ending.Load() }})
	for _, path := range []string{"/health", "/health/gate"} {
		if a := s.send(http.MethodGet, path, ""); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	ending.Store(true)
	for _, path := range []string{"/health", "/health/gate"} {
		a := s.send(http.MethodGet, path, "")
		if a.status != http.StatusServiceUnavailable || a.body != `{"error":"temporarily_unavailable"}` || a.header.Get("Retry-After") == "" {
			t.Errorf("%s of a server that ends: %d %s", path, a.status, a.body)
		}
	}
	s.good(form("grant_type", "client_credentials", "client_id", "robot", "client_secret", secret))
	s.Close() // each has its event then
	reasons := map[string]int{}
	for _, e := range s.events {
		reasons[e.Endpoint+" "+e.Reason]++
	}
	if reasons["health shutting_down"] != 1 || reasons["health_gate shutting_down"] != 1 {
		t.Errorf("noted as %v", reasons)
	}
}
