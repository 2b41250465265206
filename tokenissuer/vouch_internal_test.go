package tokenissuer

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// A token of an issuer elsewhere counts for the gate's leeway beyond its end. What a backend
// gets then must not be over, nor be signed for each request.
func TestTokenAboutACallerIsNeverOverAtOnce(t *testing.T) {
	i, err := New(Config{Issuer: "https://auth.example.com"}, openState(t, func(err error) { t.Error(err) }))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Truncate(time.Second).Add(time.Second) // the key was made before
	for left, want := range map[time.Duration]time.Duration{
		time.Hour: time.Minute, 20 * time.Second: 20 * time.Second,
		0: 10 * time.Second, -5 * time.Second: 10 * time.Second, -9 * time.Minute: 10 * time.Second,
	} {
		caller := &token.Claims{Issuer: "https://partner.example", Subject: "alice", Audience: []string{"orders"}, Expires: now.Add(left).Unix()}
		raw, renew, err := i.Vouch(caller, "", now)
		if err != nil {
			t.Fatal(err)
		}
		var says struct{ Exp, Iat int64 }
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
		if err != nil || json.Unmarshal(payload, &says) != nil {
			t.Fatalf("%s: %v", payload, err)
		}
		if life := time.Duration(says.Exp-says.Iat) * time.Second; life != want || !renew.Equal(now.Add(want/2)) {
			t.Errorf("%s before the end: good for %s, anew after %s", left, life, renew.Sub(now))
		}
	}
}
