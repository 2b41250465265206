package tokenissuer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

const (
	useSigning = "sig"
	useDerive  = "derive"
)

// lead is how long a key is published before it signs: longer than the key set
// may be cached by those who fetched it just before.
const lead = 2 * documentAge

// yield is for how long a node leaves a key alone that another node's configuration
// asked for. While nodes get a new configuration one after the other, none undoes it.
const yield = 24 * time.Hour

// Configure applies the rules of a new configuration: it reads the keys, seals
// or opens them as the rules say, and makes the first one of an algorithm.
func (s *State) Configure(ctx context.Context, rules KeyRules) error {
	s.keyLock.Lock()
	defer s.keyLock.Unlock()
	before := s.keyRules
	s.keyRules = rules
	if err := s.loadAndRotate(ctx, s.now(), true); err != nil {
		s.keyRules = before
		return err
	}
	algorithm := token.Algorithm(rules.Algorithm)
	s.algorithm.Store(&algorithm)
	return nil
}

// reload reads the keys, which another node has changed.
func (s *State) reload(ctx context.Context) error { return s.rotate(ctx, s.now()) }

// rotate does what the schedule asks for now.
func (s *State) rotate(ctx context.Context, now time.Time) error {
	s.keyLock.Lock()
	defer s.keyLock.Unlock()
	return s.loadAndRotate(ctx, now, false)
}

// ErrAnnounced is of a rotation that is asked for while the one before is under
// way: each would add a key that never signs for long.
var ErrAnnounced = errors.New("already announced")

// rotateNow makes a new key that signs as soon as others can know it. Who is asked at
// the same moment as another node looks again, and finds what that one announced.
func (s *State) rotateNow(ctx context.Context, now time.Time) error {
	s.keyLock.Lock()
	defer s.keyLock.Unlock()
	err := s.announce(ctx, now)
	for try := 0; errors.Is(err, store.ErrConflict) && try < 3; try++ {
		err = s.announce(ctx, now)
	}
	if err != nil {
		return err
	}
	return s.loadAndRotate(ctx, now, false)
}

// announce stores a key that is to sign, unless there is one.
func (s *State) announce(ctx context.Context, now time.Time) error {
	had, err := s.load(ctx, false)
	if err != nil {
		return err
	}
	for _, k := range had.ring.List() {
		if now.Before(k.SignFrom) && k.Algorithm == token.Algorithm(s.keyRules.Algorithm) {
			return fmt.Errorf("key %s is %w; it signs from %s", k.ID, ErrAnnounced, k.SignFrom.UTC().Format(time.RFC3339))
		}
	}
	k, err := s.newKey(had, now, now.Add(lead))
	if err != nil {
		return err
	}
	event := store.Event{At: now, Actor: "operator", Action: "key.rotate", Subject: k.ID}
	return s.store.Apply(ctx, now, store.PutNextKey{Key: k, Newest: had.newest}, store.PutEvent{Event: event})
}

// loadAndRotate reads the keys, applies what is due and publishes the ring.
// Another node may do the same at the same moment: then one of the two writes
// conflicts, and what is there is read again. fresh says that the rules are new: then
// nothing is taken over from the ring, and a key of their algorithm is made whatever
// other nodes have.
func (s *State) loadAndRotate(ctx context.Context, now time.Time, fresh bool) error {
	for try := 0; ; try++ {
		had, err := s.load(ctx, fresh)
		if err != nil {
			return err
		}
		writes, err := s.due(had, now, fresh)
		if err != nil {
			return err
		}
		if len(writes) == 0 {
			s.keys.Store(had.ring)
			return nil
		}
		if err := s.store.Apply(ctx, now, writes...); err != nil && (!errors.Is(err, store.ErrConflict) || try > 2) {
			return fmt.Errorf("storing keys: %w", err)
		}
		if later := s.now(); later.After(now) { // what another node made meanwhile may sign already
			now = later
		}
	}
}

// due turns the schedule's next change into writes.
func (s *State) due(had stock, now time.Time, fresh bool) ([]store.Write, error) {
	// Longest is the longest any configuration allows, not the one of today: a key
	// may have signed under another one.
	schedule := token.Rotation{
		Algorithm: token.Algorithm(s.keyRules.Algorithm), Period: max(0, s.keyRules.Rotation), Lead: lead, Longest: client.MaxTokenLifetime, Yield: yield,
	}
	if fresh {
		schedule.Yield = 0
	}
	if to, yes := schedule.Yields(had.ring.List(), now); yes && s.yielded != to.ID {
		s.yielded = to.ID
		s.report(fmt.Errorf("a node with signing_algorithm %s replaced the %s key of this one: give all nodes the same configuration", to.Algorithm, schedule.Algorithm))
	}
	change := schedule.Next(had.ring.List(), now)
	var writes []store.Write
	if from := change.Make; !from.IsZero() {
		if from.Equal(now) {
			// Nobody waits for the first of all. A node whose clock is behind ours must not take
			// it for one of later, and make another.
			from = now.Add(-s.early())
		}
		k, err := s.newKey(had, now, from)
		if err != nil {
			return nil, err
		}
		writes = append(writes, store.PutNextKey{Key: k, Newest: had.newest})
	}
	for _, id := range change.Retire {
		writes = append(writes, store.RetireKey{ID: id, Expires: change.Expires})
	}
	for _, id := range change.Remove {
		writes = append(writes, store.RemoveKey{ID: id})
	}
	return writes, nil
}

// newKey makes a key. One in plain text does not come among sealed ones.
func (s *State) newKey(had stock, now, signFrom time.Time) (store.Key, error) {
	if had.sealed && s.keyRules.EncryptionKey == "" {
		return store.Key{}, errNoSeal
	}
	k, err := token.Generate(token.Algorithm(s.keyRules.Algorithm))
	if err != nil {
		return store.Key{}, err
	}
	der, err := k.Marshal()
	if err != nil {
		return store.Key{}, err
	}
	record := store.Key{ID: k.ID, Use: useSigning, Algorithm: string(k.Algorithm), Material: der, Created: now, SignFrom: signFrom}
	return s.sealed(record)
}
