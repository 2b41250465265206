package tokenissuer

import (
	"cmp"
	"time"
)

// Staleness is what a node does that does not hear of the others.
type Staleness struct {
	Most  time.Duration // behind them; 0: DefaultStaleness
	Serve bool          // go on beyond it; default: answer 503
}

// DefaultStaleness is long enough for a database that changes places.
const DefaultStaleness = 30 * time.Second

// ages are how long ago a node knew all that others revoked, and all the keys that they
// sign with: both 0 where it is alone, and keys never less than revoked.
type ages struct{ revoked, keys time.Duration }

func (s *State) ages() ages {
	keys := s.changes.KeysBehind() // first: what is read between must not make them the younger
	return ages{revoked: min(s.changes.Behind(), keys), keys: keys}
}

// current says whether what others revoked is known well enough.
func (t Staleness) current(a ages) bool {
	return t.Serve || a.revoked <= cmp.Or(t.Most, DefaultStaleness)
}

// publishMost is how far behind the keys a node may be and publish them: what it hands
// out is kept for documentAge, and a key that it lacks signs when lead is over. That begins
// when the key is made, and it may take as long as signMost until it is stored and an
// answer is on its way.
const publishMost = lead - documentAge - signMost

// knowsKeys says whether every key that others sign with is here, as far as they have
// made it by the rules.
func (t Staleness) knowsKeys(a ages) bool { return t.Serve || a.keys <= publishMost }

// readMost is how much older than the revocations keys are that are read as soon as they
// have changed: a look or two, and what a slow database takes to hand them out.
const readMost = 10 * time.Second

// goesOn says whether a node is to go on with the keys that it has. Where they are as old
// as the revocations the database is away, mostly for all nodes, which make no keys then:
// for how long that may be is the operator's to say. Where they are much older the others
// have changed them, and this node alone cannot read them.
func (t Staleness) goesOn(a ages) bool {
	return t.knowsKeys(a) || t.current(a) && a.keys-a.revoked <= readMost
}
