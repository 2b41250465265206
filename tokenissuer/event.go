package tokenissuer

import (
	"net/netip"
	"time"
)

// Event is the one record of an answered request: who asked for what, and how
// it ended. It never holds a secret, a password, a token or a piece of one.
type Event struct {
	Endpoint string // such as "token", one of a fixed few
	Grant    string // grant_type, "" unless it is one that is known
	Client   string // client_id of a registered client, ""
	Account  string // `sub`, ""
	Scope    string // what was given
	From     netip.Addr
	Status   int
	Error    string // code of the answer, "" for success
	Reason   string // the exact condition, for operators alone
	Cause    error  // private
	Took     time.Duration
}
