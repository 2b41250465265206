package gate_test

import (
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// A browser's cookie is no word of anybody's: with `optional`, one whose token is over
// is none. Who shows a token in the header means it.
func TestCookieThatIsOverIsNoneWhereNoneIsNeeded(t *testing.T) {
	s := newScene(t)
	good := s.sign(t, "alice")
	for name, c := range map[string]struct {
		config gate.Config
		raw    string
		later  time.Duration
		want   string // a reason; "" passes as nobody
	}{
		"expired":             {gate.Config{Optional: true}, good, 24 * time.Hour, ""},
		"changed":             {gate.Config{Optional: true}, good[:len(good)-8] + "AAAAAAAA", 0, ""},
		"of nobody's":         {gate.Config{Optional: true}, newScene(t).sign(t, "alice"), 0, ""},
		"good and too old":    {gate.Config{Optional: true, MaxAge: time.Minute}, good, 0, string(gate.StaleSignIn)},
		"good and not enough": {gate.Config{Optional: true, Claims: []gate.Claim{{Name: "role", Any: []string{"admin"}}}}, good, 0, string(gate.MissingClaim)},
		"needed":              {gate.Config{}, good, 24 * time.Hour, string(gate.ExpiredToken)},
	} {
		g := s.gate(t, c.config)
		pass, err := g.CheckCookie(request(""), c.raw, nil, s.now.Add(c.later))
		switch {
		case c.want == "" && (err != nil || pass.Claims != nil):
			t.Errorf("%s: %v %v", name, pass, err)
		case c.want != "" && (err == nil || string(refusal(t, err).Reason) != c.want):
			t.Errorf("%s: %v %v", name, pass, err)
		}
		if pass, err := g.Check(request(c.raw), s.now.Add(c.later)); err == nil {
			t.Errorf("%s, in the header: %v", name, pass)
		}
	}
}

// What another site has a browser send passes as nobody where nobody has to be known: who
// is not signed in may send it, too.
func TestCookieThatAnotherSiteSendsIsNoneWhereNoneIsNeeded(t *testing.T) {
	s := newScene(t)
	if pass, err := s.gate(t, gate.Config{Optional: true}).CheckCookie(request(""), "", gate.ErrCrossSite, s.now); err != nil || pass.Claims != nil {
		t.Errorf("%v %v", pass, err)
	}
	if _, err := s.gate(t, gate.Config{}).CheckCookie(request(""), "", gate.ErrCrossSite, s.now); err == nil || refusal(t, err).Reason != gate.CrossSite {
		t.Errorf("where a token is needed: %v", err)
	}
}
