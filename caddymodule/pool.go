package caddymodule

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/feed"
)

const (
	openTimeout = 30 * time.Second // a migration of a large store included
	leaseMost   = 30 * time.Second // a request may hold a state after its configuration ended
)

// states are the open stores with what belongs to them, by the real path of the
// file or the name of the database: configurations that name the same share one.
var states = caddy.NewUsagePool()

// ending are the states that no configuration uses and requests still do. A
// configuration that names the file again takes such a state over: two over one
// file would not hear of each other's revocations.
var ending sync.Map // string -> *shared

// shared is what outlives a reload. Gates without an embedded issuer share one
// that has a cache alone.
type shared struct {
	key     string
	where   database           // as it was opened
	state   *tokenissuer.State // nil without an issuer
	cache   *gate.Cache
	streams *gate.Streams
	earned  *login.Memory // what codes and refresh tokens earned a moment ago

	// users counts the pool as one and each request under way; who comes to zero
	// closes. Caddy ends a configuration while its requests are still running.
	alone  func() // ends what followNodes began
	users  atomic.Int64
	closed sync.Once

	mu       sync.Mutex
	force    *time.Timer
	rules    []tokenissuer.KeyRules // of the configurations that use it, the newest last
	governed tokenissuer.KeyRules   // those that hold
	issuers  []*tokenissuer.Issuer  // that serve, the newest last
	sizes    []int64                // of the cache, of the configurations, the newest last
}

// join opens the state of a database, or enters the one that is open.
func join(where database, rules tokenissuer.KeyRules) (*shared, error) {
	ctx, cancel := context.WithTimeout(context.Background(), where.openMost())
	defer cancel()
	key := where.key()
	value, _, err := states.LoadOrNew(key, func() (caddy.Destructor, error) {
		if s, ok := ending.Load(key); ok && s.(*shared).revive() {
			return s.(*shared), nil
		}
		return open(ctx, where, rules)
	})
	if err != nil {
		return nil, err
	}
	s := value.(*shared)
	if err := s.enter(ctx, where, rules); err != nil {
		_, _ = states.Delete(key)
		return nil, err
	}
	return s, nil
}

func open(ctx context.Context, where database, rules tokenissuer.KeyRules) (*shared, error) {
	cache, err := gate.NewCache(gate.DefaultCacheSize)
	if err != nil {
		return nil, err
	}
	s := &shared{key: where.key(), where: where, cache: cache, governed: rules, alone: func() {}}
	s.earned = login.NewMemory(func(signIn string) { s.streams.EndSignIn(signIn) })
	s.streams = gate.NewStreams(s.earned.Gone)
	s.users.Store(1)
	if s.key == "" {
		return s, nil
	}
	where.saysWaits()
	st, err := where.open(ctx)
	if err != nil {
		cache.Close()
		return nil, err
	}
	s.state, err = tokenissuer.OpenState(ctx, st, rules, s.told)
	if err != nil {
		cache.Close()
		return nil, errors.Join(err, st.Close())
	}
	where.opened(ctx, st)
	s.state.Follow(s.endStreams)
	s.earned.Share(s.state.EndForeign, s.state.ForeignEnded)
	s.followNodes()
	return s, nil
}

// told writes down what nobody waits for, to the newest configuration's log.
func (s *shared) told(err error) {
	log := caddy.Log().Named("token_issuer")
	if errors.Is(err, feed.ErrOver) {
		log.Info("background work goes on", zap.String("what", err.Error()), zap.String("store", s.key))
		return
	}
	log.Error("background work", zap.Error(err), zap.String("store", s.key))
}

// remember lets the cache take so many bytes from here on.
func (s *shared) remember(size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes = append(s.sizes, size)
	s.cache.Resize(size)
}

// forget ends what a configuration wants of the cache. If it was the newest, as
// after a reload that failed later on, the one before it has its size again.
func (s *shared) forget(size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := slices.Index(s.sizes, size); n >= 0 {
		s.sizes = slices.Delete(s.sizes, n, n+1)
	}
	if n := len(s.sizes); n > 0 {
		s.cache.Resize(s.sizes[n-1])
	}
}

// enter adds a configuration's rules; they hold from here on, and so does its way
// to the database.
func (s *shared) enter(ctx context.Context, where database, rules tokenissuer.KeyRules) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.where.reach(ctx, where); err != nil {
		return err
	}
	if err := s.govern(ctx, rules); err != nil {
		return err
	}
	s.rules = append(s.rules, rules)
	return nil
}

func (s *shared) govern(ctx context.Context, rules tokenissuer.KeyRules) error {
	if s.state == nil || s.governed == rules {
		return nil
	}
	if err := s.state.Configure(ctx, rules); err != nil {
		return err
	}
	s.governed = rules
	return nil
}

// leave ends a configuration's use. If its rules were the newest, as after a
// reload that failed later on, those before it hold again.
func (s *shared) leave(rules tokenissuer.KeyRules) error {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	s.mu.Lock()
	var err error
	if i := slices.Index(s.rules, rules); i >= 0 {
		s.rules = slices.Delete(s.rules, i, i+1)
	}
	if n := len(s.rules); n > 0 {
		err = s.govern(ctx, s.rules[n-1])
	}
	s.mu.Unlock()
	_, deleteErr := states.Delete(s.key)
	return errors.Join(err, deleteErr)
}

// acquire leases the state for a request; false when it is closed.
func (s *shared) acquire() bool {
	for {
		n := s.users.Load()
		if n <= 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives a lease back.
func (s *shared) release() {
	if s.users.Add(-1) == 0 {
		s.close()
	}
}

// Destruct is called by the pool when no configuration uses the state any more.
func (s *shared) Destruct() error {
	s.mu.Lock()
	ending.Store(s.key, s)
	s.force = time.AfterFunc(leaseMost, s.close)
	s.mu.Unlock()
	s.release()
	return nil
}

// revive makes an ending state the pool's again.
func (s *shared) revive() bool {
	if !s.acquire() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.force.Stop() {
		s.release()
		return false
	}
	ending.CompareAndDelete(s.key, s)
	return true
}

func (s *shared) close() {
	s.closed.Do(func() {
		s.users.Store(-1 << 40) // whoever is late finds it closed
		defer ending.CompareAndDelete(s.key, s)
		s.mu.Lock()
		s.force.Stop()
		s.mu.Unlock()
		s.alone()
		s.cache.Close()
		s.streams.Close()
		if s.state == nil {
			return
		}
		if err := s.state.Close(); err != nil {
			caddy.Log().Named("token_issuer").Error("closing the store", zap.Error(err))
		}
	})
}
