package gate

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// trust is the issuers of one gate.
type trust struct {
	issuers map[string]*issuer // by identifier
	rings   []ring             // in the order of the configuration
	fetches bool               // there is an issuer whose keys come from elsewhere
	asks    *issuer            // the one that is asked about opaque tokens; nil: none
}

type issuer struct {
	keys     token.Keys
	fetched  Fetched      // the keys again, where they come from elsewhere
	asked    Introspector // nil: its tokens are not opaque
	want     token.Want
	revoked  Revoked
	answered atomic.Pointer[answer] // of revoked, the last one
}

// ring is issuers that sign with the same keys, such as the dialects of the
// embedded one: a signature is verified once for all of them.
type ring struct {
	keys    token.Keys
	foreign bool
}

func newTrust(c Config) (trust, error) {
	t := trust{issuers: make(map[string]*issuer, len(c.Issuers))}
	if len(c.Issuers) == 0 {
		return t, errors.New("a gate needs an issuer to trust: the embedded one, or an `issuer` block")
	}
	for _, i := range c.Issuers {
		if err := i.validate(); err != nil {
			return t, err
		}
		if t.issuers[i.Identifier] != nil {
			return t, fmt.Errorf("issuer %s stands twice", i.Identifier)
		}
		want := token.Want{Issuer: i.Identifier, Audiences: slices.Clone(i.Audiences), Leeway: i.Leeway, Early: i.Early, Foreign: !i.Embedded}
		if len(want.Audiences) == 0 { // only the embedded issuer's can be
			want.Audiences = slices.Clone(c.Audiences)
		}
		if slices.Contains(want.Audiences, "") {
			return t, errors.New("an empty audience")
		}
		if len(want.Audiences) == 0 {
			want.Audiences = nil // any client of the embedded issuer
		}
		fetched, fetches := i.Keys.(Fetched)
		t.fetches = t.fetches || fetches
		t.issuers[i.Identifier] = &issuer{keys: i.Keys, fetched: fetched, asked: i.Asked, want: want, revoked: i.Revoked}
		if i.Asked != nil {
			if t.asks != nil {
				return t, fmt.Errorf("issuer %s: %s is asked about opaque tokens already; each would see the other's", i.Identifier, t.asks.want.Issuer)
			}
			t.asks = t.issuers[i.Identifier]
		}
		r := ring{keys: i.Keys, foreign: !i.Embedded}
		if !slices.Contains(t.rings, r) {
			t.rings = append(t.rings, r)
		}
	}
	return t, nil
}

func (i *Issuer) validate() error {
	switch {
	case i.Identifier == "":
		return errors.New("an issuer needs its identifier")
	case !isComparable(i.Keys):
		return fmt.Errorf("issuer %s needs keys", i.Identifier)
	case i.Revoked != nil && !isComparable(i.Revoked):
		return fmt.Errorf("issuer %s: its revocations are not a pointer", i.Identifier)
	case i.Asked != nil && (i.Embedded || !isComparable(i.Asked)):
		return fmt.Errorf("issuer %s is asked about opaque tokens and is not a foreign one, or not by a pointer", i.Identifier)
	case i.Leeway < 0:
		return fmt.Errorf("issuer %s: leeway is negative", i.Identifier)
	case i.Embedded && i.Leeway != 0:
		return fmt.Errorf("issuer %s: there is one clock, and no leeway", i.Identifier)
	case !i.Embedded && len(i.Audiences) == 0:
		// It makes tokens for others too, and any of those would open this gate.
		return fmt.Errorf("issuer %s needs an audience: which of its tokens are for this gate", i.Identifier)
	}
	return nil
}

// isComparable says whether == on the interface value cannot panic; nil is not.
func isComparable(value any) bool { return value != nil && reflect.TypeOf(value).Comparable() }

// stillTrusts returns the issuer that vouches for a cached reading today: this
// gate trusts it, by the same rules, and it still has the key that signed.
// A configuration or a rotation later, it may not.
func (t *trust) stillTrusts(e *entry, now time.Time) *issuer {
	i := t.issuers[e.claims.Issuer]
	if i == nil || i.want.Foreign != e.claims.Foreign() {
		return nil
	}
	if e.told != nil && (e.told.by != i.asked || !now.Before(e.told.until)) {
		return nil // its issuer is to be asked again
	}
	if e.key == nil {
		return i // opaque: no key made it, and what ends it is revocation and its time
	}
	if key, ok := i.keys.Key(e.key.ID); !ok || !key.Same(*e.key) {
		return nil
	}
	return i
}

// verify finds the issuer of a token by the key that verifies it; what the
// token says of its issuer is only read after that. Two issuers may use one
// key id, so the next ring is asked when a signature or an issuer is wrong.
func (t *trust) verify(ctx context.Context, raw string) (*entry, *issuer, error) {
	sealed, err := token.Parse(raw)
	if err != nil {
		return nil, nil, err
	}
	failure, unknown := token.ErrUnknownKey, false
	for _, r := range t.rings {
		e, i, err := t.open(sealed, r)
		switch {
		case err == nil:
			return e, i, nil
		case errors.Is(err, token.ErrUnknownKey):
			unknown = true
		default:
			failure = err
		}
	}
	if unknown && t.fetches {
		i, err := t.await(ctx, sealed)
		if err != nil {
			return nil, nil, err
		}
		if i != nil {
			return t.open(sealed, ring{keys: i.keys, foreign: i.want.Foreign})
		}
	}
	if unknown && t.isBehind(sealed) {
		return nil, nil, errBehind
	}
	return nil, nil, failure
}

// isBehind says that a token may be of a key that other nodes have made since this one
// heard of them: whoever shows it is to come again, and not to throw it away.
func (t *trust) isBehind(sealed *token.Sealed) bool {
	i := t.issuers[sealed.Claimed()]
	return i != nil && !i.want.Foreign && i.revoked != nil && !(i.revoked.Current() && i.revoked.KnowsKeys())
}

// open reads a token with the keys of a ring.
func (t *trust) open(sealed *token.Sealed, r ring) (*entry, *issuer, error) {
	claims, key, err := sealed.Open(r.keys, r.foreign)
	if err != nil {
		return nil, nil, err
	}
	i := t.issuers[claims.Issuer]
	if i == nil || i.keys != r.keys || i.want.Foreign != r.foreign {
		return nil, nil, token.ErrIssuer
	}
	key = key.Bare()
	return newEntry(token.Digest{}, claims, &key, nil), i, nil
}

// found is the reading of an opaque token of the embedded issuer.
func (t *trust) found(digest token.Digest, c *token.Claims) (*entry, *issuer, error) {
	i := t.issuers[c.Issuer]
	if i == nil || i.want.Foreign {
		return nil, nil, token.ErrIssuer
	}
	return newEntry(digest, c, nil, nil), i, nil
}

// await asks the issuer that a token names whether it has a new key. Nobody has
// vouched for the name; it only says whom to ask, and whose silence matters.
func (t *trust) await(ctx context.Context, sealed *token.Sealed) (*issuer, error) {
	i := t.issuers[sealed.Claimed()]
	if i == nil || i.fetched == nil {
		return nil, nil
	}
	if _, known := i.keys.Key(sealed.KeyID()); known {
		return nil, nil // and it did not make the signature
	}
	if err := i.fetched.Await(ctx, sealed.KeyID()); err != nil {
		return nil, fmt.Errorf("%w: %w", errSilent, err)
	}
	return i, nil
}

// check is what is asked for every request, however often the token was seen.
func (i *issuer) check(e *entry, now time.Time) error {
	if err := e.claims.Check(i.want, now); err != nil {
		return err
	}
	switch {
	case i.revoked == nil:
	case !i.revoked.Current():
		return errBehind
	case i.isRevoked(e):
		return errRevoked
	}
	return nil
}
