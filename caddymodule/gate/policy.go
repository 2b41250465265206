package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// What a verified token is refused for.
var (
	errScope   = errors.New("a scope is missing")
	errClaim   = errors.New("a claim does not hold what is demanded")
	errRevoked = errors.New("revoked, or its client is gone")

	errStale      = errors.New("the person signed in too long ago, or nobody knows when")
	errExpression = errors.New("the expression does not hold")
)

// policy is what a verified token must say beyond its audience.
type policy struct {
	scopes     []string
	claims     []Claim
	expression *Expression
	maxAge     time.Duration
	peer       func(*http.Request) string
	sent       func(*http.Request) *url.URL
}

func newPolicy(c Config) (policy, error) {
	p := policy{scopes: slices.Clone(c.Scopes), expression: c.Expression, maxAge: c.MaxAge, peer: c.Peer, sent: c.Sent}
	if p.maxAge < 0 {
		return p, errors.New("a sign-in cannot be younger than now")
	}
	if p.peer == nil {
		p.peer = peerOf
	}
	if p.sent == nil {
		p.sent = func(r *http.Request) *url.URL { return r.URL }
	}
	for _, s := range p.scopes {
		if parsed, err := oauth.ParseScopes(s); err != nil || len(parsed) != 1 {
			return p, fmt.Errorf("%q is not a scope", s)
		}
	}
	for _, claim := range c.Claims {
		if claim.Name == "" || len(claim.Any) == 0 || slices.Contains(claim.Any, "") {
			// An empty list would hold for nobody, or by a slip for everybody.
			return p, fmt.Errorf("claim %q needs a name and values", claim.Name)
		}
		p.claims = append(p.claims, Claim{claim.Name, slices.Clone(claim.Any)})
	}
	return p, nil
}

// allow is cheap enough to be asked for every request, so no decision is kept
// but that of an expression.
func (p *policy) allow(e *entry, r *http.Request, now time.Time) error {
	c := e.claims
	for _, s := range p.scopes {
		if !slices.Contains(c.Scopes, s) {
			return errScope
		}
	}
	for _, claim := range p.claims {
		if !holds(c.Value(claim.Name), claim.Any) {
			return errClaim
		}
	}
	if p.expression != nil {
		if err := e.judge(p, r, now); err != nil {
			return err
		}
	}
	if p.maxAge > 0 && !signedInSince(c, now.Add(-p.maxAge), now) {
		return errStale
	}
	return nil
}

// needs is what the policy remembers of a token: where every request wants to know
// claims beyond the usual ones, all of them.
func (p *policy) needs() needs {
	n := needs{claims: len(p.claims) > 0 || p.maxAge > 0 || p.expression != nil && !p.expression.lasting}
	if p.expression != nil {
		n.bytes = memoCost
	}
	return n
}

// peerOf is the address that a request's connection comes from.
func peerOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// holds compares whole values: nothing is split, folded or matched in part.
func holds(value any, wanted []string) bool {
	if list, ok := value.([]any); ok {
		return slices.ContainsFunc(list, func(element any) bool { return is(element, wanted) })
	}
	return is(value, wanted)
}

func is(value any, wanted []string) bool {
	switch v := value.(type) {
	case string:
		return slices.Contains(wanted, v)
	case json.Number:
		return slices.Contains(wanted, v.String())
	case bool:
		return slices.Contains(wanted, strconv.FormatBool(v))
	default:
		return false
	}
}
