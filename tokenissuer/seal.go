package tokenissuer

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// ErrSealed is told to the operator: the store is fine, the option is not.
var ErrSealed = errors.New("the keys of this store are sealed")

var errNoSeal = fmt.Errorf("%w: set key_encryption_key", ErrSealed)

// sealer returns the AEAD of the key-encryption key, nil where none is set.
func (r KeyRules) sealer() (cipher.AEAD, error) {
	if r.EncryptionKey == "" {
		return nil, nil
	}
	// The operator's text may be of any form; HKDF makes 32 even bytes of it. Its
	// entropy is the operator's business, and the length is checked at load.
	k, err := hkdf.Key(sha256.New, []byte(r.EncryptionKey), nil, "gatehouse key encryption", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealed encrypts a key's material where a key-encryption key is set. The id
// is authenticated with it, so that rows cannot be exchanged.
func (s *State) sealed(k store.Key) (store.Key, error) {
	aead, err := s.keyRules.sealer()
	if err != nil || aead == nil {
		return k, err
	}
	k.Material = aead.Seal(nil, nil, k.Material, []byte(k.Use+"\x00"+k.ID))
	k.Sealed = true
	return k, nil
}

// Opens says whether a key that is stored can be used under these rules: ErrSealed where
// they lack what it was sealed with.
func (r KeyRules) Opens(k store.Key) error {
	_, err := r.opened(k)
	return err
}

// opened returns a key's material.
func (r KeyRules) opened(k store.Key) ([]byte, error) {
	if !k.Sealed {
		return k.Material, nil
	}
	aead, err := r.sealer()
	if err != nil {
		return nil, err
	}
	if aead == nil {
		return nil, errNoSeal
	}
	plain, err := aead.Open(nil, nil, k.Material, []byte(k.Use+"\x00"+k.ID))
	if err != nil {
		return nil, fmt.Errorf("%w: this key_encryption_key does not open them; set the one they were sealed with", ErrSealed)
	}
	return plain, nil
}

// reseal encrypts keys that were stored before a key-encryption key was set.
// What was in plain text before may still be read in old copies of the file:
// rotating the keys after it is the operator's part.
func (s *State) reseal(ctx context.Context, records []store.Key) ([]store.Key, error) {
	aead, err := s.keyRules.sealer()
	if err != nil || aead == nil {
		return records, err
	}
	var writes []store.Write
	for n, r := range records {
		if r.Sealed {
			continue
		}
		if records[n], err = s.sealed(r); err != nil {
			return nil, err
		}
		writes = append(writes, store.SealKey{ID: r.ID, Material: records[n].Material})
	}
	if len(writes) == 0 {
		return records, nil
	}
	if err := s.store.Apply(ctx, s.now(), writes...); err != nil {
		return nil, fmt.Errorf("sealing keys: %w", err)
	}
	return records, nil
}
