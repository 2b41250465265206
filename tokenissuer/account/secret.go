package account

import (
	"context"
	"errors"

	"github.com/nyaruka/phonenumbers"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// KnownRegion reports whether phone numbers of a region can be read.
func KnownRegion(region string) bool { return phonenumbers.GetSupportedRegions()[region] }

// KnownHash reports whether a stored hash is of a format, and of a cost, that
// VerifyHash takes.
func KnownHash(encoded string) bool {
	_, err := (&hasher{}).decode(encoded)
	return err == nil
}

// VerifyHash checks the secret of something that is no account, such as a
// client, against a stored hash. It waits in the same queue as people's
// passwords: TemporarilyUnavailable where that is full.
func (a *Accounts) VerifyHash(ctx context.Context, encoded, secret string) (bool, error) {
	if len(secret) > maxPassword {
		return false, nil
	}
	found, err := a.hasher.decode(encoded)
	if err != nil {
		return false, err
	}
	ctx, leave, err := a.queue.enter(ctx)
	if err != nil {
		return false, refusal(err)
	}
	defer leave()
	right := false
	err = a.queue.run(ctx, func() { right = found.digest.Match(secret) })
	if errors.Is(err, errBusy) {
		return false, oauth.Wrap(oauth.TemporarilyUnavailable, oauth.Overloaded, err)
	}
	return right, err
}
