package gate

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// scopesFor names what a token lacks, and all that the gates up to here demand:
// who got a token for the last one alone would fail at the first.
func (g *Gate) scopesFor(c *token.Claims, earlier *Pass) string {
	demanded := union(earlier.demanded(nil), g.policy.scopes)
	lacking := slices.DeleteFunc(slices.Clone(g.policy.scopes), func(s string) bool { return slices.Contains(c.Scopes, s) })
	// A scope has neither " nor \ in it (RFC 6749 §3.3).
	return `, error_description="the access token lacks: ` + strings.Join(lacking, " ") + `", scope="` + strings.Join(demanded, " ") + `"`
}

// demanded adds the scopes of the gates that let a request pass, the first one's
// first.
func (p *Pass) demanded(scopes []string) []string {
	if p == nil {
		return scopes
	}
	scopes = p.earlier.demanded(scopes)
	if p.by != nil && !p.by.shadow {
		return union(scopes, p.by.policy.scopes)
	}
	return scopes
}

func union(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// clocks is how far ahead of us a foreign issuer's sign-in may be.
const clocks = 30 * time.Second

// signedInSince asks auth_time (OpenID Connect Core §2, RFC 9068 §2.2.1). A token
// that does not say it may be as old as its session.
func signedInSince(c *token.Claims, since, now time.Time) bool {
	number, ok := c.Value("auth_time").(json.Number)
	if !ok {
		return false
	}
	at, err := number.Int64()
	if err != nil {
		fraction, err := number.Float64()
		if err != nil || math.Abs(fraction) > math.MaxInt32*2 {
			return false
		}
		at = int64(math.Floor(fraction))
	}
	return at >= since.Unix() && at <= now.Add(clocks).Unix()
}
