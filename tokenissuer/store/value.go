package store

import (
	"strings"
	"time"
)

// millis is t as the database keeps it: Unix milliseconds, 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// words keeps a list whose members have no spaces (RFC 6749 §3.3, RFC 8176).
func words(list []string) string { return strings.Join(list, " ") }

func list(words string) []string { return strings.Fields(words) }

// flag is a truth as every database understands it.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
