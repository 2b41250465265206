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

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
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
	for end := time.Now().Add(time.Minute); store.times.Load() < 60; time.Sleep(time.Millisecond) { // the flood is on
		if time.Now().After(end) {
			t.Fatal("nobody is looked up")
		}
	}
	if status := check(good, "198.51.100.7"); status != http.StatusOK { // behind the others it would be put off, too
		t.Errorf("somebody else's good token: %d", status)
	}
	wg.Wait()
	if most := store.most.Load(); most > int32(turns[remote.New]+turns[remote.Owing]) {
		t.Errorf("%d look-ups at a time", most)
	}
	if unknown.Load() < 60 || busy.Load() == 0 || others.Load() != 0 {
		t.Errorf("%d unknown, %d put off, %d others", unknown.Load(), busy.Load(), others.Load())
	}
	if status := check(uuid.NewString(), "192.0.2.1"); status != http.StatusUnauthorized {
		t.Errorf("the same address, when nobody else waits: %d", status)
	}
}

// What nobody can say to be no good uses nothing up, also all at once.
func TestOnlyUnknownOpaqueTokensAreOwed(t *testing.T) {
	l, now, from := newLookups(), time.Now(), netip.MustParseAddr("192.0.2.1")
	owing := func() bool { return l.debts.Charge(from, now) == remote.Owing }
	for name, ask := range map[string]func() (*token.Claims, error){
		"good":       func() (*token.Claims, error) { return new(token.Claims), nil },
		"store away": func() (*token.Claims, error) { return nil, errors.New("the store is away") },
	} {
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() { _, _ = l.look(t.Context(), from, now, ask) })
		}
		all.Wait()
		if owing() {
			t.Errorf("%s: owed for", name)
		}
		l.debts.GiveBack(from)
	}

	for range turns[remote.Known] {
		l.turns[remote.Known] <- struct{}{} // somebody's look-up that takes long
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 200 {
		if _, err := l.look(gone, from, now, nil); !errors.Is(err, errUnavailable) {
			t.Fatal(err)
		}
	}
	for range turns[remote.Known] {
		<-l.turns[remote.Known]
	}
	if owing() {
		t.Error("who does not wait has shown no bad token")
	}
	l.debts.GiveBack(from)

	unknown := func() (*token.Claims, error) { return nil, token.ErrUnknown }
	for range 60 {
		_, _ = l.look(t.Context(), from, now, unknown)
		l.known(from, now) // elsewhere
	}
	if owing() {
		t.Error("good elsewhere: owed for")
	}
	l.debts.GiveBack(from)
	for range 50 {
		_, _ = l.look(t.Context(), from, now, unknown)
	}
	if !owing() {
		t.Error("unknown tokens: owed for by nobody")
	}
	if l.debts.Charge(netip.Addr{}, now) != remote.Owing {
		t.Error("nobody knows the address, and it owes nothing")
	}
}

// A flood from thousands of addresses keeps those waiting that have shown nothing yet, and
// not those of which a token was good.
func TestFloodFromManyAddressesLeavesATurnToThoseWhoAreKnown(t *testing.T) {
	l, now, known := newLookups(), time.Now(), netip.MustParseAddr("198.51.100.7")
	good := func() (*token.Claims, error) { return new(token.Claims), nil }
	if _, err := l.look(t.Context(), known, now, good); err != nil {
		t.Fatal(err)
	}
	held := make(chan struct{})
	var flood sync.WaitGroup
	for n := range 1000 {
		flood.Go(func() {
			_, _ = l.look(t.Context(), netip.AddrFrom4([4]byte{203, 0, byte(n >> 8), byte(n)}), now, func() (*token.Claims, error) {
				<-held
				return nil, token.ErrUnknown
			})
		})
	}
	for len(l.turns[remote.New]) < turns[remote.New] {
		time.Sleep(time.Millisecond)
	}
	if _, err := l.look(t.Context(), known, now, good); err != nil {
		t.Errorf("somebody who was here: %v", err)
	}
	if _, err := l.look(t.Context(), netip.MustParseAddr("198.51.100.8"), now, good); !errors.Is(err, errManyLookups) {
		t.Errorf("somebody new, behind a thousand: %v", err)
	}
	close(held)
	flood.Wait()
}
