package account

import (
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

func TestSecretOfAClientIsVerifiedInTheSameQueue(t *testing.T) {
	w := newWorld(t, Options{Hashes: 1})
	for name, encoded := range imported(t, right) {
		if !KnownHash(encoded) {
			t.Errorf("%s is not known", name)
		}
		for secret, want := range map[string]bool{right: true, "wrong": false, strings.Repeat("a", maxPassword+1): false} {
			if got, err := w.VerifyHash(t.Context(), encoded, secret); err != nil || got != want {
				t.Errorf("%s, %.10q: %v, %v", name, secret, got, err)
			}
		}
	}
	if KnownHash("$2b$31$" + strings.Repeat("a", 53)) {
		t.Error("an hour's hash is known")
	}
	if _, err := w.VerifyHash(t.Context(), "hunter2", "hunter2"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
	for range seatsPerHash {
		w.queue.seats <- struct{}{}
	}
	if _, err := w.VerifyHash(t.Context(), "$2b$04$"+strings.Repeat("a", 53), right); oauth.AsError(err).Reason != oauth.Overloaded {
		t.Error(err)
	}
}
