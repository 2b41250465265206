package portal

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Whoever asks again too early is led to the code before: from its page, from the
// page before that, and from a new request of the app.
func TestAskingForACodeTooSoonLeadsToTheOneBefore(t *testing.T) {
	const mailbox, moved = "ann@example.com", "new@example.com"
	request := func(page string) func(*person) {
		return func(p *person) { p.goes("/authorize").goes(page + "p_state=" + p.stateOf()) }
	}
	nobody := func(w *world) *person { return w.person() }
	for _, c := range []struct {
		name              string
		person            func(*world) *person
		open              func(*person)
		form, field, to   string
		asking, says, led string
	}{
		{"sign-in", nobody, request("/portal/login?source=mail&"), "/portal/login", "username", mailbox, "/portal/code", "sent there a moment ago", "/portal/return"},
		{"reset", nobody, request("/portal/reset?"), "/portal/reset", "username", mailbox, "/portal/reset/password", "asked for a code a moment ago", "/portal/login"},
		{"sign-up", nobody, request("/portal/signup?"), "/portal/signup", "username", moved, "/portal/signup/account", "sent there a moment ago", "/portal/return"},
		{
			"contact", func(w *world) *person { return w.home("ann", right) }, func(p *person) { p.goes("/portal/account/email") },
			"/portal/account/email", "email", moved, "/portal/account/email/code", "sent there a moment ago", "/portal/account",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			sender := &codes{who: map[string]store.Account{}}
			w := newWorld(t, func(o *Options) { o.Codes, o.Addresses = sender, addresses{sender} })
			sender.who[mailbox] = w.ann
			w.ask(func(r *Request) { r.Client = "own" })
			p := c.person(w)
			c.open(p)
			before := p.at.String()
			p.submits(c.form, c.field, c.to).sees(c.asking, 200, "The code is good for 60 seconds.")
			if strings.Contains(p.body, `role="status"`) {
				t.Error("the first one was sent now")
			}
			sender.soon = true
			w.later(20 * time.Second)
			p.goes(before).submits(c.form, c.field, c.to).sees(c.asking, 200, c.says)
			c.open(p)
			p.submits(c.form, c.field, c.to).sees(c.asking, 200, c.says)
			p.goes(before).submits(c.form, c.field, "else@example.com").sees(c.form, 400, "too often")
			stranger := c.person(w)
			c.open(stranger)
			stranger.submits(c.form, c.field, c.to).sees(c.form, 400, "too often")

			p.goes(before).submits(c.form, c.field, c.to)
			values := []string{"code", "1"}
			if strings.Contains(p.body, "new_password") {
				values = append(values, "new_password", "a new password")
			}
			if p.submits(c.asking, values...); p.at.Path != c.led || len(sender.sent) != 1 {
				t.Errorf("the code leads to %s with %d messages", p.at, len(sender.sent))
			}
		})
	}
}

// A code for one account is not offered to the next one in the same browser.
func TestCodeBeforeIsOfTheSameAccount(t *testing.T) {
	w, sender := reachable(t)
	w.create("bob", "another password")
	p := w.home("ann", right).goes("/portal/account/email").submits("/portal/account/email", "email", "new@example.com")
	sender.soon = true
	p.goes("/portal/logout").submits("/portal/logout").goes("/portal").submits("/portal/login", "username", "bob", "password", "another password")
	p.goes("/portal/account/email").submits("/portal/account/email", "email", "new@example.com").sees("/portal/account/email", 400, "too often")
}

func TestCodeThatCannotBeSent(t *testing.T) {
	sender := &codes{}
	w := newWorld(t, func(o *Options) { o.Codes = sender })
	w.ask(func(r *Request) { r.Client, r.Source = "own", "sms" })
	for _, c := range []struct {
		err    *oauth.Error
		status int
		says   string
	}{
		{oauth.Fail(oauth.InvalidRequest, oauth.TooManyRequests), 400, "too often"},
		{oauth.Fail(oauth.SMSRateLimitExceeded, oauth.NumberUsedUp), 400, "too often"},
		{&oauth.Error{Code: oauth.SMSRateLimitExceeded, Reason: oauth.NumberUsedUp, Retry: 50*time.Minute + 1}, 400, "again in 51 minutes"},
		{&oauth.Error{Code: oauth.SMSRateLimitExceeded, Reason: oauth.NumberUsedUp, Retry: 20 * time.Hour}, 400, "again in 20 hours"},
		{oauth.Fail(oauth.MalformedPhoneNumber, oauth.MalformedPhone), 400, "That is no phone number"},
		{oauth.Fail(oauth.TemporarilyUnavailable, oauth.SendingFailed), 400, "could not be sent"},
		{oauth.Fail(oauth.TemporarilyUnavailable, oauth.Overloaded), 503, "Too much is going on"},
	} {
		sender.fail = c.err
		w.person().goes("/authorize").submits("/portal/login", "username", "13800138000").sees("/portal/login", c.status, c.says)
	}
}
