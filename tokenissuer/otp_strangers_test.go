package tokenissuer_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// from sends a form of an address.
func (s *server) from(t *testing.T, address, path, body string, headers ...string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	r.RemoteAddr = net.JoinHostPort(address, "1234")
	w := httptest.NewRecorder()
	s.issuer.ServeHTTP(w, r)
	return answer{status: w.Code, header: w.Header(), body: w.Body.String()}
}

// Somebody uses up messages and tries at a number that has no account yet: its
// owner comes from another network, and opens one. What all strangers together
// can make an operator pay for is what one number may get.
func TestStrangersDoNotKeepOutWhoHasTheNumber(t *testing.T) {
	p := newPost(t)
	c := p.otp()
	c.OTPPerNumber = []tokenissuer.Rate{{Count: 1000, Within: time.Second}, {Count: 50, Within: 24 * time.Hour}}
	c.Clients[3].SignUp = true
	s := start(t, c)
	ask := form("client_id", "open", "phone_number", number, "auth_source_id", "sms")
	show := func(from, token, code string) answer {
		t.Helper()
		return s.from(t, from, "/oauth2/token", form("grant_type", sms, "client_id", "open", "auth_source_id", "sms",
			"phone_number", number, "otp_token", token, "otp", code, "auto_signup", "true"))
	}
	const stranger, neighbour, owner = "203.0.113.9", "203.0.113.10", "198.51.100.7"
	last, tries := "", 0
	for range 10 {
		last = s.from(t, stranger, sendPath, ask).text(t, "otp_token")
		for range 5 {
			if show(stranger, last, wrong(p.code(e164))).body == unknownOTP {
				tries++
			}
		}
	}
	if tries != 20 {
		t.Errorf("%d tries, want 20", tries)
	}
	for _, from := range []string{stranger, neighbour} {
		want(t, s.from(t, from, sendPath, ask), 400, exceeded)
		want(t, show(from, last, p.code(e164)), 400, unknownToken)
	}

	token := s.from(t, owner, sendPath, ask).text(t, "otp_token")
	want(t, show(owner, token, wrong(p.code(e164))), 400, unknownOTP)
	if a := show(owner, token, p.code(e164)); a.status != http.StatusOK {
		t.Errorf("the owner: %d %s", a.status, a.body)
	}
	if _, err := s.issuer.User(t.Context(), e164); err != nil {
		t.Errorf("the owner's account: %v", err)
	}

	for n := range 200 {
		s.from(t, fmt.Sprintf("192.0.%d.1", n/4), sendPath, ask)
	}
	if p.sent() != 50 {
		t.Errorf("%d messages to one number, want 50", p.sent())
	}
}
