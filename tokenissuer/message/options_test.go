package message

import (
	"strings"
	"testing"
)

// The attack is a resolver that says localhost is somewhere else.
func TestPlainTextStaysOnThisMachine(t *testing.T) {
	for _, address := range []string{"192.0.2.1:25", "[2001:db8::1]:25", "0.0.0.0:25"} {
		conn, err := dial(t.Context(), address, true)
		if err == nil {
			_ = conn.Close()
			t.Fatalf("connected to %s", address)
		}
		if !strings.Contains(err.Error(), "loopback addresses alone") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
