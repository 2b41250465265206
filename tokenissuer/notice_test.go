package tokenissuer_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

// moves wants a change that was made.
func moves(t *testing.T, a answer) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
}

// Whoever moves an account to another mailbox cannot keep that from the owner of
// the one before: one mail a change, and none where no address changed.
func TestAddressBeforeIsToldOfAChange(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("ann", mailbox)
	token := s.access("ann", password)
	both := append(s.proof(p, "shop", "update_userinfo", "email", "new@example.com", "new@example.com"),
		s.proof(p, "shop", "update_userinfo", "phone_number", number, e164)...)
	moves(t, s.patch(token, both...))
	p.notices(t, 1)
	moves(t, s.patch(token, "name", "Ann"))
	moves(t, s.patch(token, "email", "new@example.com"))
	moves(t, s.patch(token, s.proof(p, "shop", "update_userinfo", "phone_number", "13612345679", "+8613612345679")...))
	told := p.notices(t, 2)
	if len(told) != 2 || !strings.HasPrefix(told[0], mailbox+" ") || !strings.HasPrefix(told[1], "new@example.com ") {
		t.Fatalf("told %q", told)
	}
	for _, text := range told {
		if !strings.Contains(text, " changed") || strings.Contains(text, e164) {
			t.Error(text)
		}
	}
	if strings.Contains(told[0], "new@example.com") {
		t.Error("the mailbox before learns the new one")
	}
}

// A webhook is promised a code: where nothing else carries mail, nobody is told.
func TestNoticeNeedsAMailServer(t *testing.T) {
	p := newPost(t)
	config := p.accounts()
	for i := range config.Sources {
		if config.Sources[i].Type == "email_otp" {
			config.Sources[i].SMTP, config.Sources[i].Webhook = message.SMTPConfig{}, config.Sources[i-1].Webhook
		}
	}
	s := start(t, config)
	s.user("ann", mailbox)
	moves(t, s.patch(s.access("ann", password), s.proof(p, "shop", "update_userinfo", "email", "new@example.com", "new@example.com")...))
	if told := p.notices(t, 0); len(told) != 0 || len(p.bodies) != 1 {
		t.Errorf("told %q, %v", told, p.bodies)
	}
}
