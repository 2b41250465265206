package tokenissuer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/feed"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// State is what outlives a configuration: the store, the keys, the revocations
// and the caches. Issuers of successive configurations share one.
type State struct {
	store    *store.Store
	revoked  *feed.Revocations
	proofs   *client.Proofs
	keys     atomic.Pointer[token.Ring]
	refresh  []byte // derives successors of refresh tokens
	names    []byte // keys the hashes of names and addresses
	pages    []byte // seals what the portal hands to browsers
	login    []byte // seals what gates hand to browsers
	keyLock  sync.Mutex
	keyRules KeyRules

	senders    atomic.Pointer[senders] // of the issuer that delivers; see Deliver
	notices    chan struct{}           // somebody signed out: there may be something to deliver
	background sync.WaitGroup
	stop       context.CancelFunc
	report     func(error)
}

// KeyRules say how signing keys are made, kept and followed by others.
type KeyRules struct {
	Algorithm string
	Rotation  time.Duration // Never: one key for ever
	Crypto    token.Crypto  // whose code signs and verifies
	// EncryptionKey seals private keys in the store; "" leaves them in plain text,
	// readable by whoever reads the file.
	EncryptionKey string
}

// String keeps the key out of logs.
func (r KeyRules) String() string { return "key rules for " + r.Algorithm }

// GoString is String, for %#v.
func (r KeyRules) GoString() string { return r.String() }

// OpenState takes the store over and makes ready what requests need from it:
// keys are read or made, revocations loaded. report is told of what goes wrong in
// the background. Close gives everything back, the store too; when OpenState
// fails, the store stays the caller's.
func OpenState(ctx context.Context, st *store.Store, rules KeyRules, report func(error)) (*State, error) {
	now := time.Now()
	s := &State{store: st, report: report, notices: make(chan struct{}, 1)}
	if err := s.Configure(ctx, rules); err != nil {
		return nil, err
	}
	var err error
	if s.refresh, err = s.derivation(ctx, "refresh", now); err != nil {
		return nil, err
	}
	if s.names, err = s.derivation(ctx, "names", now); err != nil {
		return nil, err
	}
	if s.pages, err = s.derivation(ctx, "pages", now); err != nil {
		return nil, err
	}
	if s.login, err = s.derivation(ctx, "login", now); err != nil {
		return nil, err
	}
	if s.revoked, err = feed.Open(ctx, st, now); err != nil {
		return nil, fmt.Errorf("loading revocations: %w", err)
	}
	if s.proofs, err = client.NewProofs(); err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.background.Go(func() { s.upkeep(background) })
	s.background.Go(func() { s.deliver(background) })
	return s, nil
}

// Close ends the background work and closes the store. Requests must have
// ended.
func (s *State) Close() error {
	s.stop()
	s.background.Wait()
	s.proofs.Close()
	return s.store.Close()
}

// Follow tells f of every revocation once it is in effect, before what revoked is
// answered. f must return quickly.
func (s *State) Follow(f func(store.Revocation)) {
	s.store.Follow(func(_ time.Time, revoked []store.Revocation) {
		for _, r := range revoked {
			f(r)
		}
	})
}

func (s *State) ring() *token.Ring { return s.keys.Load() }

const (
	upkeepEvery = time.Minute
	sweepStep   = 500 // rows of one transaction: the writer is free again in milliseconds
)

// upkeep rotates keys and sweeps what has expired, in small steps.
func (s *State) upkeep(ctx context.Context) {
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if err := s.rotate(ctx, now); err != nil && ctx.Err() == nil {
				s.report(fmt.Errorf("rotating keys: %w", err))
			}
			if err := s.sweep(ctx, now); err != nil && ctx.Err() == nil {
				s.report(fmt.Errorf("sweeping the store: %w", err))
			}
		}
	}
}

// aside does what an answer does not wait for. Who calls it still uses the state,
// and Close waits for it.
func (s *State) aside(what string, work func() error) {
	s.background.Go(func() {
		if err := work(); err != nil {
			s.report(fmt.Errorf("%s: %w", what, err))
		}
	})
}

func (s *State) sweep(ctx context.Context, now time.Time) error {
	s.revoked.Sweep(now)
	for {
		n, err := s.store.Sweep(ctx, now, sweepStep)
		if err != nil || n < sweepStep {
			return err
		}
	}
}

// alive reports whether the store answers at all.
func (s *State) alive(ctx context.Context) error {
	_, err := s.store.Family(ctx, "")
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
