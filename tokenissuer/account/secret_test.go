package account

import (
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

func TestSecretOfAClientIsVerifiedInTheSameQueue(t *testing.T) {
	w := newWorld(t, Options{Hashes: 1})
	for name, encoded := range imported(t, right) {
		if problem := HashProblem(encoded); problem != "" {
			t.Errorf("%s: %s", name, problem)
		}
		for secret, want := range map[string]bool{right: true, "wrong": false, strings.Repeat("a", maxPassword+1): false} {
			if got, err := w.VerifyHash(t.Context(), encoded, secret); err != nil || got != want {
				t.Errorf("%s, %.10q: %v, %v", name, secret, got, err)
			}
		}
	}
	if problem := HashProblem("$2b$31$" + strings.Repeat("a", 53)); !strings.Contains(problem, "bcrypt 4 to 15") {
		t.Errorf("an hour's hash: %q", problem)
	}
	if problem := HashProblem("hunter2"); !strings.HasPrefix(problem, "expected a hash") {
		t.Errorf("no hash at all: %q", problem)
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
