//go:build race

package gate

// The race detector makes every signature ten times as long, and sees as much in fewer.
const (
	bad       = 5_000
	badSigned = 500
)
