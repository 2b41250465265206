package tokenissuer

import "time"

// clock is this machine's. Builds for tests can set it wrong.
var clock = time.Now
