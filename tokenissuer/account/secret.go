package account

import (
	"context"
	"errors"

	"github.com/nyaruka/phonenumbers"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/hashing"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// KnownRegion reports whether phone numbers of a region can be read.
func KnownRegion(region string) bool { return phonenumbers.GetSupportedRegions()[region] }

// HashProblem says what keeps VerifyHash from taking a stored hash, or "".
func HashProblem(encoded string) string { return hashing.Problem(encoded) }

// VerifyHash checks the secret of something that is no account, such as a
// client, against a stored hash. It waits in the same queue as people's
// passwords: TemporarilyUnavailable where that is full.
func (a *Accounts) VerifyHash(ctx context.Context, encoded, secret string) (bool, error) {
	if len(secret) > maxPassword {
		return false, nil
	}
	found, err := a.hasher.Decode(encoded)
	if err != nil {
		return false, err
	}
	ctx, leave, err := a.queue.enter(ctx)
	if err != nil {
		return false, refusal(err)
	}
	defer leave()
	right := false
	err = a.queue.run(ctx, func() { right = a.hasher.Match(found, secret) })
	if errors.Is(err, errBusy) {
		return false, oauth.Wrap(oauth.TemporarilyUnavailable, oauth.Overloaded, err)
	}
	return right, err
}
