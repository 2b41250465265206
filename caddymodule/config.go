package caddymodule

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// place names a part of the issuer's configuration as tokenissuer.ConfigError
// does.
type place struct{ client, source, option string }

// reader reads the values of a configuration. Without a replacer, which is how
// it works while a Caddyfile is being adapted, a value with a placeholder is
// unknown, and so is whatever is wrong with it.
type reader struct {
	repl    *caddy.Replacer
	name    string // begins messages about the top of the configuration
	in      place  // the block being read
	at      string
	unknown map[place]bool
	blocks  map[place]string // option "" -> where the block stands
	err     error            // the first value that could not be read
}

// enter says which block the next values are from.
func (r *reader) enter(in place, at string) {
	r.in, r.at = in, at
	if r.blocks == nil {
		r.blocks, r.unknown = map[place]string{}, map[place]bool{}
	}
	r.blocks[in] = at // of two blocks with one name, the second is the mistake
}

// text resolves one value; known is false while its placeholder has no value.
func (r *reader) text(option, value string) (text string, known bool) {
	if !hasPlaceholder(value) {
		return value, true
	}
	in := r.in
	in.option = option
	if r.repl == nil {
		r.unknown[in] = true
		return value, false
	}
	text, err := r.repl.ReplaceOrErr(value, true, true)
	if err != nil {
		r.fail(option, err.Error())
		return "", false
	}
	return text, true
}

func (r *reader) texts(option string, values []string) []string {
	var out []string
	for _, v := range values {
		text, _ := r.text(option, v)
		out = append(out, text)
	}
	return out
}

func (r *reader) duration(option, value string) time.Duration {
	text, known := r.text(option, value)
	if !known || text == "" {
		return 0
	}
	d, err := caddy.ParseDuration(text)
	if err != nil || d <= 0 {
		r.fail(option, fmt.Sprintf("%q: expected a duration such as 30d", text))
	}
	return d
}

func (r *reader) number(option string, value Number) int {
	text, known := r.text(option, string(value))
	if !known || text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		r.fail(option, fmt.Sprintf("%q: expected a whole number above 0", text))
	}
	return n
}

// fail keeps the first mistake.
func (r *reader) fail(option, mend string) {
	if r.err == nil {
		e := tokenissuer.ConfigError{Client: r.in.client, Source: r.in.source, Option: option, Mend: mend}
		name := r.name
		if name == "" {
			name = in(r.in)
		}
		r.err = placed(name+e.Error(), r.at)
	}
}

// placed is an error in the form of the Caddyfile parser's own.
func placed(text, at string) error {
	if at == "" {
		return errors.New(text)
	}
	return fmt.Errorf("%s, at %s", text, at)
}

// firstMistake picks the first of the errors that is not about an unknown value
// and says where it is to be mended. line may know better than the block's place.
func (r *reader) firstMistake(err error, line func(p place, block string) string) error {
	if r.err != nil {
		return r.err
	}
	for _, e := range flatten(err) {
		mistake, ok := errors.AsType[*tokenissuer.ConfigError](e)
		if !ok {
			return e
		}
		p := place{mistake.Client, mistake.Source, mistake.Option}
		if r.unknown[p] {
			continue
		}
		block := r.blocks[place{client: p.client, source: p.source}]
		return placed(in(p)+mistake.Error(), line(p, block))
	}
	return nil
}

// in begins a message about the top of the configuration; messages about a
// client or a source begin with its name.
func in(p place) string {
	if p.client == "" && p.source == "" {
		return "token_issuer: "
	}
	return ""
}

// joined is what errors.Join makes.
type joined interface {
	error
	Unwrap() []error
}

func flatten(err error) []error {
	if all, ok := errors.AsType[joined](err); ok {
		return all.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// translate puts the JSON into the issuer's own terms.
func (a *App) translate(r *reader) tokenissuer.Config {
	r.enter(place{}, a.At)
	var c tokenissuer.Config
	c.Issuer, _ = r.text("issuer", a.Issuer)
	c.SigningAlgorithm, _ = r.text("signing_algorithm", a.SigningAlgorithm)
	if rotation, _ := r.text("key_rotation", a.KeyRotation); rotation == "off" {
		c.KeyRotation = tokenissuer.Never
	} else {
		c.KeyRotation = r.duration("key_rotation", a.KeyRotation)
	}
	c.AccessTokenLifetime = r.duration("access_token_lifetime", a.AccessTokenLifetime)
	c.IDTokenLifetime = r.duration("id_token_lifetime", a.IDTokenLifetime)
	c.RefreshTokenLifetime = r.duration("refresh_token_lifetime", a.RefreshTokenLifetime)
	c.RefreshWindow = r.duration("refresh_window", a.RefreshWindow)
	c.PhoneRegion, _ = r.text("phone_region", a.PhoneRegion)
	c.Dialect, _ = r.text("dialect", a.Dialect)
	if l := a.Limits; l != nil && l.TokensPerAddress != nil {
		c.FailuresPerAddress = r.number("limits tokens_per_address", l.TokensPerAddress.Count)
		c.FailuresWindow = r.duration("limits tokens_per_address", l.TokensPerAddress.Within)
	}
	for _, s := range a.AuthSources {
		c.Sources = append(c.Sources, s.translate(r))
	}
	for _, cl := range a.Clients {
		c.Clients = append(c.Clients, cl.translate(r))
	}
	return c
}

func (s AuthSource) translate(r *reader) tokenissuer.Source {
	r.enter(place{source: s.Name}, s.At)
	var c tokenissuer.Source
	c.ID, _ = r.text("auth_source", s.Name)
	c.Type, _ = r.text("type", s.Type)
	c.Identifiers = r.texts("identifiers", s.Identifiers)
	if s.Lockout != nil {
		c.LockoutFailures = r.number("lockout", s.Lockout.Count)
		c.LockoutDuration = r.duration("lockout", s.Lockout.Within)
	}
	c.PasswordMinLength = r.number("password_min_length", s.PasswordMinLength)
	c.PasswordMaxAge = r.duration("password_max_age", s.PasswordMaxAge)
	return c
}

func (cl Client) translate(r *reader) tokenissuer.Client {
	r.enter(place{client: cl.ID}, cl.At)
	var c tokenissuer.Client
	c.ID, _ = r.text("client", cl.ID)
	c.Name, _ = r.text("name", cl.Name)
	kind, _ := r.text("type", cl.Type)
	setText(&c.Type, kind)
	for _, s := range cl.Secrets {
		r.at = s.At
		if s.Hash != "" {
			hash, _ := r.text("secret_hash", s.Hash)
			c.SecretHashes = append(c.SecretHashes, hash)
			continue
		}
		secret, _ := r.text("secret", s.Value)
		c.Secrets = append(c.Secrets, secret)
	}
	r.at = cl.At
	c.Grants = r.texts("grants", cl.Grants)
	c.Scopes = r.texts("scopes", cl.Scopes)
	c.Sources = r.texts("auth_sources", cl.AuthSources)
	c.Claims = r.texts("claims", cl.Claims)
	introspect, _ := r.text("introspect", cl.Introspect)
	c.IntrospectAny = introspect == "any"
	c.Refresh, _ = r.text("refresh", cl.Refresh)
	c.Dialect, _ = r.text("dialect", cl.Dialect)
	c.AccessToken, _ = r.text("access_token", cl.AccessToken)
	c.AccessTokenLifetime = r.duration("access_token_lifetime", cl.AccessTokenLifetime)
	c.Disabled = cl.Disabled
	return c
}

// setText sets a text type of the issuer, without naming it.
func setText[T ~string](into *T, text string) { *into = T(text) }
