package caddymodule

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store/postgres"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("token_issuer", parseGlobal)
	httpcaddyfile.RegisterHandlerDirective("token_issuer", parseIssuer)
	// Before redir is before every rewrite: a single-page site's try_files would
	// otherwise turn POST /oauth2/token into a request for index.html.
	httpcaddyfile.RegisterDirectiveOrder("token_issuer", httpcaddyfile.Before, "redir")
}

// parseIssuer parses the directive. Syntax:
//
//	token_issuer [<matcher>]
func parseIssuer(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next()
	b := newBlock(h.Dispenser, "directive token_issuer")
	if err := b.lineEnds("token_issuer", nil); err != nil {
		return nil, placed("directive token_issuer takes a matcher at most; its words stand in the global option token_issuer, at the top of the file", b.lines[""])
	}
	if h.Option("token_issuer") == nil {
		return nil, h.Err("directive token_issuer: there is no issuer; add the global option token_issuer")
	}
	return &Issuer{At: b.lines[""]}, nil
}

// parseGlobal parses the global option. Syntax:
//
//	token_issuer {
//		issuer <url>
//		store sqlite <path> | postgres <url> { … }
//		signing_algorithm RS256|PS256|ES256|EdDSA
//		crypto go|openssl
//		key_rotation <duration>|off
//		key_encryption_key <secret>
//		access_token_lifetime <duration>
//		id_token_lifetime <duration>
//		refresh_token_lifetime <duration>
//		refresh_window <duration>
//		phone_region <region>
//		authorization_code_lifetime <duration>
//		dialect ciam|oauth
//		iss_parameter
//		locale en|zh…
//		scope <name> <text>
//		attribute <name>…
//		operator_attribute <name>…
//		portal { … }
//		development
//		limits { … }
//		auth_source <name> { … }
//		client <id> { … }
//	}
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next()
	b := newBlock(d, "token_issuer")
	if existing != nil {
		return nil, d.Err("token_issuer stands twice: write one block, and `import` files into it")
	}
	if d.NextArg() {
		return nil, d.Errf("token_issuer: unexpected %q: the global option takes a block only", d.Val())
	}
	app := &App{At: b.lines[""]}
	p := &issuerParser{block: b, app: app, seen: map[place]string{}}
	err := b.read(words{
		"issuer":                 b.text(&app.Issuer),
		"store":                  {read: p.store},
		"signing_algorithm":      b.oneOf(&app.SigningAlgorithm, "RS256", "PS256", "ES256", "EdDSA"),
		"crypto":                 b.oneOf(&app.Crypto, "go", "openssl"),
		"key_rotation":           b.duration(&app.KeyRotation, "off"),
		"key_encryption_key":     b.checked(&app.KeyEncryptionKey, p.isKEK),
		"access_token_lifetime":  b.duration(&app.AccessTokenLifetime),
		"id_token_lifetime":      b.duration(&app.IDTokenLifetime),
		"refresh_token_lifetime": b.duration(&app.RefreshTokenLifetime),
		"refresh_window":         b.duration(&app.RefreshWindow),
		"phone_region":           b.text(&app.PhoneRegion),
		"dialect":                b.oneOf(&app.Dialect, "ciam", "oauth"),
		"iss_parameter":          b.flag(&app.ISSParameter),
		"locale":                 b.texts(&app.Locale, "en", "zh"),
		"scope":                  {read: p.scope, repeat: true},
		"attribute":              b.texts(&app.Attributes),
		"operator_attribute":     b.texts(&app.OperatorAttributes),
		"portal":                 {read: p.portal},

		"authorization_code_lifetime": b.duration(&app.AuthorizationCodeLifetime),

		"development": b.flag(&app.Development),
		"limits":      {read: p.limits},
		"auth_source": {read: p.authSource, repeat: true},
		"client":      {read: p.client, repeat: true},
	})
	if err != nil {
		return nil, err
	}
	app.Lines = b.lines.kept()
	if err := p.checkClaims(); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "token_issuer", Value: caddyconfig.JSON(app, nil)}, nil
}

// issuerParser parses the blocks inside the global option.
type issuerParser struct {
	*block
	app  *App
	seen map[place]string // where each client and source begins
}

func (p *issuerParser) isKEK(name, got string) error {
	if mend := kekMend(got); mend != "" {
		return p.Errf("%s: %s: %s", p.name, name, mend)
	}
	return nil
}

// store parses:
//
//	store sqlite <path>
//	store postgres <url> {
//		max_staleness <duration>
//		when_stale refuse|serve
//	}
func (p *issuerParser) store() error {
	s := &Store{At: at(p.Dispenser)}
	p.app.Store = s
	var where string
	if !p.Args(&s.Type, &where) || where == "" {
		return p.Errf("%s: store: expected sqlite and a path, or postgres and a URL", p.name)
	}
	switch s.Type {
	case "sqlite":
		s.Path = where
		return nil
	case "postgres":
		s.Address = where
	default:
		return p.Errf("%s: store %q%s: expected sqlite or postgres", p.name, s.Type, didYouMean(s.Type, []string{"sqlite", "postgres"}))
	}
	if !hasPlaceholder(where) {
		if _, err := postgres.ParseAddress(where); err != nil {
			return p.Errf("%s: store: %v", p.name, err)
		}
	}
	b := newBlock(p.Dispenser, "store postgres")
	err := b.read(words{
		"max_staleness": b.duration(&s.MaxStaleness),
		"when_stale":    b.oneOf(&s.WhenStale, "refuse", "serve"),
	})
	s.Lines = b.lines.kept()
	return err
}

// limits parses:
//
//	limits {
//		tokens_per_address <count> <duration>
//		otp_per_number <count> <duration>
//		otp_per_client <count> <duration>
//	}
func (p *issuerParser) limits() error {
	b := newBlock(p.Dispenser, "limits")
	l := &Limits{At: b.lines[""]}
	p.app.Limits = l
	if err := b.read(words{
		"tokens_per_address": b.rate(&l.TokensPerAddress),
		"otp_per_number":     b.rates(&l.OTPPerNumber),
		"otp_per_client":     b.rate(&l.OTPPerClient),
	}); err != nil {
		return err
	}
	if len(b.lines) == 1 {
		return placed("limits: empty: expected tokens_per_address, otp_per_number or otp_per_client", l.At)
	}
	for word, line := range b.lines {
		if word != "" {
			p.lines["limits "+word] = line
		}
	}
	return nil
}

// authSource parses:
//
//	auth_source <name> {
//		type password|sms_otp|email_otp
//		identifiers username|email|phone_number…
//		lockout <failures> <duration>
//		password_min_length <characters>
//		password_max_age <duration>
//		password_history <passwords>
//		digits <number>
//		lifetime <duration>
//		send webhook|smtp <url> { … }
//	}
func (p *issuerParser) authSource() error {
	s := AuthSource{At: at(p.Dispenser)}
	if !p.AllArgs(&s.Name) || s.Name == "" {
		return p.Errf("%s: auth_source needs exactly one name", p.name)
	}
	if first, seen := p.seen[place{source: s.Name}]; seen {
		return p.Errf("%s: auth_source %s stands twice, first at %s", p.name, s.Name, first)
	}
	b := newBlock(p.Dispenser, "auth_source "+s.Name)
	err := b.read(words{
		"type":                b.oneOf(&s.Type, "password", "sms_otp", "email_otp"),
		"identifiers":         b.texts(&s.Identifiers, "username", "email", "phone_number"),
		"lockout":             b.rate(&s.Lockout),
		"password_min_length": b.number(&s.PasswordMinLength),
		"password_max_age":    b.duration(&s.PasswordMaxAge),
		"password_history":    b.number(&s.PasswordHistory),
		"digits":              b.number(&s.Digits),
		"lifetime":            b.duration(&s.Lifetime),
		"send":                b.send(&s.Send),
	})
	if err == nil {
		err = b.notEmpty("type")
	}
	s.Lines = b.lines.kept()
	p.app.AuthSources = append(p.app.AuthSources, s)
	p.seen[place{source: s.Name}] = s.At
	return err
}

// client parses:
//
//	client <id> {
//		name <text>
//		type web|spa|mobile|m2m
//		secret <secret>
//		secret_hash <phc>
//		grants authorization_code|password|otp|client_credentials|refresh_token…
//		redirect_uris <address>…
//		logout_redirect_uris <address>…
//		backchannel_logout_uri <address>
//		backchannel_logout_ca_file <path>
//		logout session|tokens
//		cors_origins <origin>…
//		first_party
//		signup
//		pkce_without_secret
//		otp_send_without_secret
//		scopes <scope>…
//		auth_sources <name>…
//		claims <claim>…
//		audience <audience>…
//		introspect own|any
//		refresh rotate|reuse
//		dialect ciam|oauth|idaas
//		access_token jwt|at+jwt|opaque
//		access_token_lifetime <duration>
//		disabled
//	}
func (p *issuerParser) client() error {
	c := Client{At: at(p.Dispenser)}
	if !p.AllArgs(&c.ID) || c.ID == "" {
		return p.Errf("%s: client needs exactly one id", p.name)
	}
	if first, seen := p.seen[place{client: c.ID}]; seen {
		return p.Errf("%s: client %s stands twice, first at %s", p.name, c.ID, first)
	}
	b := newBlock(p.Dispenser, "client "+c.ID)
	err := b.read(words{
		"name":                    b.prose(&c.Name),
		"type":                    b.oneOf(&c.Type, "web", "spa", "mobile", "m2m"),
		"secret":                  b.secret(&c, func(s *Secret) *string { return &s.Value }),
		"secret_hash":             b.secret(&c, func(s *Secret) *string { return &s.Hash }),
		"grants":                  b.texts(&c.Grants, "authorization_code", "password", "otp", "client_credentials", "refresh_token"),
		"scopes":                  b.texts(&c.Scopes),
		"redirect_uris":           b.texts(&c.RedirectURIs),
		"logout_redirect_uris":    b.texts(&c.LogoutRedirectURIs),
		"backchannel_logout_uri":  b.text(&c.BackchannelLogoutURI),
		"logout":                  b.oneOf(&c.Logout, "session", "tokens"),
		"cors_origins":            b.texts(&c.CORSOrigins),
		"first_party":             b.flag(&c.FirstParty),
		"signup":                  b.flag(&c.SignUp),
		"pkce_without_secret":     b.flag(&c.PKCEWithoutSecret),
		"otp_send_without_secret": b.flag(&c.OTPSendWithoutSecret),
		"auth_sources":            b.texts(&c.AuthSources),
		"claims":                  b.texts(&c.Claims),
		"audience":                b.texts(&c.Audience),
		"introspect":              b.oneOf(&c.Introspect, "own", "any"),
		"refresh":                 b.oneOf(&c.Refresh, "rotate", "reuse"),
		"access_token":            b.oneOf(&c.AccessToken, "jwt", "at+jwt", "opaque"),
		"dialect":                 b.oneOf(&c.Dialect, "ciam", "oauth", "idaas"),
		"access_token_lifetime":   b.duration(&c.AccessTokenLifetime),
		"disabled":                b.flag(&c.Disabled),

		"backchannel_logout_ca_file": b.text(&c.BackchannelLogoutCAFile),
	})
	if err == nil {
		err = b.notEmpty("type and grants")
	}
	c.Lines = b.lines.kept()
	p.app.Clients = append(p.app.Clients, c)
	p.seen[place{client: c.ID}] = c.At
	return err
}

// secret reads a secret or its hash; two of them may stand in a client.
func (b *block) secret(c *Client, part func(*Secret) *string) word {
	return word{repeat: true, read: func() error {
		s := Secret{At: at(b.Dispenser)}
		name := b.Val()
		if err := b.text(part(&s)).read(); err != nil {
			return err
		}
		if c.Secrets = append(c.Secrets, s); len(c.Secrets) > 2 {
			return b.Errf("%s: a third %s: two may stand while one is being replaced", b.name, name)
		}
		return nil
	}}
}

// checkClaims refuses claims that no account has. It looks when everything is
// read: an attribute may be declared after the client that gets it.
func (p *issuerParser) checkClaims() error {
	known := slices.Concat(tokenissuer.KnownClaims, p.app.Attributes, p.app.OperatorAttributes)
	if slices.ContainsFunc(known, hasPlaceholder) {
		return nil
	}
	for _, c := range p.app.Clients {
		for _, claim := range c.Claims {
			if !hasPlaceholder(claim) && !slices.Contains(known, claim) {
				text := fmt.Sprintf("client %s: claims %q%s: expected %s", c.ID, claim, didYouMean(claim, known), list(known))
				return placed(text, c.Lines.of("claims", claim, c.At))
			}
		}
	}
	return nil
}

// check judges what is written literally, with the lines of the words at hand.
func (p *issuerParser) check() error {
	r := &reader{}
	config := p.app.translate(r)
	return r.firstMistake(config.Validate())
}
