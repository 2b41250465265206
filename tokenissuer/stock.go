package tokenissuer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// stock is what the store has of signing keys.
type stock struct {
	ring   *token.Ring
	newest string // the id of the one that was stored last
	sealed bool   // some are
}

// load reads the signing keys. What is known of a key does not change, but for its
// times: unless fresh, it is neither opened nor parsed again. So a node goes on with
// its keys while others begin to seal them.
func (s *State) load(ctx context.Context, fresh bool) (stock, error) {
	records, err := s.records(ctx)
	if err != nil {
		return stock{}, err
	}
	known := map[string]*token.Key{}
	if ring := s.keys.Load(); ring != nil && !fresh {
		for _, k := range ring.List() {
			known[k.ID] = k
		}
	}
	var had stock
	var keys []*token.Key
	for _, r := range records {
		had.sealed = had.sealed || r.Sealed
		if r.Use != useSigning {
			continue
		}
		k, err := s.key(r, known[r.ID])
		if err != nil {
			return stock{}, err
		}
		keys, had.newest = append(keys, k), r.ID
	}
	had.ring = token.NewRing(keys)
	return had, nil
}

// records reads the keys' rows, and seals what has to be. Others may do so at the
// same moment.
func (s *State) records(ctx context.Context) ([]store.Key, error) {
	for try := 0; ; try++ {
		records, err := s.store.Keys(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading keys: %w", err)
		}
		if records, err = s.reseal(ctx, records); err == nil || !errors.Is(err, store.ErrConflict) || try > 2 {
			return records, err
		}
	}
}

// key makes a row usable. One that is used already stays as it is: its times are new.
func (s *State) key(r store.Key, known *token.Key) (*token.Key, error) {
	k := &token.Key{}
	if known != nil {
		*k = *known
	} else {
		der, err := s.keyRules.opened(r)
		if err != nil {
			return nil, err
		}
		if k, err = s.keyRules.Crypto.ParseKey(r.ID, token.Algorithm(r.Algorithm), der); err != nil {
			return nil, err
		}
	}
	k.Created, k.SignFrom, k.Retired, k.Expires = r.Created, r.SignFrom, r.Retired, r.Expires
	return k, nil
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
				return s.keyRules.opened(r)
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
