// Package feed holds everything that is revoked in memory, exactly as long as
// it matters. It follows the store, so that the gate never asks it.
package feed

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// shards is how many locks share the revoked tokens: the gate looks with every
// request, on every processor.
const shards = 64

// Revocations is what is revoked now. It is safe for concurrent use.
type Revocations struct {
	seed       maphash.Seed
	shards     [shards]shard
	tokens     atomic.Int64 // in all shards: mostly none, and then nothing is hashed
	generation atomic.Uint64

	writing sync.Mutex // of clients
	clients atomic.Pointer[map[string]client]
}

type shard struct {
	mu      sync.RWMutex
	expires map[string]time.Time // by jti
	sweepAt int                  // entries at which to look for expired ones
}

type client struct {
	notBefore int64 // Unix seconds; a token issued in this second is refused too
	expires   time.Time
}

// Open reads what is revoked at now, and follows st from then on.
func Open(ctx context.Context, st *store.Store, now time.Time) (*Revocations, error) {
	r := &Revocations{seed: maphash.MakeSeed()}
	r.clients.Store(&map[string]client{})
	// Follow first: what is revoked while the rest is being read arrives twice,
	// not never.
	st.Follow(r.add)
	if err := st.Revocations(ctx, now, func(revoked []store.Revocation) { r.add(now, revoked) }); err != nil {
		return nil, fmt.Errorf("reading revocations: %w", err)
	}
	return r, nil
}

// Revoked says whether a token is revoked: itself by its jti, or with
// everything its client was given up to a time. issuedAt is in Unix seconds.
func (r *Revocations) Revoked(jti, clientID string, issuedAt int64) bool {
	if r.RevokedByClient(clientID, issuedAt) {
		return true
	}
	if r.tokens.Load() == 0 {
		return false
	}
	s := r.shard(jti)
	s.mu.RLock()
	_, revoked := s.expires[jti]
	s.mu.RUnlock()
	return revoked
}

// RevokedByClient says whether a token is revoked with everything that its client
// was given up to a time.
func (r *Revocations) RevokedByClient(clientID string, issuedAt int64) bool {
	clients := *r.clients.Load()
	if len(clients) == 0 {
		return false
	}
	c, ok := clients[clientID]
	return ok && issuedAt <= c.notBefore
}

// GoodFrom is when tokens of a client count that was revoked; zero where it was not.
func (r *Revocations) GoodFrom(clientID string) time.Time {
	c, ok := (*r.clients.Load())[clientID]
	if !ok {
		return time.Time{}
	}
	return time.Unix(c.notBefore+1, 0)
}

// Generation changes whenever a revocation arrives: a decision made in an
// older one must be asked for again. It changes after the revocation is in
// effect.
func (r *Revocations) Generation() uint64 { return r.generation.Load() }

// Len is how many tokens and clients are held.
func (r *Revocations) Len() int { return int(r.tokens.Load()) + len(*r.clients.Load()) }

// Sweep drops what has expired. Nobody has to call it for the size to stay in
// proportion to what is live: arrivals sweep too.
func (r *Revocations) Sweep(now time.Time) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		r.tokens.Add(-s.sweep(now))
		s.mu.Unlock()
	}
	r.changeClients(func(clients map[string]client) {
		maps.DeleteFunc(clients, func(_ string, c client) bool { return !c.expires.After(now) })
	})
}

func (r *Revocations) add(now time.Time, revoked []store.Revocation) {
	if len(revoked) == 0 {
		return
	}
	for _, v := range revoked {
		if v.Token != "" {
			r.addToken(now, v.Token, v.Expires)
			continue
		}
		r.changeClients(func(clients map[string]client) {
			old := clients[v.Client]
			clients[v.Client] = client{
				notBefore: max(old.notBefore, v.NotBefore.Unix()),
				expires:   later(old.expires, v.Expires),
			}
		})
	}
	r.generation.Add(1)
}

func (r *Revocations) addToken(now time.Time, jti string, expires time.Time) {
	if !expires.After(now) {
		return
	}
	s := r.shard(jti)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.expires) >= s.sweepAt {
		r.tokens.Add(-s.sweep(now))
	}
	before := len(s.expires)
	s.expires[jti] = later(s.expires[jti], expires)
	r.tokens.Add(int64(len(s.expires) - before))
}

// sweep returns how many entries it dropped. The next one is due when the
// shard has doubled: each entry is looked at a constant number of times.
func (s *shard) sweep(now time.Time) int64 {
	before := len(s.expires)
	live := make(map[string]time.Time, before/2) // a Go map never shrinks
	for jti, expires := range s.expires {
		if expires.After(now) {
			live[jti] = expires
		}
	}
	s.expires, s.sweepAt = live, 2*len(live)+16
	return int64(before - len(live))
}

func (r *Revocations) shard(jti string) *shard {
	return &r.shards[maphash.String(r.seed, jti)%shards]
}

// changeClients replaces the map that readers hold: clients are few, and are
// revoked seldom.
func (r *Revocations) changeClients(change func(map[string]client)) {
	r.writing.Lock()
	defer r.writing.Unlock()
	clients := maps.Clone(*r.clients.Load())
	change(clients)
	r.clients.Store(&clients)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
