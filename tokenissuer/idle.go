package tokenissuer

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// Idle are the words that do nothing, or less than they say, as the configuration
// stands. They are no mistakes: the client that needs them may be still to come.
// But who wrote one expects something of it.
func (c Config) Idle() (idle []*ConfigError) {
	add := func(e ConfigError) { idle = append(idle, &e) }
	c.idleTimes(add)
	whole := c.withDefaults()
	for _, s := range c.Sources {
		named := func(r Client) bool { return slices.Contains(r.Sources, s.ID) }
		if !slices.ContainsFunc(c.Clients, named) {
			add(ConfigError{Source: s.ID, Option: "auth_source", Mend: "without effect: no client names it; add it to the auth_sources of one"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Scopes)) {
		has := func(r Client) bool { return slices.Contains(r.Scopes, name) || slices.Contains(r.Givable(), name) }
		if !slices.ContainsFunc(whole.Clients, has) {
			add(ConfigError{Option: "scope " + name, Mend: "without effect: no client has this scope"})
		}
	}
	for _, r := range whole.Clients {
		can := r.Givable()
		for _, s := range r.Scopes {
			if !slices.Contains(can, s) {
				add(ConfigError{Client: r.ID, Option: "scopes " + s, Mend: "without effect: no grant of the client gives it"})
			}
		}
		if ways := whole.waysIn(r); r.SignUp && !ways.codes && ways.names {
			add(ConfigError{Client: r.ID, Option: "signup", Mend: "without effect but for user names with a password: an address is proven by a code, and no auth_source of the client sends one"})
		}
	}
	return idle
}

// idleTimes looks at the top of the configuration.
func (c Config) idleTimes(add func(ConfigError)) {
	any := func(is func(Client) bool) bool { return slices.ContainsFunc(c.Clients, is) }
	code := any(func(r Client) bool { return r.HasGrant(oauth.GrantAuthorizationCode) })
	silent := any(func(r Client) bool { return r.HasGrant(oauth.GrantAuthorizationCode) && r.Dialect != client.OAuth })
	refresh := any(func(r Client) bool { return r.HasGrant(oauth.GrantRefreshToken) })
	people := any(Client.OfPeople)
	codes := slices.ContainsFunc(c.Sources, func(s Source) bool { _, sends := s.otpKind(); return sends })
	kept := slices.ContainsFunc(c.Sources, func(s Source) bool {
		_, sends := s.otpKind()
		return sends && s.Webhook.URL == "" && s.SMTP.URL == ""
	})
	const noCode = "no client has the authorization_code grant"
	for _, w := range []struct {
		option    string
		set, used bool
		mend      string
	}{
		{"portal", c.Portal != Portal{}, code, "the pages are for the authorization_code grant, and no client has it"},
		{"iss_parameter", c.ISSParameter, silent, "no client has the authorization_code grant, but those of dialect oauth, where it always is"},
		{"authorization_code_lifetime", c.AuthorizationCodeLifetime != 0, code, noCode},
		{"locale", len(c.Locales) > 0, code || codes, "there are neither pages nor messages: " + noCode + ", and no auth_source sends codes"},
		{"id_token_lifetime", c.IDTokenLifetime != 0, people, "nobody signs in through any client"},
		{"refresh_token_lifetime", c.RefreshTokenLifetime != 0, refresh, "no client has the refresh_token grant"},
		{"refresh_window", c.RefreshWindow != 0, refresh, "no client has the refresh_token grant"},
		{"limits otp_per_number", len(c.OTPPerNumber) > 0, codes, "no auth_source sends codes"},
		{"limits otp_per_client", c.OTPPerClient != Rate{}, codes, "no auth_source sends codes"},
		{"development", c.Development, kept, "no auth_source is without `send`, so no message is kept"},
	} {
		if w.set && !w.used {
			add(ConfigError{Option: w.option, Mend: "without effect: " + w.mend})
		}
	}
}

// waysIn says how people can open accounts through a client that lets them.
type waysIn struct {
	codes bool // by an address, which a code proves
	names bool // by a user name and a password, at /signup
	asked bool // somewhere they are asked for the address
}

func (c Config) waysIn(r Client) (w waysIn) {
	api := r.Type == client.Web && r.Dialect != client.IDaaS // where /signup is
	for _, s := range c.Sources {
		if !slices.Contains(r.Sources, s.ID) {
			continue
		}
		_, sends := s.otpKind()
		w.codes = w.codes || sends
		w.names = w.names || api && !sends && slices.Contains(s.Identifiers, "username")
	}
	w.asked = api || r.HasOTP() || r.HasGrant(oauth.GrantAuthorizationCode)
	return w
}

// validateSignUp refuses a word that opens no account at all.
func (c Config) validateSignUp(r Client, fail func(ConfigError)) {
	if !r.SignUp || !r.OfPeople() {
		return // package client has a word on the second
	}
	mend := ""
	switch w := c.waysIn(r); {
	case !w.codes && !w.names:
		mend = "an address is proven by a code, and no auth_source of the client sends one; name one of type sms_otp or email_otp"
	case !w.asked:
		mend = fmt.Sprintf("POST /signup is for web clients, and this %s client has neither the otp nor the authorization_code grant", r.Type)
	}
	if mend != "" {
		fail(ConfigError{Client: r.ID, Option: "signup", Mend: "without effect: " + mend})
	}
}
