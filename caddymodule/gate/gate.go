// Package gate decides whether a request may pass to a backend. It issues
// nothing, asks no store and does not know Caddy: keys, revocations and the
// time are given to it.
package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Config is what one gate demands, and what it tells the backend.
type Config struct {
	// Issuers whose tokens are looked at; at least one.
	Issuers []Issuer

	// Opaque finds what opaque tokens of the embedded issuer stand for; nil: they
	// are refused.
	Opaque Opaque

	// Audiences: a token of the embedded issuer is for any of these. Empty: for
	// any client of it. A foreign issuer has its own list.
	Audiences []string

	// Scopes: a token has all of these.
	Scopes []string

	// Claims: a token satisfies every line.
	Claims []Claim

	// Expression holds for the token and its request; nil: it is not asked.
	Expression *Expression

	// MaxAge is how long ago a person may have signed in, by auth_time of the token
	// (RFC 9470); 0: any time.
	MaxAge time.Duration

	// Peer is the address of the client, as an expression sees it and as strangers
	// are told apart; default: the connection's.
	Peer func(*http.Request) string

	// Sent is the address of a request before anybody rewrote it; default: its own.
	Sent func(*http.Request) *url.URL

	// Except are paths that pass without a token and without identity: exact, or
	// a folder with /* at the end.
	Except []string

	// Optional lets who shows no token pass without identity. Who shows one is
	// judged.
	Optional bool

	// Shadow judges and refuses nobody; what would have been a refusal is in the
	// Pass.
	Shadow bool

	// Forward is what becomes of the Authorization header; default: it is taken out.
	Forward Forward

	// Voucher signs what ForwardSigned forwards.
	Voucher Voucher

	// ForwardAudience is whom a signed token is for; default: whom the caller's is.
	ForwardAudience string

	// Headers the backend gets; nil is DefaultHeaders. The client's own are
	// deleted, whether a claim is there to replace them or not.
	Headers []Header
}

// Issuer is one issuer that a gate trusts.
type Issuer struct {
	Identifier string        // iss, exactly
	Keys       token.Keys    // asked at every request, so a removed key opens nothing; Fetched too where they come from elsewhere
	Audiences  []string      // any of these; required of a foreign issuer
	Leeway     time.Duration // for the clock of a foreign issuer; ours has none
	Early      time.Duration // for the clocks of ours, where it runs on several nodes
	Embedded   bool          // the issuer in this process, or one of its dialects
	Revoked    Revoked       // nil: nothing is ever revoked
	Asked      Introspector  // about opaque tokens of a foreign issuer; nil: they are refused
}

// Fetched are keys that may not be here yet. Await returns once it is known
// whether the issuer has a key; an error says that nobody can say now.
type Fetched interface {
	token.Keys
	Await(ctx context.Context, kid string) error
}

// Opaque looks an opaque token up by its digest. An error in whose chain is
// token.ErrUnknown says that there is none; another, that nobody can say now. It is a
// pointer.
type Opaque interface {
	Opaque(context.Context, token.Digest) (*token.Claims, error)
}

// Introspector asks a foreign issuer what an opaque token stands for; from is the
// client's address, as far as it is known, and proven a token that was good before. It is a pointer. An error in whose chain is a
// *remote.Failure says that nobody can say now; another, that the token is no good.
type Introspector interface {
	Introspect(ctx context.Context, raw string, digest token.Digest, from netip.Addr, proven bool, now time.Time) (remote.Answer, error)
}

// Revoked says what must be refused although it verifies: a revoked token, or
// a token whose client is gone or disabled. It is a pointer, and Generation
// changes whenever an answer of Revoked may have.
type Revoked interface {
	Revoked(*token.Claims) bool
	Generation() uint64

	// Current is false while too little is known of what was revoked elsewhere.
	Current() bool

	// KnowsKeys is false while other nodes may sign with keys that are not here.
	KnowsKeys() bool
}

// Claim is a line that a token satisfies when the claim holds one of the values.
type Claim struct {
	Name string
	Any  []string
}

// Gate is a compiled Config. It is safe for concurrent use.
type Gate struct {
	cache   *Cache
	trusted trust
	opaque  Opaque
	policy  policy
	except  exceptions
	headers *headerSet
	forward forward
	strip   stripper
	answers challenges

	optional, shadow bool

	needs needs
}

// New compiles a configuration. The cache may be shared with other gates, and
// with those of configurations before and after.
func New(c Config, cache *Cache) (*Gate, error) {
	if cache == nil {
		return nil, errors.New("a gate needs a cache")
	}
	trusted, err := newTrust(c)
	if err != nil {
		return nil, err
	}
	policy, err := newPolicy(c)
	if err != nil {
		return nil, err
	}
	except, err := newExceptions(c.Except)
	if err != nil {
		return nil, err
	}
	headers, err := newHeaderSet(c.Headers)
	if err != nil {
		return nil, err
	}
	forward, err := newForward(c)
	if err != nil {
		return nil, err
	}
	g := &Gate{
		cache: cache, trusted: trusted, opaque: c.Opaque, policy: policy, except: except, headers: headers, forward: forward,
		strip: newStripper(headers.names), answers: newChallenges(c.MaxAge),
		optional: c.Optional, shadow: c.Shadow,
	}
	g.needs = g.policy.needs().and(g.forward.needs()).and(g.headers.needs())
	return g, nil
}

// Check lets a request pass or says why not; the error is a *Refusal. Strip
// comes first.
func (g *Gate) Check(r *http.Request, now time.Time) (*Pass, error) {
	if g.Excepts(r) {
		return excepted, nil
	}
	raw, err := oauth.Bearer(r.Header)
	switch {
	case err == nil:
		return g.admit(r, raw, now, nil)
	case g.optional && errors.Is(err, oauth.ErrNoToken):
		return anonymous, nil
	}
	return g.refuse(nil, err, nil)
}

// Recheck asks a second gate on the same route about a request that another
// one let pass, and took the token out of.
func (g *Gate) Recheck(earlier *Pass, r *http.Request, now time.Time) (*Pass, error) {
	if earlier.raw == "" || g.Excepts(r) {
		return g.Check(r, now)
	}
	return g.admit(r, earlier.raw, now, earlier)
}

func (g *Gate) admit(r *http.Request, raw string, now time.Time, earlier *Pass) (*Pass, error) {
	e, err := g.verify(r, raw, now, earlier)
	if e == nil {
		return g.refuse(nil, err, earlier)
	}
	if err == nil {
		err = g.policy.allow(e, r, now)
	}
	if err != nil {
		return g.refuse(e.claims, err, earlier)
	}
	if g.needs.claims {
		g.rememberClaims(e, len(raw), now)
	}
	forwarded, err := g.forward.value(e, raw, now)
	if err != nil {
		return g.refuse(e.claims, err, earlier)
	}
	p := e.pass
	if p == nil {
		p = new(Pass)
	}
	*p = Pass{Claims: e.claims, raw: raw, of: e.record, forward: forwarded, headers: g.headers, by: g, earlier: earlier}
	p.values = e.values(g.headers, &p.own)
	return p, nil
}

// refuse is the refusal, or what became of it in the shadow.
func (g *Gate) refuse(c *token.Claims, cause error, earlier *Pass) (*Pass, error) {
	refusal := g.refusal(c, cause)
	if errors.Is(cause, errScope) {
		refusal.Challenge += g.scopesFor(c, earlier)
	}
	if g.shadow {
		return &Pass{Shadowed: refusal}, nil
	}
	return nil, refusal
}

// verify answers with the cached reading of a token when the very same bytes
// were verified before, and asks again everything that can change since then.
// An error beside a reading is about a token that was good once.
// Earlier is of a gate that has let the same token pass, or nil.
func (g *Gate) verify(r *http.Request, raw string, now time.Time, earlier *Pass) (*entry, error) {
	if len(raw) > token.MaxSize {
		return nil, token.ErrTooLarge // before it is hashed
	}
	var digest token.Digest
	if earlier != nil && earlier.of != nil {
		digest = earlier.of.digest
	} else {
		digest = token.Sum(raw)
	}
	e := g.cache.get(digest, raw)
	if e != nil {
		if i := g.trusted.stillTrusts(e, now); i != nil {
			return e, i.check(e, now)
		}
	}
	e, i, err := g.read(r, raw, digest, e, now)
	if err != nil {
		return nil, err
	}
	e.digest = digest
	if err := i.check(e, now); err != nil {
		if e.told != nil {
			g.cache.put(e, len(raw), g.needs, now) // or the issuer would be asked again for every request
		}
		return e, err
	}
	g.cache.put(e, len(raw), g.needs, now)
	return e, nil
}

// read finds out what a token says, and whose it is. Before is what was known of
// it until a moment ago, or nil.
func (g *Gate) read(r *http.Request, raw string, digest token.Digest, before *entry, now time.Time) (*entry, *issuer, error) {
	asks := g.trusted.asks != nil && !token.IsJOSE(raw)
	if elsewhere := before != nil && before.told != nil; g.opaque != nil && token.IsOpaque(raw) && !elsewhere {
		from := g.from(r)
		e, i, charged, err := g.look(r.Context(), from, digest, now)
		if asks && errors.Is(err, token.ErrUnknown) {
			e, i, err = g.introspect(r, raw, digest, before, now)
		}
		g.cache.lookups.settle(charged, verdictOf(e, i, err, now), from, now)
		return e, i, err
	}
	if asks {
		return g.introspect(r, raw, digest, before, now)
	}
	return g.trusted.verify(r.Context(), raw)
}

// look finds an opaque token of the embedded issuer. Charged is for lookups.settle.
func (g *Gate) look(ctx context.Context, from netip.Addr, digest token.Digest, now time.Time) (e *entry, i *issuer, charged bool, err error) {
	claims, charged, err := g.cache.lookups.look(ctx, g.opaque, from, digest, now)
	if err == nil {
		e, i, err = g.trusted.found(digest, claims)
	}
	return e, i, charged, err
}

// verdictOf is what an answer, here or elsewhere, is to lookups.settle.
func verdictOf(e *entry, i *issuer, err error, now time.Time) error {
	if err == nil {
		return i.check(e, now)
	}
	if f, ok := errors.AsType[*remote.Failure](err); ok && !f.IsSilence() {
		return token.ErrUnknown
	}
	return err
}

// from is the address of the client, the zero Addr where nobody knows it.
func (g *Gate) from(r *http.Request) netip.Addr {
	from, _ := netip.ParseAddr(g.policy.peer(r))
	return from
}

// introspect asks the foreign issuer that is asked about opaque tokens.
func (g *Gate) introspect(r *http.Request, raw string, digest token.Digest, before *entry, now time.Time) (*entry, *issuer, error) {
	i := g.trusted.asks
	answer, err := i.asked.Introspect(r.Context(), raw, digest, g.from(r), before != nil && before.told != nil, now)
	if _, silent := errors.AsType[*remote.Failure](err); silent {
		return nil, nil, fmt.Errorf("%w: %w", errSilent, err)
	}
	if err == nil && answer.Claims.Issuer != i.want.Issuer {
		err = token.ErrIssuer
	}
	if err != nil {
		if before != nil {
			g.cache.forget(digest) // it was good once, and is no longer
		}
		return nil, nil, err
	}
	return newEntry(digest, answer.Claims, nil, &told{by: i.asked, until: answer.Until}), i, nil
}
