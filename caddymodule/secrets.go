package caddymodule

import (
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-auth/gatehouse/tokenissuer"
)

// secrets resolves what is not part of the issuer's own configuration.
func (a *App) secrets(r *reader) (kek string, where database) {
	r.enter(place{}, a.At, a.Lines)
	if a.KeyEncryptionKey != "" {
		kek, _ = r.text("key_encryption_key", a.KeyEncryptionKey)
		if mend := kekMend(kek); kek != "" && mend != "" {
			r.fail("key_encryption_key", a.KeyEncryptionKey, mend)
		}
	}
	if a.Store == nil {
		return kek, database{file: filepath.Join(caddy.AppDataDir(), "token_issuer", "issuer.db")}
	}
	r.at, r.lines = a.Store.At, a.Store.Lines
	return kek, a.Store.resolve(r)
}

// shortestKEK is 64 bits of hexadecimal digits: less can be tried out by whoever
// gets hold of the store.
const shortestKEK = 16

// leastVariety is how many different characters a key has that was not typed:
// of 16 random hexadecimal digits fewer than one in a million have so few.
const leastVariety = 5

// kekMend says what is wrong with a key encryption key, or "".
func kekMend(kek string) string {
	const how = "; make one with: openssl rand -hex 32"
	variety := map[rune]bool{}
	for _, c := range kek {
		variety[c] = true
	}
	switch {
	case len(kek) < shortestKEK:
		return "shorter than 16 characters" + how
	case len(variety) < leastVariety:
		return "the same few characters over and over" + how
	}
	return ""
}

func (a *App) storeAt() string {
	if a.Store != nil && a.Store.At != "" {
		return a.Store.At
	}
	return a.At
}

const literalSecret = "a secret is written in the configuration, where the admin API and the autosaved file show it; use {env.NAME} or {file./path}"

// warnOfLiterals says so when a secret can be read back from Caddy's admin API.
func (a *App) warnOfLiterals() {
	if a.KeyEncryptionKey != "" && !hasPlaceholder(a.KeyEncryptionKey) {
		a.logger.Warn(literalSecret, zapAt(a.Lines.of("key_encryption_key", "", a.At)))
	}
	if a.Store != nil && a.Store.literal() {
		a.logger.Warn(literalSecret, zapAt(a.Store.At))
	}
	for _, s := range a.AuthSources {
		if s.Send.literal() {
			a.logger.Warn(literalSecret, zapAt(s.Send.At))
		}
	}
	for _, c := range a.Clients {
		for _, s := range c.Secrets {
			if s.Value != "" && !hasPlaceholder(s.Value) {
				a.logger.Warn(literalSecret, zapClient(c.ID), zapAt(s.At))
			}
		}
	}
}

// warnOfIdle tells the words that do nothing as the configuration stands.
func (a *App) warnOfIdle(r *reader) {
	for _, idle := range a.resolved.Idle() {
		text, at := r.told(idle)
		for _, s := range a.Scopes { // each is a block of its own
			if idle.Client == "" && idle.Option == "scope "+s.Name {
				at = s.At
			}
		}
		a.logger.Warn(text, zapAt(at))
	}
}

// warnOfWeakSecrets says so when a client's secret can be tried out, or fails for
// clients that send it as it is. Only whoever has read the configuration could see
// that; what it says is nobody's business.
func (a *App) warnOfWeakSecrets() {
	for n, c := range a.resolved.Clients {
		for _, secret := range c.Secrets {
			if len(secret) < tokenissuer.WeakSecret {
				a.logger.Warn("a client's secret is shorter than 16 characters and can be tried out; make one with: openssl rand -hex 16",
					zapClient(c.ID), zapAt(a.Clients[n].Lines.of("secret", "", a.Clients[n].At)))
			}
			if strings.ContainsAny(secret, "+%") {
				// RFC 6749 §2.3.1 has Basic carry it percent-encoded, which curl -u and many clients do not do.
				a.logger.Warn("a client's secret has + or %, which Basic authentication reads as an escape; make one without: openssl rand -hex 16",
					zapClient(c.ID), zapAt(a.Clients[n].Lines.of("secret", "", a.Clients[n].At)))
			}
		}
	}
}
