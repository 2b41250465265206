package tokenissuer_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
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

// Whoever can read a code can set a password, and whoever finds an open browser can
// set a first one: the mailbox of the account is told of each, once.
func TestMailboxIsToldOfANewPassword(t *testing.T) {
	p := newPost(t)
	c := p.accounts()
	c.Clients[0].Grants = append(c.Clients[0].Grants, "authorization_code")
	c.Clients[0].RedirectURIs, c.Clients[0].FirstParty = []string{callback}, true
	s := start(t, c)
	s.user("ann", mailbox)
	s.user("carl", "")
	if _, err := s.issuer.AddUser(t.Context(), tokenissuer.NewUser{Username: "bob", Email: "bob@example.com"}); err != nil {
		t.Fatal(err)
	}
	n := 0
	told := func(to, what string) {
		t.Helper()
		n++
		list := p.notices(t, n)
		if len(list) != n || !strings.HasPrefix(list[n-1], to+" ") || !strings.Contains(list[n-1], what) || strings.Contains(list[n-1], another) {
			t.Fatalf("told %q", list)
		}
	}
	const changed, first = "The password of your account", "A password was set for your account"

	moves(t, s.change(s.access("ann", password), password, another))
	told(mailbox, changed)
	s.change(s.access("ann", another), "wrong", password) // nothing happened
	reset := s.proof(p, "shop", "reset_password", "email", mailbox, mailbox)
	body := append([]string{"client_id", "shop", "client_secret", secret, "password", "a third password"}, reset...)
	moves(t, s.json(http.MethodPost, "/reset_user_password", object(body...)))
	told(mailbox, changed)
	moves(t, s.change(s.access("carl", password), password, another)) // has no mailbox

	b := s.browser()
	login := b.follow(b.get("/portal/account"))
	ask := b.click(login, "/portal/reset")
	before := p.sent()
	form := b.follow(b.submit(ask, "username", "bob@example.com"))
	p.await(t, before+1)
	b.follow(b.submit(form, "code", p.code("bob@example.com"), "new_password", "the first password"))
	told("bob@example.com", first)
	profile := b.follow(b.submit(b.follow(b.get("/portal/account")), "username", "bob", "password", "the first password"))
	b.follow(b.submit(b.click(profile, "/portal/account/password"), "old_password", "the first password", "new_password", "a second password"))
	told("bob@example.com", changed)
}

// Whoever has an account can change its password for ever, and not have mails sent
// for ever.
func TestNoticesToAMailboxAreBounded(t *testing.T) {
	p := newPost(t)
	s := start(t, p.accounts())
	s.user("ann", mailbox)
	now := password
	for n := range 30 {
		next := fmt.Sprintf("another long password of ann's, %d", n)
		body := `{"old_password":"` + now + `","new_password":"` + next + `"}`
		a := s.send(http.MethodPost, "/change_user_password", body, "Content-Type: application/json", "Authorization: Bearer "+s.access("ann", now))
		now = next
		if a.status != http.StatusOK {
			t.Fatalf("change %d: %d %s", n, a.status, a.body)
		}
	}
	if told := p.notices(t, 20); len(told) != 20 {
		t.Errorf("%d mails", len(told))
	}
}
