package gate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Explanation is a decision with everything that it rests on. It is for
// operators: a caller is never told as much.
type Explanation struct {
	Pass    *Pass    // nil where the request is refused
	Refusal *Refusal // what is said, or would be in the shadow; nil where nothing is

	Claims     *token.Claims // of a token that verified; nil otherwise
	Key        token.Public  // that signed it; zero for an opaque token
	Cached     bool          // it was known before
	Unverified token.Unverified

	Rules []Rule // in the order in which they are asked; the first that does not hold decides
}

// Rule is a line of the policy, and whether the request satisfies it.
type Rule struct {
	Word  string // as in the Caddyfile; `token` is what no line says
	Value string
	Holds bool
	Says  string // what there is instead, or what makes it hold
}

// Explain judges a request as Check does, and says of every rule what it makes of
// it, those behind the one that decided too.
func (g *Gate) Explain(r *http.Request, now time.Time) *Explanation {
	raw, missing := oauth.Bearer(r.Header)
	return g.explain(r, raw, missing, now, func() (*Pass, error) { return g.Check(r, now) })
}

// ExplainCookie is Explain for CheckCookie.
func (g *Gate) ExplainCookie(r *http.Request, raw string, cause error, now time.Time) *Explanation {
	x := g.explain(r, raw, cause, now, func() (*Pass, error) { return g.CheckCookie(r, raw, cause, now) })
	if x.Pass != nil && x.Pass.Lapsed != nil {
		x.Claims, x.Rules = nil, nil
		x.rule("token", "", true, "the one of the cookie opens nothing here (%v), so the request counts as one without", x.Pass.Lapsed)
	}
	return x
}

// ExplainAgain is Explain for Recheck.
func (g *Gate) ExplainAgain(earlier *Pass, r *http.Request, now time.Time) *Explanation {
	if earlier.raw == "" {
		return g.Explain(r, now)
	}
	return g.explain(r, earlier.raw, nil, now, func() (*Pass, error) { return g.Recheck(earlier, r, now) })
}

// explain tells how check has decided, by a token or for want of one.
func (g *Gate) explain(r *http.Request, raw string, missing error, now time.Time, check func() (*Pass, error)) *Explanation {
	x := new(Explanation)
	x.Cached = missing == nil && len(raw) <= token.MaxSize && g.cache.known(token.Sum(raw))
	pass, err := check()
	x.Pass, x.Refusal = pass, refusalOf(pass, err)
	switch exact, folder := g.excepted(r); {
	case exact != "":
		x.rule("except", exact, true, "nothing is asked")
		return x
	case folder != "":
		x.rule("except", folder+"*", true, "nothing is asked")
		return x
	}
	switch {
	case missing == oauth.ErrNoToken: //nolint:errorlint // with a reason it is another
		x.rule("token", "", g.optional, "the request has none")
		return x
	case errors.Is(missing, oauth.ErrNoToken):
		x.rule("token", "", g.optional, "%v", missing)
		return x
	case missing != nil:
		x.rule("token", "", false, "%v", missing)
		return x
	}
	e, err := g.verify(r, raw, now, nil)
	if e == nil {
		x.Unverified = token.Peek(raw)
		x.rule("token", "", false, "%v", err)
		return x
	}
	if x.Claims = e.claims; e.key != nil {
		x.Key = *e.key
	}
	x.ofToken(r, e, g.trusted.issuers[e.claims.Issuer], now)
	x.ofPolicy(&g.policy, e, r, now)
	if _, err := g.forward.value(e, raw, now); g.forward.how == ForwardSigned && err == nil {
		x.rule("forward", "signed", true, "the issuer signs a token about the caller")
	} else if err != nil {
		x.rule("forward", "signed", false, "the issuer cannot sign a token about the caller now: %v", err)
	}
	return x
}

func refusalOf(p *Pass, err error) *Refusal {
	if p != nil {
		return p.Shadowed
	}
	refusal, _ := err.(*Refusal) //nolint:errorlint // Check says so
	return refusal
}

func (x *Explanation) rule(word, value string, holds bool, format string, a ...any) {
	x.Rules = append(x.Rules, Rule{word, value, holds, fmt.Sprintf(format, a...)})
}

// teller can say what ended a token that is revoked.
type teller interface {
	Ended(context.Context, *token.Claims) string
}

// ofToken says what issuer.check asks, each question by itself.
func (x *Explanation) ofToken(r *http.Request, e *entry, i *issuer, now time.Time) {
	c := e.claims
	signed := "an opaque token that the issuer knows"
	if e.key != nil {
		signed = fmt.Sprintf("signed by key %s, %s", e.key.ID, e.key.Algorithm)
	}
	x.rule("issuer", c.Issuer, true, "%s", signed)
	if i.want.Audiences == nil {
		x.rule("audience", "", true, "the token is for %s, and any client of the issuer will do", strings.Join(c.Audience, ", "))
	} else {
		holds := slices.ContainsFunc(c.Audience, func(aud string) bool { return slices.Contains(i.want.Audiences, aud) })
		x.rule("audience", strings.Join(i.want.Audiences, " "), holds, "the token is for %s", strings.Join(c.Audience, ", "))
	}
	ends, begins := time.Unix(c.Expires, 0), time.Unix(max(c.NotBefore, c.IssuedAt), 0)
	switch {
	case now.Add(-i.want.Leeway).Unix() >= c.Expires:
		x.rule("token", "", false, "it expired %s ago, at %s", span(now.Sub(ends)), ends.UTC().Format(time.RFC3339))
	case now.Add(i.want.Leeway + i.want.Early).Before(begins):
		x.rule("token", "", false, "it is good from %s on", begins.UTC().Format(time.RFC3339))
	default:
		x.rule("token", "", true, "it expires in %s", span(ends.Sub(now)))
	}
	switch {
	case i.revoked == nil:
	case !i.revoked.Current():
		x.rule("max_staleness", "", false, "this node has not heard for too long what other nodes revoked, so nobody can say now whether the token is good")
	default:
		says := "neither it nor its sign-in, account or client was ended"
		revoked := i.revoked.Revoked(c)
		if revoked {
			says = "it was revoked, or its sign-in, account or client was ended"
			if teller, ok := i.revoked.(teller); ok {
				says = teller.Ended(r.Context(), c)
			}
		}
		x.rule("token", "", !revoked, "%s", says)
	}
}

func span(d time.Duration) string { return d.Round(time.Second).String() }

// ofPolicy says what policy.allow asks.
func (x *Explanation) ofPolicy(p *policy, e *entry, r *http.Request, now time.Time) {
	c := e.claims
	for _, s := range p.scopes {
		x.rule("scope", s, slices.Contains(c.Scopes, s), "the token has %s", orNone(strings.Join(c.Scopes, " ")))
	}
	for _, claim := range p.claims {
		x.rule("claim", claim.Name+" "+strings.Join(claim.Any, " "), holds(c.Value(claim.Name), claim.Any), "the token has %s", legible(c, claim.Name))
	}
	if p.expression != nil {
		says := "yes"
		err := e.judge(p, r, now)
		if err != nil {
			says = err.Error()
		}
		x.rule("expression", "", err == nil, "%s", says)
	}
	if p.maxAge > 0 {
		says := "nobody knows when the person signed in"
		if at := c.Text("auth_time"); at != "" {
			says = "the person signed in at " + at + " (Unix seconds)"
		}
		x.rule("max_age", p.maxAge.String(), signedInSince(c, now.Add(-p.maxAge), now), "%s", says)
	}
}

// legible is a claim for an operator to read, also where no header can say it.
func legible(c *token.Claims, name string) string {
	if s := c.Text(name); s != "" || c.Value(name) == nil {
		return orNone(s)
	}
	printed, _ := json.Marshal(c.Value(name)) // it came as JSON
	return string(printed)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
