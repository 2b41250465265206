//go:build !race

package gate

const (
	bad       = 100_000 // of each kind that costs little to make
	badSigned = 10_000  // of each kind that somebody has to sign, or to send at length
)
