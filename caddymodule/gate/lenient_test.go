package gate_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// Who sends nothing is nobody; who sends something has to be somebody.
func TestOptionalGateLetsNobodyInAsNobody(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Optional: true, Scopes: []string{"orders:read"}})
	good := s.sign(t, "alice")
	few := s.access("bob")
	few.Scopes = []string{"openid"}
	for name, c := range map[string]struct {
		authorization []string
		subject       string
		status        int
	}{
		"nothing":                  {nil, "", 0},
		"a scheme of the backend":  {[]string{"Basic YTpi"}, "", 0},
		"a good token":             {[]string{"Bearer " + good}, "alice", 0},
		"a bad token":              {[]string{"Bearer " + good[:len(good)-4] + "AAAA"}, "", http.StatusUnauthorized},
		"no token at all":          {[]string{"Bearer"}, "", http.StatusUnauthorized},
		"two fields":               {[]string{"Bearer " + good, "Basic YTpi"}, "", http.StatusBadRequest},
		"a token without a scope":  {[]string{"Bearer " + s.signed(t, few)}, "", http.StatusForbidden},
		"another person's headers": {nil, "", 0},
	} {
		r := request("")
		if c.authorization != nil {
			r.Header["Authorization"] = c.authorization
		}
		r.Header.Set("X-Auth-Subject", "admin")
		g.Strip(r)
		p, err := g.Check(r, s.now)
		if c.status != 0 {
			if refused := refusal(t, err); refused.Status != c.status {
				t.Errorf("%s: %d, want %d", name, refused.Status, c.status)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p.Apply(r.Header)
		if got := r.Header.Get("X-Auth-Subject"); got != c.subject || p.Text("sub") != c.subject {
			t.Errorf("%s: the backend sees %q", name, got)
		}
		if c.subject == "" && len(c.authorization) != len(r.Header["Authorization"]) {
			t.Errorf("%s: Authorization is gone", name)
		}
	}
}

// A gate in the shadow decides as it would, and refuses nobody.
func TestShadowGateRefusesNobody(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Shadow: true, Scopes: []string{"orders:read"}})
	good := s.sign(t, "alice")
	few := s.access("bob")
	few.Scopes = []string{"openid"}
	for name, c := range map[string]struct {
		authorization []string
		reason        oauth.Reason
		subject       string
	}{
		"nothing":         {nil, oauth.NoBearerToken, ""},
		"a bad token":     {[]string{"Bearer x"}, gate.MalformedToken, ""},
		"two fields":      {[]string{"Bearer " + good, "Bearer x"}, oauth.BadBearerToken, ""},
		"too few scopes":  {[]string{"Bearer " + s.signed(t, few)}, oauth.MissingScope, ""},
		"what is allowed": {[]string{"Bearer " + good}, "", "alice"},
	} {
		r := request("")
		if c.authorization != nil {
			r.Header["Authorization"] = c.authorization
		}
		r.Header.Set("X-Auth-Subject", "admin")
		g.Strip(r)
		p, err := g.Check(r, s.now)
		if err != nil {
			t.Errorf("%s: refused: %v", name, err)
			continue
		}
		p.Apply(r.Header)
		if got := r.Header.Get("X-Auth-Subject"); got != c.subject {
			t.Errorf("%s: the backend sees %q", name, got)
		}
		if len(r.Header["Authorization"]) != len(c.authorization) {
			t.Errorf("%s: the backend, which judges for itself so far, misses its token", name)
		}
		var reason oauth.Reason
		if p.Shadowed != nil {
			reason = p.Shadowed.Reason
		}
		if reason != c.reason {
			t.Errorf("%s: %q, want %q", name, reason, c.reason)
		}
	}
}

// Where nobody can say now, the shadow does not stand in the way either.
func TestShadowGateIsNoOutage(t *testing.T) {
	s := newScene(t)
	c := gate.Config{Shadow: true, Opaque: &counter{down: errors.New("the store is gone")}}
	p, err := s.gate(t, c).Check(request(someToken), s.now)
	if err != nil || p.Shadowed == nil || p.Shadowed.Status != http.StatusServiceUnavailable {
		t.Errorf("%v, %v", p, err)
	}
}

// A trial changes nothing: what the gate before it has dropped or replaced stays so.
func TestShadowGateGivesNoTokenBack(t *testing.T) {
	s := newScene(t)
	raw := s.sign(t, "ann")
	shadow := s.gate(t, gate.Config{Shadow: true})
	for how, want := range map[gate.Forward]string{gate.ForwardDrop: "", gate.ForwardToken: "Bearer " + raw, gate.ForwardSigned: "Bearer ann for  1"} {
		outer := s.gate(t, gate.Config{Forward: how, Voucher: new(notary)})
		r := request(raw)
		p, err := outer.Check(r, s.now)
		if err != nil {
			t.Fatal(err)
		}
		p.Apply(r.Header)
		if p, err = shadow.Recheck(p, r, s.now); err != nil {
			t.Fatal(err)
		}
		p.Apply(r.Header)
		if got := r.Header.Get("Authorization"); got != want {
			t.Errorf("forward %d: %q, want %q", how, got, want)
		}
	}
}

// One gate's shadow does not fall on the next.
func TestGateBehindAShadowJudgesForItself(t *testing.T) {
	s := newScene(t)
	shadow, strict := s.gate(t, gate.Config{Shadow: true}), s.gate(t, gate.Config{})
	for _, raw := range []string{"", "x", s.sign(t, "alice")} {
		r := request(raw)
		p, err := shadow.Check(r, s.now)
		if err != nil {
			t.Fatal(err)
		}
		p.Apply(r.Header)
		if _, err := strict.Recheck(p, r, s.now.Add(time.Second)); (err == nil) != (len(raw) > 1) {
			t.Errorf("%.5q: %v", raw, err)
		}
	}
}
