package account

import (
	"context"
	"errors"
	"fmt"

	"github.com/nyaruka/phonenumbers"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// KnownRegion reports whether phone numbers of a region can be read.
func KnownRegion(region string) bool { return phonenumbers.GetSupportedRegions()[region] }

// HashProblem says what keeps VerifyHash from taking a stored hash, or "".
func HashProblem(encoded string) string {
	switch _, err := (&hasher{}).decode(encoded); {
	case err == nil:
		return ""
	case errors.Is(err, errCost):
		return fmt.Sprintf("parameters out of bounds: at most %d MiB and %d lanes of argon2 and scrypt, bcrypt 4 to %d, %d iterations of pbkdf2",
			maxMemory>>10, maxLanes, maxCost, maxIterations)
	}
	return "expected a hash of argon2id, bcrypt, scrypt or pbkdf2, such as $argon2id$v=19$…"
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
