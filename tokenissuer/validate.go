package tokenissuer

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/portal"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Validate reports every mistake of the configuration; each error in the join
// is a *ConfigError.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	fail := func(e ConfigError) { errs = append(errs, &e) }
	if mend := issuerMend(c.Issuer); mend != "" {
		fail(ConfigError{Option: "issuer", Mend: mend})
	}
	if !slices.Contains([]string{"RS256", "PS256", "ES256", "EdDSA"}, c.SigningAlgorithm) {
		fail(ConfigError{Option: "signing_algorithm", Mend: fmt.Sprintf("%q is not one of RS256, PS256, ES256, EdDSA", c.SigningAlgorithm)})
	}
	if c.Crypto != string(token.Go) && c.Crypto != string(token.OpenSSL) {
		fail(ConfigError{Option: "crypto", Mend: fmt.Sprintf("%q is not go or openssl", c.Crypto)})
	}
	if c.Dialect != client.CIAM && c.Dialect != client.OAuth {
		fail(ConfigError{Option: "dialect", Mend: fmt.Sprintf("%q is not ciam or oauth", c.Dialect)})
	}
	if !account.KnownRegion(c.PhoneRegion) {
		fail(ConfigError{Option: "phone_region", Mend: fmt.Sprintf("%q is not an ISO 3166 region such as CN", c.PhoneRegion)})
	}
	if c.Development && issuerMend(c.Issuer) == "" && !loopbackIssuer(c.Issuer) {
		fail(ConfigError{Option: "development", Mend: message.ErrInboxOutsideLoopback.Error()})
	}
	if c.Portal.Color != "" {
		if err := portal.CheckColor(c.Portal.Color); err != nil {
			fail(ConfigError{Option: "portal color", Mend: err.Error()})
		}
	}
	c.validateTimes(fail)
	c.validateOTPLimits(fail)
	c.validateAttributes(fail)
	sources := c.validateSources(fail)
	c.validateClients(sources, fail)
	return errors.Join(errs...)
}

func (c Config) validateTimes(fail func(ConfigError)) {
	for _, t := range []struct {
		option string
		value  time.Duration
		least  time.Duration
		most   time.Duration
		never  bool
	}{
		{"access_token_lifetime", c.AccessTokenLifetime, 10 * time.Second, client.MaxTokenLifetime, false},
		{"id_token_lifetime", c.IDTokenLifetime, 10 * time.Second, client.MaxTokenLifetime, false},
		{"refresh_token_lifetime", c.RefreshTokenLifetime, time.Minute, maxLong, false},
		{"refresh_window", c.RefreshWindow, time.Second, time.Minute, true},
		{"authorization_code_lifetime", c.AuthorizationCodeLifetime, 10 * time.Second, time.Hour, false},
		{"key_rotation", c.KeyRotation, time.Hour, maxLong, true},
		{"limits tokens_per_address", c.FailuresWindow, time.Second, maxLong, false},
	} {
		if t.never && t.value == Never {
			continue
		}
		if t.value < t.least || t.value%time.Second != 0 {
			fail(ConfigError{Option: t.option, Mend: fmt.Sprintf("%v is not a whole number of seconds of at least %v", t.value, t.least)})
		}
		if t.value > t.most {
			fail(ConfigError{Option: t.option, Mend: fmt.Sprintf("%v is too long: at most %v", t.value, t.most)})
		}
	}
}

// DefaultPasswordMinLength is of a source that does not say.
const DefaultPasswordMinLength = account.DefaultMinLength

// maxLong bounds what lasts longest: a year, and time to be late.
const maxLong = 400 * 24 * time.Hour

func (c Config) validateSources(fail func(ConfigError)) map[string]Source {
	seen := map[string]Source{}
	for _, s := range c.Sources {
		if _, twice := seen[s.ID]; twice {
			fail(ConfigError{Source: s.ID, Option: "auth_source", Mend: "this id is used twice"})
		}
		seen[s.ID] = s
		wrong := func(option, format string, a ...any) {
			fail(ConfigError{Source: s.ID, Option: option, Mend: fmt.Sprintf(format, a...)})
		}
		if _, isOTP := s.otpKind(); isOTP {
			s.validateOTP(c.Development, wrong)
			continue
		}
		if s.Type != TypePassword {
			wrong("type", "%q is not a known type; expected password, sms_otp or email_otp", s.Type)
			continue
		}
		s.validatePassword(wrong)
	}
	return seen
}

func (s Source) validatePassword(wrong func(option, format string, a ...any)) {
	for option, set := range map[string]bool{"digits": s.Digits != 0, "lifetime": s.Lifetime != 0, "send": s.Webhook.URL != "" || s.SMTP.URL != ""} {
		if set {
			wrong(option, "is for sources of type sms_otp and email_otp")
		}
	}
	for _, id := range s.Identifiers {
		if !slices.Contains([]string{"username", "email", "phone_number"}, id) {
			wrong("identifiers", "%q is not one of username, email, phone_number", id)
		}
	}
	if s.LockoutFailures < 1 || s.LockoutDuration < time.Second {
		wrong("lockout", "expected at least one failure and one second")
	}
	if s.PasswordMinLength < 1 || s.PasswordMinLength > 256 {
		wrong("password_min_length", "expected 1 to 256")
	}
	if s.PasswordMaxAge < 0 {
		wrong("password_max_age", "expected a positive duration")
	}
	if s.PasswordHistory < 0 || s.PasswordHistory > 128 {
		wrong("password_history", "expected 1 to 128")
	}
}

// namesOf are the sources that there are, for who has named another.
func namesOf(sources map[string]Source) string {
	if len(sources) == 0 {
		return ""
	}
	return ": expected " + strings.Join(slices.Sorted(maps.Keys(sources)), " or ")
}

func (c Config) validateClients(sources map[string]Source, fail func(ConfigError)) {
	ids := make(map[string]bool, len(c.Clients)) // false: not come to yet
	for _, r := range c.Clients {
		ids[r.ID] = false
	}
	attributes := slices.Concat(c.Attributes, c.OperatorAttributes)
	for _, r := range c.Clients {
		if ids[r.ID] {
			fail(ConfigError{Client: r.ID, Option: "client", Mend: "this id is used twice"})
		}
		ids[r.ID] = true
		for _, p := range r.Problems(attributes...) {
			fail(ConfigError{Client: r.ID, Option: p.Option, Mend: p.Mend})
		}
		for _, s := range r.Sources {
			if _, known := sources[s]; !known {
				fail(ConfigError{Client: r.ID, Option: "auth_sources", Mend: fmt.Sprintf("there is no auth_source %q%s", s, namesOf(sources))})
			}
		}
		for _, h := range r.SecretHashes {
			if problem := account.HashProblem(h); problem != "" {
				fail(ConfigError{Client: r.ID, Option: "secret_hash", Mend: problem})
			}
		}
		for _, a := range r.Audiences {
			if _, isClient := ids[a]; isClient && a != r.ID {
				fail(ConfigError{Client: r.ID, Option: "audience", Mend: fmt.Sprintf("%s is a client: whoever takes its tokens would take this one's", a)})
			}
		}
		c.validateSourcesOf(r, sources, fail)
		c.validateSignUp(r, fail)
	}
}

// validateSourcesOf asks whether a client has the sources that its words need.
func (c Config) validateSourcesOf(r Client, sources map[string]Source, fail func(ConfigError)) {
	of := func(types ...string) bool {
		return slices.ContainsFunc(r.Sources, func(id string) bool { return slices.Contains(types, sources[id].Type) })
	}
	wrong := func(option, mend string) { fail(ConfigError{Client: r.ID, Option: option, Mend: mend}) }
	if r.HasGrant(oauth.GrantAuthorizationCode) && len(r.Sources) == 0 {
		wrong("auth_sources", "people need a source to sign in with: name one of the auth_source blocks")
	}
	if r.HasGrant(oauth.GrantPassword) && !of(TypePassword) {
		wrong("auth_sources", "the password grant needs a source: name one of the auth_source blocks of type password")
	}
	if r.HasOTP() && !of(TypeSMSOTP, TypeEmailOTP) {
		wrong("auth_sources", "the otp grant needs a source: name one of the auth_source blocks of type sms_otp or email_otp")
	} else if r.OTPSendWithoutSecret && !of(TypeSMSOTP, TypeEmailOTP) {
		wrong("otp_send_without_secret", "without effect: no auth_source of the client sends codes; name one of type sms_otp or email_otp")
	}
}

// issuerMend says what is wrong with an issuer identifier, or "".
// RFC 8414 §2: https, no query, no fragment; here also no path and no user.
func issuerMend(issuer string) string {
	if issuer == "" {
		return "required, such as https://auth.example.com"
	}
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return fmt.Sprintf("%q is not an address such as https://auth.example.com", issuer)
	case u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil || strings.HasSuffix(issuer, "#"):
		return fmt.Sprintf("%q must be scheme and host alone, without path, slash at the end, query or user", issuer)
	case issuer != strings.ToLower(issuer):
		// Clients compare iss letter by letter, and many write the host in lower case first.
		return fmt.Sprintf("%q must be in lower case: %s", issuer, strings.ToLower(issuer))
	case u.Scheme == "https":
		return ""
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return ""
	}
	return fmt.Sprintf("%q must be https (http only on a loopback host)", issuer)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return false
	}
	return net.IP(ip.AsSlice()).IsLoopback()
}
