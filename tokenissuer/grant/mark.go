package grant

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// A derived refresh token says whose it is: 64 bytes that only this issuer can
// derive, the family, and a seal over both. The store forgets spent ones, and they
// still end their family.
const (
	markAt   = RefreshBytes - markTag - 16
	markTag  = 16
	markText = "gatehouse refresh mark\x00"
)

// mark writes the family into the token that is about to be its own.
func mark(secret, token []byte, family string) {
	id, err := uuid.Parse(family)
	if err != nil || id.String() != family {
		return // no grant names a family so
	}
	copy(token[markAt:], id[:])
	copy(token[RefreshBytes-markTag:], markSeal(secret, token))
}

func markSeal(secret, token []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(markText))
	h.Write(token[:RefreshBytes-markTag])
	return h.Sum(nil)[:markTag]
}

// familyIn reads the mark of a token that this issuer has derived.
func familyIn(secret []byte, raw string) (string, bool) {
	if len(raw) != base64.RawURLEncoding.EncodedLen(RefreshBytes) {
		return "", false
	}
	token, err := base64.RawURLEncoding.DecodeString(raw)
	if err != nil || len(token) != RefreshBytes || !hmac.Equal(markSeal(secret, token), token[RefreshBytes-markTag:]) {
		return "", false
	}
	return uuid.UUID(token[markAt : markAt+16]).String(), true
}

// FindRefresh finds a refresh token with its family, spent or not, alive or not. One
// that was spent so long ago that its row has gone is told by its mark.
func FindRefresh(ctx context.Context, st RefreshStore, secret []byte, raw string) (store.Refresh, store.Family, error) {
	t, f, err := st.FamilyOfRefresh(ctx, HashOf(raw))
	if !errors.Is(err, store.ErrNotFound) {
		return t, f, err
	}
	id, marked := familyIn(secret, raw)
	if !marked {
		return t, f, err
	}
	f, err = st.Family(ctx, id)
	return store.Refresh{Hash: HashOf(raw), Family: id, N: -1, Spent: time.Unix(0, 0)}, f, err // before every window, and nobody's heir
}
