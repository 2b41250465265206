package caddymodule

import (
	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// translate puts the JSON into the issuer's own terms.
func (a *App) translate(r *reader) tokenissuer.Config {
	r.enter(place{}, a.At, a.Lines)
	var c tokenissuer.Config
	c.Issuer, _ = r.text("issuer", a.Issuer)
	c.SigningAlgorithm, _ = r.text("signing_algorithm", a.SigningAlgorithm)
	c.Crypto = a.crypto(r)
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
	c.Attributes = r.texts("attribute", a.Attributes)
	c.OperatorAttributes = r.texts("operator_attribute", a.OperatorAttributes)
	c.AuthorizationCodeLifetime = r.duration("authorization_code_lifetime", a.AuthorizationCodeLifetime)
	c.ISSParameter = a.ISSParameter
	c.Locales = r.texts("locale", a.Locale)
	for _, s := range a.Scopes {
		if c.Scopes == nil {
			c.Scopes = map[string]string{}
		}
		r.at, r.lines = s.At, nil
		c.Scopes[s.Name], _ = r.text("scope", s.Text)
	}
	r.at, r.lines = a.At, a.Lines
	if p := a.Portal; p != nil {
		c.Portal.Name, _ = r.text("portal name", p.Name)
		c.Portal.Logo = p.logo(r)
		c.Portal.Color, _ = r.text("portal color", p.Color)
	}
	c.Dialect, _ = r.text("dialect", a.Dialect)
	c.Development = a.Development
	a.Limits.translate(r, &c)
	for _, s := range a.AuthSources {
		c.Sources = append(c.Sources, s.translate(r))
	}
	for _, cl := range a.Clients {
		c.Clients = append(c.Clients, cl.translate(r))
	}
	return c
}

// crypto is checked on the machine that the configuration is for: it may be
// adapted elsewhere.
func (a *App) crypto(r *reader) string {
	name, known := r.text("crypto", a.Crypto)
	if r.repl == nil || !known || name != string(token.OpenSSL) {
		return name
	}
	if err := (tokenissuer.Config{Crypto: name}).CheckCrypto(); err != nil {
		r.fail("crypto", a.Crypto, err.Error()+"; or write `crypto go`")
	}
	return name
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
	c.PasswordHistory = r.number("password_history", s.PasswordHistory)
	c.Digits = r.number("digits", s.Digits)
	c.Lifetime = r.duration("lifetime", s.Lifetime)
	s.Send.translate(r, &c)
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
	c.Grants = grantTypes(r.texts("grants", cl.Grants))
	c.Scopes = r.texts("scopes", cl.Scopes)
	c.RedirectURIs = r.texts("redirect_uris", cl.RedirectURIs)
	c.LogoutRedirectURIs = r.texts("logout_redirect_uris", cl.LogoutRedirectURIs)
	c.BackchannelLogoutURI, _ = r.text("backchannel_logout_uri", cl.BackchannelLogoutURI)
	c.BackchannelLogoutCAFile = r.authorities("backchannel_logout_ca_file", cl.BackchannelLogoutCAFile)
	c.Logout, _ = r.text("logout", cl.Logout)
	c.CORSOrigins = r.texts("cors_origins", cl.CORSOrigins)
	c.SignUp = cl.SignUp
	c.FirstParty, c.PKCEWithoutSecret, c.OTPSendWithoutSecret = cl.FirstParty, cl.PKCEWithoutSecret, cl.OTPSendWithoutSecret
	c.Sources = r.texts("auth_sources", cl.AuthSources)
	c.Claims = r.texts("claims", cl.Claims)
	c.Audiences = r.texts("audience", cl.Audience)
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
