package gate_test

import (
	"slices"
	"testing"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

func TestBackendSeesTheCallerAndNotTheToken(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{})
	r := request(s.sign(t, "alice"))
	for _, name := range []string{"X-Auth-Subject", "x_auth_subject", "X-Auth-Scope", "Remote-User"} {
		r.Header[name] = []string{"admin", "root"}
	}
	r.Header.Set("Connection", "X-Auth-Subject, keep-alive")
	if err := through(g, r, s.now); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"X-Auth-Subject": {"alice"}, "X-Auth-Client": {"shop"}, "X-Auth-Scope": {"openid orders:read"}, "X-Auth-Issuer": {issuer},
		"x_auth_subject": nil, "Remote-User": nil, "Authorization": nil, "Connection": {"keep-alive"}, "Accept": {"application/json"},
	} {
		if got := r.Header[name]; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// B03, CVE-2026-30851: a claim that is absent leaves no header, above all not the client's.
func TestAbsentClaimLeavesNoHeader(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Headers: []gate.Header{
		{"x-user-email", "{claim.email}"}, {"X-User-Id", "{claim.sub}"}, {"X-User-Label", "{claim.sub} of {claim.department}"}, {"X-Gate", "yes"},
	}})
	r := request(s.sign(t, "alice"))
	for _, name := range []string{"X-User-Email", "X-User-Id", "X-User-Label"} {
		r.Header.Set(name, "admin@example.com")
	}
	if err := through(g, r, s.now); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{"X-User-Email": nil, "X-User-Id": {"alice"}, "X-User-Label": nil, "X-Gate": {"yes"}} {
		if got := r.Header[name]; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Whoever forgets to strip must still not let the client's own header stand
// for a claim that is absent.
func TestApplyAloneLeavesNoForeignIdentity(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Headers: []gate.Header{{"X-User-Email", "{claim.email}"}, {"X-User-Id", "{claim.sub}"}}})
	r := request(s.sign(t, "alice"))
	r.Header.Set("X-User-Email", "admin@example.com")
	r.Header.Set("X-User-Id", "admin")
	p, err := g.Check(r, s.now)
	if err != nil {
		t.Fatal(err)
	}
	p.Apply(r.Header)
	if r.Header["X-User-Email"] != nil || !slices.Equal(r.Header["X-User-Id"], []string{"alice"}) {
		t.Errorf("%v", r.Header)
	}
}

func TestClaimTextCannotBreakAHeader(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Headers: []gate.Header{{"X-User-Name", "{claim.name}"}, {"X-Groups", "{claim.groups}"}, {"X-Team", "{claim.team}"}, {"X-City", "in {claim.city}"}}})
	a := s.access("alice")
	a.Extra = map[string]any{"name": "A\r\nX-Admin: 1\x00\x7f", "groups": []string{"a\nb", "c"}, "team": " admin", "city": "Köln"}
	for range 2 {
		r := request(s.signed(t, a))
		if err := through(g, r, s.now); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"X-User-Name", "X-Groups", "X-Team"} {
			if r.Header[name] != nil {
				t.Errorf("%s: %q: mended it may be somebody else's", name, r.Header[name])
			}
		}
		if city := r.Header.Get("X-City"); city != "in Köln" {
			t.Errorf("city %q", city)
		}
		s.cache.Wait()
	}
}

// Half a list could be somebody else's whole one.
func TestListThatSpacesCannotPartIsLeftOut(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{
		Headers: []gate.Header{{"X-User-Name", "{claim.name}"}, {"X-Groups", "{claim.groups}"}},
		Claims:  []gate.Claim{{"name", []string{"b c"}}},
	})
	a := s.access("alice")
	a.Extra = map[string]any{"name": []string{"a", "b c"}, "groups": []string{"staff", "ops"}}
	raw := s.signed(t, a)
	r := request(raw)
	if err := through(g, r, s.now); err != nil {
		t.Fatal(err)
	}
	if r.Header["X-User-Name"] != nil || r.Header.Get("X-Groups") != "staff ops" {
		t.Errorf("%v", r.Header)
	}
	x := g.Explain(request(raw), s.now)
	if i := slices.IndexFunc(x.Rules, func(r gate.Rule) bool { return r.Word == "claim" }); i < 0 || x.Rules[i].Says != `the token has ["a","b c"]` {
		t.Errorf("explained: %+v", x.Rules)
	}
}

// Handlers behind may change header values in place; the next request must not see it.
func TestRequestsShareNoHeaderValues(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{})
	raw := s.sign(t, "alice")
	for range 3 {
		r := request(raw)
		if err := through(g, r, s.now); err != nil {
			t.Fatal(err)
		}
		if got := r.Header.Get("X-Auth-Subject"); got != "alice" {
			t.Fatalf("subject %q", got)
		}
		r.Header["X-Auth-Subject"][0] = "admin"
		r.Header["X-Auth-Subject"] = append(r.Header["X-Auth-Subject"], "more")
		if got := r.Header.Get("X-Auth-Client"); got != "shop" {
			t.Fatalf("client %q: one value ran into the next", got)
		}
		s.cache.Wait()
	}
}
