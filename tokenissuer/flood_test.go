package tokenissuer_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// A page that a signed-in person has open asks for one code after the other.
// Twenty wait; the person signs in elsewhere, and here with the newest.
func TestLoopOfAuthorizeRequestsLeavesTwentyCodes(t *testing.T) {
	s := start(t, siblings())
	s.user("alice", "")
	b := s.browser()
	b.signedIn(authorizePath("shop"), "alice")
	elsewhere := b.signedIn(authorizePath("server"), "alice").Get("code")
	var codes []string
	for range 60 {
		codes = append(codes, b.signedIn(authorizePath("shop"), "").Get("code"))
	}
	redeem := func(code string) string {
		return form("client_id", "shop", "client_secret", secret, "grant_type", "authorization_code", "code", code, "redirect_uri", callback)
	}
	for _, old := range []string{codes[0], codes[39]} {
		s.check(t, "/oauth2/token", row{form: redeem(old), status: 400, body: invalidGrant})
	}
	for _, code := range []string{codes[40], codes[59]} {
		s.good(redeem(code))
	}
	s.good(form("client_id", "server", "client_secret", secret, "grant_type", "authorization_code", "code", elsewhere, "redirect_uri", callback))
}

// Somebody guesses at the secret of one client, from many connections; the other
// clients at the address get their tokens all the while.
func TestFloodOfWrongSecretsStopsNobodyElse(t *testing.T) {
	const most, guessers, each = 20, 8, 100
	s := start(t, tokenissuer.Config{FailuresPerAddress: most, FailuresWindow: time.Hour})
	wrong := form("grant_type", "client_credentials", "client_id", "robot", "client_secret", "wrong")
	good := form("grant_type", "client_credentials", "client_id", "shop", "client_secret", secret)
	var looked, answered atomic.Int32
	var all sync.WaitGroup
	for range guessers {
		all.Go(func() {
			for range each {
				switch a := s.token(wrong); a.status {
				case http.StatusUnauthorized:
					looked.Add(1)
				case http.StatusTooManyRequests:
				default:
					t.Errorf("%d %s", a.status, a.body)
				}
				if a := s.token(good); a.status == http.StatusOK {
					answered.Add(1)
				}
			}
		})
	}
	all.Wait()
	// Those that were under way when the last try was used up were looked at, too.
	if n := looked.Load(); n < most || n > most+guessers {
		t.Errorf("%d guesses were looked at, want %d and no more than were under way", n, most)
	}
	if n := answered.Load(); n != guessers*each {
		t.Errorf("%d of %d honest requests were answered", n, guessers*each)
	}
	want(t, s.token(form("grant_type", "client_credentials", "client_id", "robot", "client_secret", secret)), http.StatusTooManyRequests, errorOf("temporarily_unavailable"))
}
