package tokenissuer

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// vouchLifetime is how long a backend may rely on a token about a caller.
const vouchLifetime = time.Minute

// vouchLeast is that where the caller's token is over, and counts still: one of another
// issuer, within the leeway of the gate. What is over at once no backend would take, and
// each request would cost a signature.
const vouchLeast = 10 * time.Second

// Vouch signs for a backend what a verified access token says, ours or another
// issuer's: for a minute, or as long as that token lasts. audience "" leaves the
// token's own. renew, half-way to the end, is when to ask again.
func (i *Issuer) Vouch(c *token.Claims, audience string, now time.Time) (raw string, renew time.Time, err error) {
	key, err := i.state.vouching(i.algorithm, now)
	if err != nil {
		return "", time.Time{}, err
	}
	expires := now.Add(vouchLifetime)
	switch end := time.Unix(c.Expires, 0); {
	case !end.After(now):
		expires = now.Add(vouchLeast)
	case end.Before(expires):
		expires = end
	}
	v := token.Voucher{Issuer: i.config.Issuer, ID: uuid.NewString(), Audience: audience, Caller: c, IssuedAt: now, Expires: expires}
	payload, err := v.Payload()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("token about a caller: %w", err)
	}
	raw, err = key.Sign(token.TypeJWT, payload)
	return raw, now.Add(expires.Sub(now) / 2), err
}
