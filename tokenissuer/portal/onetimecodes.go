package portal

import (
	"context"
	"net/netip"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// OneTimeCodes sends codes to people and checks them. Errors are *oauth.Error.
type OneTimeCodes interface {
	// Kind is how a source reaches people, ByPhone or ByEmail; false: it sends no
	// codes.
	Kind(source string) (store.IdentifierKind, bool)

	// Send sends a code. Whether anybody has the address must not show. Where it is
	// too early for another one, that which was sent for the same Once is the answer.
	Send(ctx context.Context, now time.Time, d Destination) (Sent, error)

	// Check proves a person with the code. The writes use it up, and are applied
	// with the sign-in.
	Check(ctx context.Context, now time.Time, d Destination, token, code string) (store.Account, []store.Write, error)
}

// Sent is the otp_token that belongs to a code, and how long the code is good.
type Sent struct {
	Token    string
	Lifetime time.Duration // what is left of it
	Before   bool          // the code went out before, and not now
}

// Destination is where a code goes, and for whom.
type Destination struct {
	Client string               // "" where a person signs in at the portal itself
	Source string               // "" where it is not for a sign-in
	Usage  string               // account.ForReset, account.ForSignup; "" for a sign-in
	Kind   store.IdentifierKind // of To
	To     string               // as the person typed it
	Locale string
	From   netip.Addr
	Once   string // of a sending: a secret by which the same asker is known again
}
