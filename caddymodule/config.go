package caddymodule

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
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
	lines   Lines // of the block
	unknown map[place]bool
	blocks  map[place]written // option "" -> where the block stands
	err     error             // the first value that could not be read
}

// written is where a block and its words stand.
type written struct {
	at    string
	lines Lines
}

// enter says which block the next values are from.
func (r *reader) enter(in place, at string, lines Lines) {
	r.in, r.at, r.lines = in, at, lines
	if r.blocks == nil {
		r.blocks, r.unknown = map[place]written{}, map[place]bool{}
	}
	r.blocks[in] = written{at, lines} // of two blocks with one name, the second is the mistake
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
		r.fail(option, value, because(value, err))
		return "", false
	}
	return text, true
}

var filePlaceholder = regexp.MustCompile(`\{file\.([^{}]+)\}`)

// because says why a value has no text. Caddy calls a file that it cannot read
// an empty one.
func because(value string, err error) string {
	for _, found := range filePlaceholder.FindAllStringSubmatch(value, -1) {
		f, err := os.Open(found[1])
		if err != nil {
			return found[0] + " cannot be read: " + err.Error()
		}
		_ = f.Close()
	}
	return err.Error()
}

func (r *reader) texts(option string, values []string) []string {
	var out []string
	for _, v := range values {
		text, known := r.text(option, v)
		out = append(out, text)
		// What is wrong with the text is told where the placeholder stands.
		if line, ok := r.lines[option+" "+v]; ok && known && text != v {
			r.lines = maps.Clone(r.lines)
			r.lines[option+" "+text] = line
		}
	}
	return out
}

func (r *reader) duration(option, value string) time.Duration {
	text, known := r.text(option, value)
	if !known || text == "" {
		return 0
	}
	d, problem := parseDuration(text)
	if problem != "" {
		r.fail(option, value, fmt.Sprintf("%q%s", text, problem))
	}
	return d
}

var digits = regexp.MustCompile(`[0-9]+`)

// parseDuration reads a duration above zero, or says what is wrong with it.
func parseDuration(text string, or ...string) (d time.Duration, problem string) {
	d, err := caddy.ParseDuration(text)
	if err != nil {
		if _, err := caddy.ParseDuration(digits.ReplaceAllString(text, "1")); err == nil {
			return 0, ": too long: no duration is over 106751d"
		}
	}
	if err != nil || d <= 0 {
		return 0, ": expected " + list(append([]string{"a duration such as 30d"}, or...))
	}
	return d, ""
}

func (r *reader) number(option string, value Number) int {
	text, known := r.text(option, string(value))
	if !known || text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		r.fail(option, string(value), fmt.Sprintf("%q: expected a whole number above 0", text))
	}
	return n
}

// fail keeps the first mistake.
func (r *reader) fail(option, value, mend string) {
	if r.err == nil {
		e := tokenissuer.ConfigError{Client: r.in.client, Source: r.in.source, Option: option, Mend: mend}
		name := r.name
		if name == "" {
			name = in(r.in)
		}
		r.err = placed(name+e.Error(), r.lines.of(option, value, r.at))
	}
}

// firstMistake picks the first of the errors that is not about an unknown value
// and says where it is to be mended.
func (r *reader) firstMistake(err error) error {
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
		return placed(in(p)+mistake.Error(), block.lines.of(p.option, "", block.at))
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
	r.enter(place{}, a.At, a.Lines)
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
	c.AuthorizationCodeLifetime = r.duration("authorization_code_lifetime", a.AuthorizationCodeLifetime)
	c.ISSParameter = a.ISSParameter
	c.Locales = r.texts("locale", a.Locale)
	for _, s := range a.Scopes {
		if c.Scopes == nil {
			c.Scopes = map[string]string{}
		}
		c.Scopes[s.Name], _ = r.text("scope", s.Text)
	}
	if p := a.Portal; p != nil {
		c.Portal.Name, _ = r.text("portal", p.Name)
		c.Portal.Logo, _ = r.text("portal", p.Logo)
		c.Portal.Color, _ = r.text("portal", p.Color)
	}
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
	r.enter(place{source: s.Name}, s.At, s.Lines)
	var c tokenissuer.Source
	c.ID, _ = r.text("auth_source", s.Name)
	r.enter(place{source: c.ID}, s.At, s.Lines)
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
	r.enter(place{client: cl.ID}, cl.At, cl.Lines)
	var c tokenissuer.Client
	c.ID, _ = r.text("client", cl.ID)
	r.enter(place{client: c.ID}, cl.At, cl.Lines)
	c.Name, _ = r.text("name", cl.Name)
	kind, _ := r.text("type", cl.Type)
	setText(&c.Type, kind)
	for _, s := range cl.Secrets {
		r.at, r.lines = s.At, nil
		if s.Hash != "" {
			hash, _ := r.text("secret_hash", s.Hash)
			c.SecretHashes = append(c.SecretHashes, hash)
			continue
		}
		secret, _ := r.text("secret", s.Value)
		c.Secrets = append(c.Secrets, secret)
	}
	r.at, r.lines = cl.At, cl.Lines
	c.Grants = r.texts("grants", cl.Grants)
	c.Scopes = r.texts("scopes", cl.Scopes)
	c.RedirectURIs = r.texts("redirect_uris", cl.RedirectURIs)
	c.LogoutRedirectURIs = r.texts("logout_redirect_uris", cl.LogoutRedirectURIs)
	c.BackchannelLogoutURI, _ = r.text("backchannel_logout_uri", cl.BackchannelLogoutURI)
	c.CORSOrigins = r.texts("cors_origins", cl.CORSOrigins)
	c.FirstParty, c.PKCEWithoutSecret = cl.FirstParty, cl.PKCEWithoutSecret
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
