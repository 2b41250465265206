package tokenissuer

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// TestNodeVouchesForAsLongAsItsKeyIsPublished: a gate that goes on without the database
// has its backends go on. Tokens that may live for a day are signed for a minute only.
func TestNodeVouchesForAsLongAsItsKeyIsPublished(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	key, err := token.Generate(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	key.SignFrom = now
	s := &State{}
	s.keys.Store(token.NewRing([]*token.Key{key}))
	for _, c := range []struct {
		behind          time.Duration
		signs, vouching bool
	}{
		{0, true, true},
		{time.Minute, true, true},
		{77 * time.Second, false, true},
		{12 * time.Hour, false, true},
		{client.MaxTokenLifetime - documentAge - vouchLifetime, false, false}, // what was fetched last is kept so long
	} {
		for what, most := range map[bool]time.Duration{false: signMost, true: vouchMost} {
			_, err := s.signingBehind(c.behind, most, token.ES256, now)
			want := c.signs
			if what {
				want = c.vouching
			}
			if (err == nil) != want || err != nil && !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s behind, about a caller %v: %v", c.behind, what, err)
			}
		}
	}
}
