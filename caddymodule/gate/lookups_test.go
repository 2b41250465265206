package gate

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// slowStore knows one opaque token, and takes a while to say so.
type slowStore struct {
	good        token.Digest
	takes       time.Duration
	asked, most atomic.Int32 // at a time
	times       atomic.Int32
}

func (s *slowStore) Opaque(ctx context.Context, digest token.Digest) (*token.Claims, error) {
	s.times.Add(1)
	now := s.asked.Add(1)
	defer s.asked.Add(-1)
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
	}
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if digest != s.good {
		return nil, token.ErrUnknown
	}
	return &token.Claims{
		Issuer: "https://auth.example.com", Subject: "alice", ClientID: "shop", ID: "good", Expires: 1_900_000_000, All: map[string]any{"sub": "alice"},
	}, nil
}

// Opaque tokens that strangers make up are asked about at the store where people sign in:
// a few at a time, and those of one address beside the others' and not before them.
func TestFloodOfOpaqueTokensLeavesTheStoreToOthers(t *testing.T) {
	f := newFlooded(t)
	good := uuid.NewString()
	store := &slowStore{good: token.Sum(good), takes: 20 * time.Millisecond}
	f.gate.opaque = store
	check := func(raw, from string) int {
		r := httptest.NewRequest(http.MethodGet, "https://app.example.com/", nil)
		r.RemoteAddr = from + ":1"
		r.Header.Set("Authorization", "Bearer "+raw)
		_, err := f.gate.Check(r, f.now)
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return refusal.Status
		}
		return http.StatusOK
	}

	var unknown, busy, others atomic.Int32
	var wg sync.WaitGroup
	for range 2000 {
		wg.Go(func() {
			switch status := check(uuid.NewString(), "192.0.2.1"); status {
			case http.StatusUnauthorized:
				unknown.Add(1)
			case http.StatusServiceUnavailable:
				busy.Add(1)
			default:
				others.Add(1)
			}
		})
	}
	for store.times.Load() < 60 { // its fifty have had their turn
		time.Sleep(time.Millisecond)
	}
	if status := check(good, "198.51.100.7"); status != http.StatusOK { // behind the others it would be put off, too
		t.Errorf("somebody else's good token: %d", status)
	}
	wg.Wait()
	if most := store.most.Load(); most > lookupsOfFew+lookupsOfMany {
		t.Errorf("%d look-ups at a time", most)
	}
	if unknown.Load() < 60 || busy.Load() == 0 || others.Load() != 0 {
		t.Errorf("%d unknown, %d put off, %d others", unknown.Load(), busy.Load(), others.Load())
	}
	if status := check(uuid.NewString(), "192.0.2.1"); status != http.StatusUnauthorized {
		t.Errorf("the same address, when nobody else waits: %d", status)
	}
}

// Good tokens use nothing up, however many there are.
func TestGoodOpaqueTokensOweNothing(t *testing.T) {
	l, now := newLookups(), time.Now()
	ask := func(err error) (first int) {
		for n := range 200 {
			_, _ = l.look(t.Context(), netip.MustParseAddr("192.0.2.1"), now, func() (*token.Claims, error) {
				if len(l.many) > 0 && first == 0 {
					first = n
				}
				return nil, err
			})
		}
		return first
	}
	if n := ask(nil); n != 0 {
		t.Errorf("good tokens: put last after %d", n)
	}
	if n := ask(errors.New("the store is away")); n != 0 {
		t.Errorf("a store that is away: put last after %d", n)
	}
	if n := ask(token.ErrUnknown); n != 50 {
		t.Errorf("unknown tokens: put last after %d", n)
	}
}
