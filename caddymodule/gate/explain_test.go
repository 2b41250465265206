package gate_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// Where a request is refused some rule says why, also when it is not the token's fault.
func TestExplanationOfARefusalHasARuleThatFails(t *testing.T) {
	signed := func(err error) gate.Config {
		return gate.Config{Forward: gate.ForwardSigned, Voucher: &notary{err: err}}
	}
	for name, c := range map[string]struct {
		config gate.Config
		behind bool
		fails  string // the word of the rule; "" where the request passes
	}{
		"all is well":              {gate.Config{}, false, ""},
		"nobody hears other nodes": {gate.Config{}, true, "max_staleness"},
		"nobody can sign":          {signed(errors.New("no key")), false, "forward"},
		"signed":                   {signed(nil), false, ""},
	} {
		s := newScene(t)
		s.revoked.behind = c.behind
		x := s.gate(t, c.config).Explain(request(s.sign(t, "ann")), s.now)
		n := slices.IndexFunc(x.Rules, func(r gate.Rule) bool { return !r.Holds })
		switch {
		case c.fails == "" && (n >= 0 || x.Pass == nil):
			t.Errorf("%s: %+v", name, x)
		case c.fails != "" && (n < 0 || x.Rules[n].Word != c.fails || x.Refusal == nil || x.Refusal.Status != 503):
			t.Errorf("%s: %+v", name, x)
		}
	}
}
