package tokenissuer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/client"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/grant"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/portal"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Issuer serves one configuration over a shared State. It is an http.Handler
// for the requests that Handles says yes to.
type Issuer struct {
	config    Config
	algorithm token.Algorithm
	state     *State
	clients   [families]*client.Registry
	together  together
	accounts  *account.Accounts
	sources   map[string]account.Source
	codes     *codes
	grants    map[string]grant.Func
	origins   map[string]bool // whose scripts may read answers
	portal    *portal.Portal  // nil while no client sends people here
	kept      *portal.Portal  // whose page shows the inbox; nil outside development
	limit     *limit          // of what an address fails
	secrets   *limit          // of wrong secrets of one client from an address
	senders   senders         // see Deliver
}

// New makes an issuer for a valid configuration.
func New(config Config, state *State) (*Issuer, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	accounts, err := account.New(state.store, account.Options{Key: state.names, Region: config.PhoneRegion, Pool: config.Hashing})
	if err != nil {
		return nil, &ConfigError{Option: "phone_region", Mend: err.Error()}
	}
	i := &Issuer{
		config: config, algorithm: token.Algorithm(config.SigningAlgorithm), state: state, accounts: accounts,
		sources: config.passwordSources(), origins: map[string]bool{}, limit: newLimit(config.FailuresPerAddress, config.FailuresWindow),
		secrets: newLimit(config.FailuresPerAddress, config.FailuresWindow),
	}
	if err := i.register(); err != nil {
		return nil, err
	}
	if i.codes, err = newCodes(config, state, accounts); err != nil {
		return nil, err
	}
	if i.develops() {
		if i.kept, err = i.newPortal(); err != nil {
			return nil, err
		}
	}
	i.grants = i.newGrants()
	if i.senders, err = newSenders(config.Clients); err != nil {
		return nil, err
	}
	state.senders.CompareAndSwap(nil, &i.senders)
	if i.needsPortal() {
		i.portal, err = i.newPortal()
	}
	return i, err
}

// register makes the configured clients known, each to its dialects.
func (i *Issuer) register() (err error) {
	for _, r := range i.config.Clients {
		for _, o := range r.CORSOrigins {
			i.origins[o] = true
		}
	}
	for f := range i.clients {
		var own []client.Registration
		for _, r := range i.config.Clients {
			if familyOf(r) == family(f) {
				own = append(own, r)
			}
		}
		if i.clients[f], err = client.NewRegistry(own, family(f) == apiV1, i.state.proofs, i.accounts.VerifyHash); err != nil {
			return err
		}
	}
	i.askTogether()
	return nil
}

// passwordSources are the sources by which people sign in with a password. An account
// is not bound to one: the way around the rules for new passwords must not be the
// client that has laxer ones.
func (c Config) passwordSources() map[string]account.Source {
	all := map[string]account.Source{}
	for _, s := range c.Sources {
		if s.Type == TypePassword {
			all[s.ID] = s.source()
		}
	}
	strict := strictest(all)
	for id, s := range all {
		s.MinLength, s.History = strict.MinLength, strict.History
		all[id] = s
	}
	return all
}

// newGrants are the ways to earn an authorization.
func (i *Issuer) newGrants() map[string]grant.Func {
	refresh := &grant.Refresh{Store: i.state.store, Secret: i.state.refresh, Window: max(0, i.config.RefreshWindow)}
	grants := map[string]grant.Func{
		oauth.GrantPassword:          grant.Password(i.accounts, i.sources, i.config.RefreshTokenLifetime),
		oauth.GrantClientCredentials: grant.ClientCredentials,
		oauth.GrantRefreshToken:      refresh.Grant,
		oauth.GrantOTPSMS:            i.otpGrant(store.ByPhone),
		oauth.GrantOTPEmail:          i.otpGrant(store.ByEmail),
	}
	if i.needsPortal() {
		code := &grant.Code{Store: i.state.store, Lifetime: i.config.RefreshTokenLifetime}
		grants[oauth.GrantAuthorizationCode] = code.Grant
	}
	return grants
}

func (i *Issuer) otpGrant(kind store.IdentifierKind) grant.Func {
	otp := &grant.OTP{Accounts: i.accounts, Sources: i.codes.sources, Kind: kind, Lifetime: i.config.RefreshTokenLifetime}
	return otp.Grant
}

// needsPortal reports whether a client sends people here.
func (i *Issuer) needsPortal() bool {
	return slices.ContainsFunc(i.config.Clients, func(r Client) bool { return r.HasGrant(oauth.GrantAuthorizationCode) })
}

func (s Source) source() account.Source {
	a := account.Source{ID: s.ID, Failures: s.LockoutFailures, Lock: s.LockoutDuration, MinLength: s.PasswordMinLength, MaxAge: s.PasswordMaxAge, History: s.PasswordHistory}
	for _, k := range s.Identifiers {
		a.Identifiers = append(a.Identifiers, store.IdentifierKind(k))
	}
	return a
}

// KeyRules returns what the configuration says about keys, for OpenState and
// Configure.
func (c Config) KeyRules(encryptionKey string) KeyRules {
	c = c.withDefaults()
	return KeyRules{Algorithm: c.SigningAlgorithm, Rotation: c.KeyRotation, Crypto: token.Crypto(c.Crypto), EncryptionKey: encryptionKey}
}

// Identifier is the `iss` of this issuer's tokens.
func (i *Issuer) Identifier() string { return i.config.Issuer }

// Key finds one of the issuer's keys, for the gate.
func (i *Issuer) Key(kid string) (token.Public, bool) { return i.state.ring().Key(kid) }

// Revoked reports whether a token of this issuer, whose signature and times are
// good, must be refused: it was revoked, or its client is gone or disabled.
func (i *Issuer) Revoked(c *token.Claims) bool {
	who, known := i.client(c.ClientID)
	if !known || who.Disabled {
		return true
	}
	return i.state.revoked.Revoked(c.ID, c.ClientID, c.IssuedAt)
}

// Current says whether Revoked knows enough of what other nodes revoked to be asked.
func (i *Issuer) Current() bool { return i.config.Staleness.current(i.state.changes.Behind()) }

// KnowsKeys is false while other nodes may sign with keys that are not here.
func (i *Issuer) KnowsKeys() bool { return i.config.Staleness.knowsKeys(i.state.KeysBehind()) }

// Now is the time by which tokens count: all nodes of one database agree on it.
func (i *Issuer) Now() time.Time { return i.state.now() }

// Early is how much before its time a token may be used, for nodes whose clocks
// differ by that.
func (i *Issuer) Early() time.Duration { return i.state.early() }

// errBehind is of a node that the others are out of reach of.
var errBehind = fmt.Errorf("%w: what other nodes revoked is not known", store.ErrUnavailable)

// Generation changes whenever an answer of Revoked may have changed.
func (i *Issuer) Generation() uint64 { return i.state.revoked.Generation() }

// verify reads one of our own access tokens, for the endpoints that take one.
func (i *Issuer) verify(ctx context.Context, raw string, now time.Time) (*token.Claims, error) {
	claims, err := i.read(ctx, raw, now)
	if err != nil {
		return nil, err
	}
	if i.Revoked(claims) {
		return nil, oauth.Wrap(oauth.InvalidToken, oauth.RevokedToken, fmt.Errorf("jti %s", claims.ID))
	}
	return claims, nil
}

// read is verify for who wants a revoked token too.
func (i *Issuer) read(ctx context.Context, raw string, now time.Time) (*token.Claims, error) {
	if !i.Current() {
		return nil, errBehind
	}
	if token.IsOpaque(raw) {
		return i.opaque(ctx, raw, now)
	}
	var claims *token.Claims
	err := token.ErrIssuer
	for _, id := range i.Identifiers() {
		if claims, err = token.Verify(raw, i, token.Want{Issuer: id, Early: i.Early()}, now); !errors.Is(err, token.ErrIssuer) {
			break
		}
	}
	if errors.Is(err, token.ErrUnknownKey) && !i.KnowsKeys() {
		return nil, keysOf(i.state.KeysBehind())
	}
	if err != nil {
		return nil, oauth.Wrap(oauth.InvalidToken, oauth.BadBearerToken, err)
	}
	return claims, nil
}
