package tokenissuer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/hashing"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/portal"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Defaults of the options that have one.
const (
	DefaultSigningAlgorithm     = "RS256"
	DefaultCrypto               = "go"
	DefaultKeyRotation          = 30 * 24 * time.Hour
	DefaultAccessTokenLifetime  = 300 * time.Second
	DefaultIDTokenLifetime      = 1800 * time.Second
	DefaultRefreshTokenLifetime = 24 * time.Hour
	DefaultRefreshWindow        = 10 * time.Second
	DefaultCodeLifetime         = 5 * time.Minute
	DefaultPhoneRegion          = "CN"
	DefaultLockoutFailures      = 5
	DefaultLockoutDuration      = 15 * time.Minute
	DefaultFailuresPerAddress   = 600
	DefaultFailuresWindow       = time.Minute
	DefaultOTPDigits            = 6
	DefaultOTPLifetime          = time.Minute
)

// Defaults of the limits on one-time codes: the first two for a number or
// mailbox, the last for a client.
var (
	DefaultOTPPause     = Rate{1, 30 * time.Second}
	DefaultOTPPerNumber = Rate{50, 24 * time.Hour}
	DefaultOTPPerClient = Rate{1000, time.Hour}
)

// Never turns an option off that is a duration.
const Never time.Duration = -1

// Config is everything an operator can say about the issuer. The zero value of
// a field means its default.
type Config struct {
	// Issuer is the `iss` of every token and the base of every published address:
	// https, or http on a loopback host. Nothing is ever taken from a Host header.
	Issuer string

	// SigningAlgorithm is RS256, PS256, ES256 or EdDSA. Tokens signed before a
	// change stay good until they expire.
	SigningAlgorithm string

	// Crypto is whose code computes RSA signatures: `go` (default), or `openssl` in
	// builds with that tag. It changes nothing but the time they take.
	Crypto string

	// KeyRotation is how long a key signs; Never keeps one key.
	KeyRotation time.Duration

	// AccessTokenLifetime is `exp - iat` of access tokens. What a resource server
	// checks offline stays good for this long after a revocation; the gate does not
	// depend on it.
	AccessTokenLifetime time.Duration

	// IDTokenLifetime is `exp - iat` of ID tokens.
	IDTokenLifetime time.Duration

	// RefreshTokenLifetime counts from the sign-in; refreshing does not prolong it.
	RefreshTokenLifetime time.Duration

	// RefreshWindow is how long a spent refresh token answers its successor again,
	// for clients whose answer was lost on the way; Never makes every second use end
	// the family.
	RefreshWindow time.Duration

	// Staleness is how far behind the other nodes of a shared database this one may be.
	Staleness Staleness

	// PhoneRegion is the ISO 3166 region in which numbers without + are read.
	PhoneRegion string

	// AuthorizationCodeLifetime is how long a code waits to be redeemed.
	AuthorizationCodeLifetime time.Duration

	// ISSParameter names the issuer in the authorization answers of every dialect
	// (RFC 9207); those of dialect oauth always do.
	ISSParameter bool

	// GateCallback is the path of the redirect URIs of this process's own gates: answers
	// that go there name the issuer in every dialect, because the people of one host may
	// sign in at several (RFC 9700 §4.4.2). Default: none.
	GateCallback string

	// Portal is how the pages for people look.
	Portal Portal

	// Locales are the languages of the pages, of en and zh; the first is the
	// default.
	Locales []string

	// Scopes are texts for the consent page, by the name of the scope.
	Scopes map[string]string

	// Dialect is `ciam` (default) or `oauth`: how requests are answered that name no
	// known client.
	Dialect string

	// Attributes are the names of further texts that accounts have and that people
	// write themselves, through any client with their token.
	Attributes []string

	// OperatorAttributes are those that only operators write. They alone are in
	// access tokens, of the clients whose Claims name them: what a gate demands must
	// not be for the person to say.
	OperatorAttributes []string

	// Sources are the ways people prove themselves. Without any there is one,
	// `password`, associated with every client that signs people in.
	Sources []Source

	// Clients are the registered applications.
	Clients []Client

	// FailuresPerAddress refused requests within FailuresWindow from one address
	// (one /64 for IPv6), and the next are answered 429. Good requests cost nothing.
	// Negative: no limit.
	FailuresPerAddress int
	FailuresWindow     time.Duration

	// OTPPerNumber bounds the messages to one phone number or mailbox. A rate within
	// less than an hour stands in for DefaultOTPPause, any other for
	// DefaultOTPPerNumber; the default that nothing stands in for stays.
	OTPPerNumber []Rate

	// OTPPerClient bounds the messages of one client: what strangers who know a
	// client's weakness can cost.
	OTPPerClient Rate

	// Development keeps the messages of sources without a sender where everybody can
	// read them. Refused unless the issuer's host is loopback.
	Development bool

	// Hashing are the processes that hash passwords; nil: this one does, and other
	// requests wait for it.
	Hashing *hashing.Pool

	// Inbox, when set, is told of every message that Development keeps.
	Inbox func(message.Message)

	// Leaving, when set, reports whether the server that took a request is about to
	// end. Whoever asks for its health is told so; all else is answered as ever.
	Leaving func(context.Context) bool

	// Observe, when set, is told of every request the issuer has answered. It runs
	// on the request's goroutine, after the answer.
	Observe func(Event)
}

// Portal is how the pages for people look. Zero fields mean the defaults.
type Portal struct {
	Name  string // default: the issuer's host
	Logo  string // an image file, read once
	Color string // #rgb or #rrggbb
}

// CheckLogo says what is wrong with the file of the logo, which Validate does not
// look at: a configuration may be for another machine.
func (p Portal) CheckLogo() error { return portal.CheckLogo(p.Logo) }

// CheckCrypto says why this program cannot sign as Crypto says, which Validate does
// not look at: a configuration may be for another machine.
func (c Config) CheckCrypto() error { return token.Crypto(c.Crypto).Check() }

// Client is a registered application as an operator writes it.
type Client = client.Registration

// KnownClaims are the claims that can be added for a client.
var KnownClaims = client.KnownClaims

// WeakSecret is the length below which a client's secret deserves a warning.
const WeakSecret = client.WeakSecret

// Rate is a number of times within a duration.
type Rate struct {
	Count  int
	Within time.Duration
}

// Types of Source.
const (
	TypePassword = "password"
	TypeSMSOTP   = "sms_otp"
	TypeEmailOTP = "email_otp"
)

// Source is one way people prove themselves.
type Source struct {
	ID string
	// Type is `password`, `sms_otp` or `email_otp`. What the type does not use must
	// be left out.
	Type string
	// Digits of a one-time code, 1 to 6, and how long it is good, 1s to 300s.
	Digits   int
	Lifetime time.Duration
	// Webhook, or SMTP for email_otp, hands one-time codes on.
	Webhook message.WebhookConfig
	SMTP    message.SMTPConfig
	// Identifiers are what may be typed as the user name: username, email,
	// phone_number. Default: username and email.
	Identifiers []string
	// LockoutFailures wrong passwords lock a name for LockoutDuration. An address
	// that has signed in before is not locked by what strangers do.
	LockoutFailures int
	LockoutDuration time.Duration
	// PasswordMinLength counts characters, for passwords set from now on.
	PasswordMinLength int
	// PasswordMaxAge makes a password expire; zero: never.
	PasswordMaxAge time.Duration
	// PasswordHistory is how many of the last passwords of an account, the present
	// one among them, a new one must not be; 0: any may come again.
	PasswordHistory int
}

// ConfigError is a mistake in a Config: which part of it, and the mend.
type ConfigError struct {
	Client string // id of the client it is about, ""
	Source string // id of the auth source it is about, ""
	Option string // the word, as the Caddyfile spells it
	Mend   string
}

func (e *ConfigError) Error() string {
	switch {
	case e.Client != "":
		return fmt.Sprintf("client %s: %s: %s", e.Client, e.Option, e.Mend)
	case e.Source != "":
		return fmt.Sprintf("auth_source %s: %s: %s", e.Source, e.Option, e.Mend)
	}
	return fmt.Sprintf("%s: %s", e.Option, e.Mend)
}

// withDefaults returns a copy in which every unset option has its default.
func (c Config) withDefaults() Config {
	orText(&c.SigningAlgorithm, DefaultSigningAlgorithm)
	orText(&c.Crypto, DefaultCrypto)
	orText(&c.PhoneRegion, DefaultPhoneRegion)
	orText(&c.Dialect, client.CIAM)
	orTime(&c.KeyRotation, DefaultKeyRotation)
	orTime(&c.AccessTokenLifetime, DefaultAccessTokenLifetime)
	orTime(&c.IDTokenLifetime, DefaultIDTokenLifetime)
	orTime(&c.RefreshTokenLifetime, DefaultRefreshTokenLifetime)
	orTime(&c.RefreshWindow, DefaultRefreshWindow)
	orTime(&c.AuthorizationCodeLifetime, DefaultCodeLifetime)
	orTime(&c.FailuresWindow, DefaultFailuresWindow)
	if c.FailuresPerAddress == 0 {
		c.FailuresPerAddress = DefaultFailuresPerAddress
	}
	c.OTPPerNumber = otpPerNumber(c.OTPPerNumber)
	if c.OTPPerClient == (Rate{}) {
		c.OTPPerClient = DefaultOTPPerClient
	}
	c.Sources = slices.Clone(c.Sources)
	c.Clients = slices.Clone(c.Clients)
	if len(c.Sources) == 0 {
		c.Sources = []Source{{ID: "password", Type: "password"}}
		for i := range c.Clients {
			if r := &c.Clients[i]; len(r.Sources) == 0 && r.SignsPeopleIn() {
				r.Sources = []string{"password"}
			}
		}
	}
	for i := range c.Sources {
		s := &c.Sources[i]
		if _, isOTP := s.otpKind(); isOTP {
			if s.Digits == 0 {
				s.Digits = DefaultOTPDigits
			}
			orTime(&s.Lifetime, DefaultOTPLifetime)
			continue
		}
		if len(s.Identifiers) == 0 {
			s.Identifiers = []string{"username", "email"}
		}
		if s.LockoutFailures == 0 {
			s.LockoutFailures = DefaultLockoutFailures
		}
		if s.PasswordMinLength == 0 {
			s.PasswordMinLength = DefaultPasswordMinLength
		}
		orTime(&s.LockoutDuration, DefaultLockoutDuration)
	}
	return c
}

func orText(p *string, d string) {
	if *p == "" {
		*p = d
	}
}

func orTime(p *time.Duration, d time.Duration) {
	if *p == 0 {
		*p = d
	}
}
