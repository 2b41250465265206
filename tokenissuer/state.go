package tokenissuer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
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
	store   *store.Store
	revoked *feed.Revocations
	changes *feed.Tail // of other nodes; nil where there are none
	proofs  *client.Proofs

	keys     atomic.Pointer[token.Ring]
	refresh  []byte // derives successors of refresh tokens
	names    []byte // keys the hashes of names and addresses
	pages    []byte // seals what the portal hands to browsers
	login    []byte // seals what gates hand to browsers
	keyLock  sync.Mutex
	keyRules KeyRules

	algorithm atomic.Pointer[token.Algorithm] // of the rules, for who must not wait while keys are made
	yielded   string                          // the id of another node's key that was told of

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
	s := &State{store: st, report: report, notices: make(chan struct{}, 1)}
	// Before anything is read: what others change meanwhile comes afterwards.
	var err error
	if s.changes, err = feed.NewTail(ctx, st, clock, report); err != nil {
		return nil, err
	}
	if err := s.Configure(ctx, rules); err != nil {
		return nil, err
	}
	now := s.now()
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
	if s.changes != nil {
		s.background.Go(func() { s.changes.Run(background, s.reload) })
	}
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

// now is the time that all nodes agree on: the database's where they share one. How
// long something took is not to be had from it.
func (s *State) now() time.Time { return clock().Add(s.changes.Ahead()).Round(0) }

// Ahead is how much the clock of the database is ahead of ours.
func (s *State) Ahead() time.Duration { return s.changes.Ahead() }

// nodesDiffer is by how much two nodes' ideas of the database's time may differ, and
// tokens begin to count at a full second.
const nodesDiffer = 2 * time.Second

// early is how much before its time a token of another node may be used here.
func (s *State) early() time.Duration {
	if s.changes == nil {
		return 0
	}
	return nodesDiffer
}

// Behind is how long ago this node knew all that the others had done; shared is
// false where it is alone.
func (s *State) Behind() (behind time.Duration, shared bool) {
	return s.changes.Behind(), s.changes != nil
}

// KeysBehind is how long ago this node knew all the keys that the others sign with, 0
// where it is alone.
func (s *State) KeysBehind() time.Duration { return s.changes.KeysBehind() }

// signMost is how far behind a node may be and sign: much less than a key is
// published before it signs, and after it has retired.
const signMost = time.Minute

// signing is the key that signs now. A node that cannot know what the others did to
// the keys has none: what it signed might be verified by nobody.
func (s *State) signing(algorithm token.Algorithm, now time.Time) (*token.Key, error) {
	return s.signingBehind(s.KeysBehind(), signMost, algorithm, now)
}

// vouchMost is signMost for a token of a minute: a key that has retired without our
// knowing is published for the longest lifetime of any token, so whoever asks for the
// key set finds it. Gates that go on without the database go on with their backends.
const vouchMost = client.MaxTokenLifetime - time.Hour

func (s *State) vouching(algorithm token.Algorithm, now time.Time) (*token.Key, error) {
	return s.signingBehind(s.KeysBehind(), vouchMost, algorithm, now)
}

func (s *State) signingBehind(behind, most time.Duration, algorithm token.Algorithm, now time.Time) (*token.Key, error) {
	if behind > most {
		return nil, keysOf(behind)
	}
	key := s.ring().Signing(algorithm, now)
	if key == nil {
		return nil, errNoKey
	}
	return key, nil
}

// keysOf is of keys that are too old for what is asked.
func keysOf(behind time.Duration) error {
	return fmt.Errorf("%w: the keys of all nodes were known here %s ago", store.ErrUnavailable, behind.Round(time.Second))
}

const upkeepEvery = time.Minute

// upkeep rotates keys and sweeps what has expired, in small steps.
func (s *State) upkeep(ctx context.Context) {
	// Nodes that were started together should not do this together.
	next := time.NewTimer(rand.N(upkeepEvery)) //nolint:gosec // chance, not a secret
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			next.Reset(upkeepEvery)
			s.keepUp(ctx)
		}
	}
}

func (s *State) keepUp(ctx context.Context) {
	now := s.now()
	s.tried(ctx, "rotating keys", s.rotate(ctx, now))
	s.tried(ctx, "sweeping the store", s.sweep(ctx, now))
}

// tried tells of err, unless it says nothing new.
func (s *State) tried(ctx context.Context, what string, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	if err = fmt.Errorf("%s: %w", what, err); !s.changes.Explains(err) {
		s.report(err)
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
	_, err := s.store.Sweep(ctx, now, math.MaxInt)
	return err
}

// silentMost is how long a shared store may not have answered for this node to be
// healthy: a look comes twice a second, and waits two seconds for a server that is away.
const silentMost = 5 * time.Second

// alive reports whether the store answers at all, and what has to be known of it to
// issue tokens is known. Whoever asks must not wait behind
// requests that wait for each other, nor have the store do work for each asking.
func (s *State) alive(ctx context.Context) error {
	if s.changes != nil {
		if behind := s.changes.Behind(); behind > silentMost {
			return fmt.Errorf("%w: it last answered %s ago", store.ErrUnavailable, behind.Round(time.Second))
		}
		if behind := s.KeysBehind(); behind > signMost {
			return keysOf(behind)
		}
		return nil
	}
	_, err := s.store.Family(ctx, "")
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
