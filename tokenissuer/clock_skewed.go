//go:build skewed

package tokenissuer

import (
	"os"
	"time"
)

// A node whose clock is wrong by GATEHOUSE_SKEW, such as -5m: for tests alone.
func init() {
	skew, err := time.ParseDuration(os.Getenv("GATEHOUSE_SKEW"))
	if err != nil {
		return
	}
	clock = func() time.Time { return time.Now().Add(skew) }
}
