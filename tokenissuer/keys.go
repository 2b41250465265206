package tokenissuer

import (
	"context"
	"crypto/rand"
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

// Configure applies the rules of a new configuration: it reads the keys, seals
// or opens them as the rules say, and makes the first one of an algorithm.
func (s *State) Configure(ctx context.Context, rules KeyRules) error {
	s.keyLock.Lock()
	defer s.keyLock.Unlock()
	before := s.keyRules
	s.keyRules = rules
	if err := s.loadAndRotate(ctx, s.now()); err != nil {
		s.keyRules = before
		return err
	}
	return nil
}

// reload reads the keys, which another node has changed.
func (s *State) reload(ctx context.Context) error { return s.rotate(ctx, s.now()) }

// rotate does what the schedule asks for now.
func (s *State) rotate(ctx context.Context, now time.Time) error {
	s.keyLock.Lock()
	defer s.keyLock.Unlock()
	return s.loadAndRotate(ctx, now)
}

// ErrAnnounced is of a rotation that is asked for while the one before is under
// way: each would add a key that never signs for long.
var ErrAnnounced = errors.New("already announced")

// rotateNow makes a new key that signs as soon as others can know it.
func (s *State) rotateNow(ctx context.Context, now time.Time) error {
	s.keyLock.Lock()
	defer s.keyLock.Unlock()
	ring, newest, err := s.load(ctx)
	if err != nil {
		return err
	}
	for _, k := range ring.List() {
		if now.Before(k.SignFrom) && k.Algorithm == token.Algorithm(s.keyRules.Algorithm) {
			return fmt.Errorf("key %s is %w; it signs from %s", k.ID, ErrAnnounced, k.SignFrom.UTC().Format(time.RFC3339))
		}
	}
	k, err := s.newKey(now, now.Add(lead))
	if err != nil {
		return err
	}
	event := store.Event{At: now, Actor: "operator", Action: "key.rotate", Subject: k.ID}
	if err := s.store.Apply(ctx, now, store.PutNextKey{Key: k, Newest: newest}, store.PutEvent{Event: event}); err != nil {
		return err
	}
	return s.loadAndRotate(ctx, now)
}

// loadAndRotate reads the keys, applies what is due and publishes the ring.
// Another node may do the same at the same moment: then one of the two writes
// conflicts, and what is there is read again.
func (s *State) loadAndRotate(ctx context.Context, now time.Time) error {
	for try := 0; ; try++ {
		ring, newest, err := s.load(ctx)
		if err != nil {
			return err
		}
		writes, err := s.due(ring, newest, now)
		if err != nil {
			return err
		}
		if len(writes) == 0 {
			s.keys.Store(ring)
			return nil
		}
		if err := s.store.Apply(ctx, now, writes...); err != nil && (!errors.Is(err, store.ErrConflict) || try > 2) {
			return fmt.Errorf("storing keys: %w", err)
		}
	}
}

// due turns the schedule's next change into writes.
func (s *State) due(ring *token.Ring, newest string, now time.Time) ([]store.Write, error) {
	// Longest is the longest any configuration allows, not the one of today: a key
	// may have signed under another one.
	schedule := token.Rotation{
		Algorithm: token.Algorithm(s.keyRules.Algorithm), Period: max(0, s.keyRules.Rotation), Lead: lead, Longest: client.MaxTokenLifetime,
	}
	change := schedule.Next(ring.List(), now)
	var writes []store.Write
	if !change.Make.IsZero() {
		k, err := s.newKey(now, change.Make)
		if err != nil {
			return nil, err
		}
		writes = append(writes, store.PutNextKey{Key: k, Newest: newest})
	}
	for _, id := range change.Retire {
		writes = append(writes, store.RetireKey{ID: id, Expires: change.Expires})
	}
	for _, id := range change.Remove {
		writes = append(writes, store.RemoveKey{ID: id})
	}
	return writes, nil
}

func (s *State) newKey(now, signFrom time.Time) (store.Key, error) {
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

// load reads the signing keys, and the id of the one that was stored last.
func (s *State) load(ctx context.Context) (ring *token.Ring, newest string, err error) {
	records, err := s.store.Keys(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("reading keys: %w", err)
	}
	if records, err = s.reseal(ctx, records); err != nil {
		return nil, "", err
	}
	var keys []*token.Key
	for _, r := range records {
		if r.Use != useSigning {
			continue
		}
		der, err := s.opened(r)
		if err != nil {
			return nil, "", err
		}
		k, err := s.keyRules.Crypto.ParseKey(r.ID, token.Algorithm(r.Algorithm), der)
		if err != nil {
			return nil, "", err
		}
		k.Created, k.SignFrom, k.Retired, k.Expires = r.Created, r.SignFrom, r.Retired, r.Expires
		keys, newest = append(keys, k), r.ID
	}
	return token.NewRing(keys), newest, nil
}

// derivation returns a secret of 32 bytes that lives in the key table, made at
// its first use.
func (s *State) derivation(ctx context.Context, id string, now time.Time) ([]byte, error) {
	for try := 0; ; try++ {
		records, err := s.store.Keys(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading keys: %w", err)
		}
		for _, r := range records {
			if r.Use == useDerive && r.ID == id {
				return s.opened(r)
			}
		}
		material := make([]byte, 32)
		rand.Read(material) // never fails: it ends the process
		record, err := s.sealed(store.Key{ID: id, Use: useDerive, Algorithm: "HKDF-SHA256", Material: material, Created: now, SignFrom: now})
		if err != nil {
			return nil, err
		}
		if err := s.store.Apply(ctx, now, store.PutKey{Key: record}); err != nil && (!errors.Is(err, store.ErrConflict) || try > 2) {
			return nil, fmt.Errorf("storing the key %s: %w", id, err)
		}
	}
}
