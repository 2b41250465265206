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
// sign with, and for how long it has known that it lacks some: all 0 where it is alone,
// and keys never less than revoked.
type ages struct{ revoked, keys, unread time.Duration }

func (s *State) ages() ages {
	unread, revoked := s.changes.KeysUnread(), s.changes.Behind() // first: a look between must not make the keys the older
	keys := s.changes.KeysBehind()
	return ages{revoked: min(revoked, keys), keys: keys, unread: unread}
}

// current says whether what others revoked is known well enough.
func (t Staleness) current(behind time.Duration) bool {
	return t.Serve || behind <= cmp.Or(t.Most, DefaultStaleness)
}

// publishMost is how far behind the keys a node may be and publish them: what it hands
// out is kept for documentAge, and a key that it lacks signs when lead is over. That begins
// when the key is made, and it may take as long as signMost until it is stored and an
// answer is on its way.
const publishMost = lead - documentAge - signMost

// knowsKeys says whether every key that others sign with is here, as far as they have
// made it by the rules.
func (t Staleness) knowsKeys(behind time.Duration) bool { return t.Serve || behind <= publishMost }

// readMost is how long keys that have changed may take to be read by a node that can, also
// when a database is back and everybody wants something of it.
const readMost = 30 * time.Second

// goesOn says whether a node is to go on with the keys that it has. Where nothing says that
// they have changed the database is away, mostly for all nodes, which make no keys then:
// for how long that may be is the operator's to say. Where they have changed long since,
// this node alone cannot read them.
func (t Staleness) goesOn(a ages) bool {
	return t.knowsKeys(a.keys) || t.current(a.revoked) && a.unread <= readMost
}
