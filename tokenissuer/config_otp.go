package tokenissuer

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// GrantsOTP are the values of grant_type that a code by SMS and a code by e-mail
// earn tokens with.
var GrantsOTP = []string{oauth.GrantOTPSMS, oauth.GrantOTPEmail}

// otpKind is how a source of one-time codes reaches people.
func (s Source) otpKind() (store.IdentifierKind, bool) {
	switch s.Type {
	case TypeSMSOTP:
		return store.ByPhone, true
	case TypeEmailOTP:
		return store.ByEmail, true
	}
	return "", false
}

func (s Source) codes() account.CodeSource {
	kind, _ := s.otpKind()
	return account.CodeSource{ID: s.ID, Kind: kind, Digits: s.Digits, Lifetime: s.Lifetime}
}

// sender makes what hands the codes on; nil where nothing is configured.
func (s Source) sender() (message.Sender, error) {
	switch {
	case s.Webhook.URL != "":
		return message.NewWebhook(s.Webhook)
	case s.SMTP.URL != "":
		return message.NewSMTP(s.SMTP)
	}
	return nil, nil
}

func (s Source) validateOTP(development bool, wrong func(option, format string, a ...any)) {
	for option, set := range map[string]bool{
		"identifiers": len(s.Identifiers) > 0, "lockout": s.LockoutFailures != 0 || s.LockoutDuration != 0,
		"password_min_length": s.PasswordMinLength != 0, "password_max_age": s.PasswordMaxAge != 0,
		"password_history": s.PasswordHistory != 0,
	} {
		if set {
			wrong(option, "is for sources of type password")
		}
	}
	if s.Digits < 1 || s.Digits > 6 {
		wrong("digits", "expected 1 to 6")
	}
	if s.Lifetime < time.Second || s.Lifetime > 300*time.Second || s.Lifetime%time.Second != 0 {
		wrong("lifetime", "%v is not a whole number of seconds from 1s to 300s", s.Lifetime)
	}
	sender, err := s.sender()
	switch {
	case s.Webhook.URL != "" && s.SMTP.URL != "":
		wrong("send", "expected one of webhook and smtp")
	case s.SMTP.URL != "" && s.Type != TypeEmailOTP:
		wrong("send", "a source of type %s sends by webhook", s.Type)
	case err != nil:
		wrong("send", "%v", err)
	case sender == nil && !development:
		wrong("send", "required: a webhook URL, or for email_otp an smtp URL; `development` does without on a loopback issuer")
	}
}

// otpPerNumber is the rates as they hold: each default that no rate stands in
// for, and the configured ones.
func otpPerNumber(configured []Rate) []Rate {
	rates := slices.Clone(configured)
	within := func(from, below time.Duration) func(Rate) bool {
		return func(r Rate) bool { return r.Within >= from && r.Within < below }
	}
	if !slices.ContainsFunc(configured, within(0, time.Hour)) {
		rates = append(rates, DefaultOTPPause)
	}
	if !slices.ContainsFunc(configured, within(time.Hour, 1<<62)) {
		rates = append(rates, DefaultOTPPerNumber)
	}
	return rates
}

func (c Config) validateOTPLimits(fail func(ConfigError)) {
	check := func(option string, r Rate) {
		if r.Count < 1 || r.Within < time.Second || r.Within > 30*24*time.Hour {
			fail(ConfigError{Option: option, Mend: fmt.Sprintf("%d within %v: expected at least 1 within 1s to 30d", r.Count, r.Within)})
		}
	}
	for _, r := range c.OTPPerNumber {
		check("limits otp_per_number", r)
	}
	check("limits otp_per_client", c.OTPPerClient)
}

func loopbackIssuer(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && isLoopback(u.Hostname())
}
