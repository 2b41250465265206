package tokenissuer

import (
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// refusedMost is how long a token request waits for the tokens of its client to count:
// a revocation refuses those of its second, as far ahead as another node's clock may be,
// and what nodes think of the time differs by a little.
const refusedMost = nodesDiffer + 1500*time.Millisecond

// afresh moves a request on to a time whose tokens are not refused with all that its client
// had, which was revoked a moment ago: a token that is dead when it is given out would be
// kept for as long as it says that it lives. Who has proven something has not used it up yet.
// A client that is refused for longer, or again and again, is told when to come back.
func (i *Issuer) afresh(r *request, client string) error {
	for revoked := i.state.revoked; revoked.RevokedByClient(client, r.now.Unix()); {
		wait := max(0, revoked.GoodFrom(client).Sub(i.state.now()))
		if r.waited += wait; r.waited > refusedMost {
			refused := oauth.Fail(oauth.TemporarilyUnavailable, oauth.RevokedClient)
			refused.Retry = wait
			return refused
		}
		good := time.NewTimer(wait)
		select {
		case <-good.C:
		case <-r.Context().Done():
			good.Stop()
			return oauth.Wrap(oauth.TemporarilyUnavailable, oauth.RevokedClient, r.Context().Err())
		}
		r.now = i.state.now()
	}
	return nil
}
