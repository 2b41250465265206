package gate_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// RFC 6750 §3.1: the client learns what to ask for, all of it, and what it lacks.
func TestRefusalNamesEveryScopeThatIsMissing(t *testing.T) {
	s := newScene(t)
	first := s.gate(t, gate.Config{Scopes: []string{"openid", "orders:read"}})
	second := s.gate(t, gate.Config{Scopes: []string{"orders:write", "openid", "orders:delete"}})
	third := s.gate(t, gate.Config{Scopes: []string{"admin"}})
	for _, c := range []struct {
		has    string
		refuse int // which of the three gates says no
		lacks  string
		scope  string
	}{
		{"", 1, "openid orders:read", "openid orders:read"},
		{"openid", 1, "orders:read", "openid orders:read"},
		{"openid orders:read", 2, "orders:write orders:delete", "openid orders:read orders:write orders:delete"},
		{"openid orders:read orders:write", 2, "orders:delete", "openid orders:read orders:write orders:delete"},
		{"openid orders:read orders:write orders:delete", 3, "admin", "openid orders:read orders:write orders:delete admin"},
	} {
		a := s.access("alice")
		a.Scopes = strings.Fields(c.has)
		r := request(s.signed(t, a))
		pass, err := first.Check(r, s.now)
		for n, g := range []*gate.Gate{second, third} {
			if err != nil {
				break
			}
			if c.refuse < n+2 {
				t.Fatalf("%q: gate %d let it pass", c.has, c.refuse)
			}
			pass, err = g.Recheck(pass, r, s.now)
		}
		refused := refusal(t, err)
		want := `Bearer realm="gatehouse", error="insufficient_scope", error_description="the access token lacks: ` + c.lacks + `", scope="` + c.scope + `"`
		if refused.Status != http.StatusForbidden || refused.Challenge != want {
			t.Errorf("%q: got %s, want %s", c.has, refused.Challenge, want)
		}
	}
}

// RFC 9470: whoever signed in too long ago signs in again.
func TestMaxAgeAsksForAFreshSignIn(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{MaxAge: 5 * time.Minute})
	for claims, passes := range map[string]bool{
		`"scope":[],"auth_time":1800000000`:          true,
		`"scope":[],"auth_time":1799999700`:          true,
		`"scope":[],"auth_time":1799999699`:          false,
		`"scope":[],"auth_time":1799999999.5`:        true,
		`"scope":[],"auth_time":0`:                   false,
		`"scope":[],"auth_time":-1`:                  false,
		`"scope":[],"auth_time":1800000031`:          false, // in times to come
		`"scope":[],"auth_time":"1800000000"`:        false,
		`"scope":[],"auth_time":null`:                false,
		`"scope":[],"auth_time":1e400`:               false,
		`"scope":[],"auth_time":[1800000000]`:        false,
		`"scope":[]`:                                 false, // of no person, or of one nobody knows when
		`"scope":[],"iat":1800000000,"updated_at":1`: false,
	} {
		text := withClaims(claims)
		if strings.Contains(claims, `"iat"`) {
			text = strings.Replace(text, `"iat":1800000000,"jti"`, `"jti"`, 1)
		}
		_, err := g.Check(request(s.signedText(t, "JWT", text)), s.now)
		if (err == nil) != passes {
			t.Errorf("%s: %v", claims, err)
			continue
		}
		if passes {
			continue
		}
		refused := refusal(t, err)
		const want = `Bearer realm="gatehouse", error="insufficient_user_authentication", error_description="the person has to sign in again", max_age="300"`
		if refused.Status != http.StatusUnauthorized || refused.Challenge != want || refused.Reason != gate.StaleSignIn {
			t.Errorf("%s: %d %s %s", claims, refused.Status, refused.Reason, refused.Challenge)
		}
	}
}

// What a token lacks for good is said before what a new sign-in would mend.
func TestMissingScopeIsSaidBeforeMaxAge(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{MaxAge: time.Minute, Scopes: []string{"admin"}})
	_, err := g.Check(request(s.sign(t, "alice")), s.now)
	if refused := refusal(t, err); refused.Status != http.StatusForbidden {
		t.Errorf("%d %s", refused.Status, refused.Challenge)
	}
}
