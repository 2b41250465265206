package gate_test

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// through sends one request through a gate, as the module does.
func through(g *gate.Gate, r *http.Request, now time.Time) error {
	g.Strip(r)
	p, err := g.Check(r, now)
	if err == nil {
		p.Apply(r.Header)
	}
	return err
}

// again is a request with the same token, once the cache knows it.
func (s *scene) again(t testing.TB, g *gate.Gate, raw string) error {
	t.Helper()
	s.cache.Wait()
	return through(g, request(raw), s.now)
}

func wantReason(t *testing.T, err error, want oauth.Reason) {
	t.Helper()
	if err == nil {
		t.Errorf("passed, want %s", want)
	} else if got := refusal(t, err).Reason; got != want {
		t.Errorf("%v, want %s", err, want)
	}
}

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
	g := s.gate(t, gate.Config{Headers: []gate.Header{{"X-User-Name", "{claim.name}"}, {"X-Groups", "{claim.groups}"}}})
	a := s.access("alice")
	a.Extra = map[string]any{"name": "A\r\nX-Admin: 1\x00\x7f", "groups": []string{"a\nb", "c"}}
	for range 2 {
		r := request(s.signed(t, a))
		if err := through(g, r, s.now); err != nil {
			t.Fatal(err)
		}
		if name, groups := r.Header.Get("X-User-Name"), r.Header.Get("X-Groups"); name != "AX-Admin: 1" || groups != "ab c" {
			t.Errorf("%q, %q", name, groups)
		}
		s.cache.Wait()
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

// WebSocket, server-sent events and CONNECT are judged as any request.
func TestStreamsPassTheSameGate(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Scopes: []string{"orders:read"}})
	for name, prepare := range map[string]func(*http.Request){
		"WebSocket over HTTP/1.1": func(r *http.Request) {
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
		},
		"WebSocket over HTTP/3": func(r *http.Request) {
			r.Method, r.ProtoMajor, r.ProtoMinor, r.Proto = http.MethodConnect, 3, 0, "websocket"
		},
		"events":    func(r *http.Request) { r.Header.Set("Accept", "text/event-stream") },
		"preflight": func(r *http.Request) { r.Method = http.MethodOptions; r.Header.Set("Origin", "https://a.example") }, // B25
	} {
		r := request("")
		prepare(r)
		if err := through(g, r, s.now); err == nil {
			t.Errorf("%s: passed without a token", name)
		}
		r = request(s.sign(t, "alice"))
		prepare(r)
		upgrade := r.Header.Get("Upgrade")
		if err := through(g, r, s.now); err != nil || r.Header.Get("X-Auth-Subject") != "alice" || r.Header.Get("Upgrade") != upgrade {
			t.Errorf("%s: %v, %v", name, err, r.Header)
		}
	}
}

func TestTokenEndsAtItsSecond(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{})
	raw := s.sign(t, "alice")
	if err := through(g, request(raw), s.now); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(298 * time.Second)
	if err := s.again(t, g, raw); err != nil {
		t.Errorf("a second before: %v", err)
	}
	s.now = s.now.Add(time.Second)
	wantReason(t, s.again(t, g, raw), gate.ExpiredToken)
	s.now = s.now.Add(-time.Hour) // a clock that was set back
	wantReason(t, s.again(t, g, raw), gate.NotYetValid)
}

func TestRevokedTokenIsRefusedAtOnce(t *testing.T) {
	for name, revoke := range map[string]func(*list){
		"the token":  func(l *list) { l.tokens["jti-alice"] = true },
		"the client": func(l *list) { l.clients["shop"] = true },
	} {
		s := newScene(t)
		g := s.gate(t, gate.Config{})
		raw := s.sign(t, "alice")
		for range 3 {
			if err := s.again(t, g, raw); err != nil {
				t.Fatal(err)
			}
		}
		if asked := s.revoked.asked.Load(); asked != 1 {
			t.Errorf("asked %d times while nothing was revoked", asked)
		}
		revoke(s.revoked)
		s.revoked.generation++
		err := s.again(t, g, raw)
		wantReason(t, err, oauth.RevokedToken)
		if c := refusal(t, err).Claims; c == nil || c.Subject != "alice" {
			t.Errorf("%s: the log does not learn whose token it was: %+v", name, c)
		}
		wantReason(t, s.again(t, g, raw), oauth.RevokedToken)
	}
}

// Generations of two lists are not comparable: after a reload the client list
// is another one, and counts from where it likes.
func TestRevocationsOfAnotherConfigurationAreAskedAnew(t *testing.T) {
	s := newScene(t)
	raw := s.sign(t, "alice")
	if err := s.again(t, s.gate(t, gate.Config{}), raw); err != nil {
		t.Fatal(err)
	}
	s.revoked = &list{clients: map[string]bool{"shop": true}} // the same generation
	wantReason(t, s.again(t, s.gate(t, gate.Config{}), raw), oauth.RevokedToken)
}

// The cache outlives the configuration that filled it, and may not outvote the next.
func TestCachedTokenOpensNothingThatItsIssuerNoLongerDoes(t *testing.T) {
	s := newScene(t)
	raw := s.sign(t, "alice")
	warm := s.gate(t, gate.Config{})
	for range 2 {
		if err := s.again(t, warm, raw); err != nil {
			t.Fatal(err)
		}
	}
	stranger := newScene(t)
	twin := newTwin(t, token.ES256, s.key.ID)
	embedded := func(change func(*gate.Issuer)) gate.Issuer {
		i := s.embedded()
		change(&i)
		return i
	}
	for _, c := range []struct {
		name   string
		issuer gate.Issuer
		want   oauth.Reason
	}{
		{"another identifier", embedded(func(i *gate.Issuer) { i.Identifier = "https://other.example" }), gate.WrongIssuer},
		{"other keys", embedded(func(i *gate.Issuer) { i.Keys = stranger.ring }), gate.UnknownKey},
		{"another key of that id", embedded(func(i *gate.Issuer) { i.Keys = token.NewRing([]*token.Key{twin}) }), gate.WrongSignature},
		{"no keys", embedded(func(i *gate.Issuer) { i.Keys = token.NewRing(nil) }), gate.UnknownKey},
		{"another audience", embedded(func(i *gate.Issuer) { i.Audiences = []string{"billing"} }), gate.WrongAudience},
		{"foreign now, for another audience", gate.Issuer{Identifier: issuer, Keys: s.ring, Audiences: []string{"billing"}}, gate.WrongAudience},
	} {
		g, err := gate.New(gate.Config{Issuers: []gate.Issuer{c.issuer}}, s.cache)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(c.name, func(t *testing.T) { wantReason(t, s.again(t, g, raw), c.want) })
	}
	if err := s.again(t, warm, raw); err != nil {
		t.Errorf("the first gate, still: %v", err)
	}
}

// keyring is keys that change, as an issuer's do.
type keyring struct{ ring *token.Ring }

func (k *keyring) Key(kid string) (token.Public, bool) { return k.ring.Key(kid) }

func TestRemovedKeyOpensNothing(t *testing.T) {
	s := newScene(t)
	keys := &keyring{s.ring}
	i := s.embedded()
	i.Keys = keys
	g, err := gate.New(gate.Config{Issuers: []gate.Issuer{i}}, s.cache)
	if err != nil {
		t.Fatal(err)
	}
	raw := s.sign(t, "alice")
	for range 2 {
		if err := s.again(t, g, raw); err != nil {
			t.Fatal(err)
		}
	}
	keys.ring = token.NewRing(nil)
	wantReason(t, s.again(t, g, raw), gate.UnknownKey)
}

func TestDialectsOfTheEmbeddedIssuerShareKeys(t *testing.T) {
	s := newScene(t)
	idaas := s.embedded()
	idaas.Identifier += "/api/v1/oauth2"
	g := s.gate(t, gate.Config{Issuers: []gate.Issuer{idaas}})
	for _, iss := range []string{issuer, idaas.Identifier} {
		a := s.access("alice")
		a.Issuer = iss
		r := request(s.signed(t, a))
		if err := through(g, r, s.now); err != nil || r.Header.Get("X-Auth-Issuer") != iss {
			t.Errorf("%s: %v, %q", iss, err, r.Header.Get("X-Auth-Issuer"))
		}
	}
	a := s.access("alice")
	a.Issuer = issuer + "/api/v2"
	wantReason(t, through(g, request(s.signed(t, a)), s.now), gate.WrongIssuer)
}

// A partner may publish a key under our key's id, by chance or not.
func TestForeignIssuerWithOurKeyIDDisturbsNobody(t *testing.T) {
	s, partner := newScene(t), newScene(t)
	theirs := newTwin(t, token.ES256, s.key.ID)
	keys := token.NewRing([]*token.Key{theirs})
	g := s.gate(t, gate.Config{Issuers: []gate.Issuer{{Identifier: "https://partner.example", Keys: keys, Audiences: []string{"shop"}, Leeway: 30 * time.Second}}})
	partner.key = theirs
	a := partner.access("bob")
	forged := partner.signed(t, a) // says that it is from us
	a.Issuer = "https://partner.example"
	for name, c := range map[string]struct {
		raw  string
		want oauth.Reason
	}{
		"ours":                     {s.sign(t, "alice"), ""},
		"theirs":                   {partner.signed(t, a), ""},
		"theirs, in our name":      {forged, gate.WrongSignature},
		"a logout token of theirs": {partner.signedText(t, "logout+jwt", "{}"), gate.WrongTokenType},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				err := s.again(t, g, c.raw)
				if c.want != "" {
					wantReason(t, err, c.want)
				} else if err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// newTwin is another key under the same id.
func newTwin(t *testing.T, alg token.Algorithm, id string) *token.Key {
	t.Helper()
	key, err := token.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	der, err := key.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if key, err = token.ParseKey(id, alg, der); err != nil {
		t.Fatal(err)
	}
	return key
}

// The audiences of a gate are our clients; a foreign issuer has a list of its own.
func TestAudiences(t *testing.T) {
	s, partner := newScene(t), newScene(t)
	foreign := gate.Issuer{Identifier: "https://partner.example", Keys: partner.ring, Audiences: []string{"https://api.example.com"}}
	for _, c := range []struct {
		gate    []string
		foreign bool
		aud     string
		passes  bool
	}{
		{nil, false, "shop", true},
		{nil, false, "any-client", true},
		{[]string{"shop", "billing"}, false, "billing", true},
		{[]string{"shop", "billing"}, false, "other", false},
		{[]string{"shop"}, false, "https://api.example.com", false},
		{nil, true, "https://api.example.com", true},
		{[]string{"shop"}, true, "https://api.example.com", true},
		{[]string{"shop"}, true, "shop", false},
		{nil, true, "shop", false},
	} {
		g := s.gate(t, gate.Config{Audiences: c.gate, Issuers: []gate.Issuer{foreign}})
		from, a := s, s.access("alice")
		if c.foreign {
			from, a.Issuer = partner, foreign.Identifier
		}
		a.Audience = c.aud
		if err := through(g, request(from.signed(t, a)), s.now); (err == nil) != c.passes {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Several gates on one route add up, and the first has taken the token out.
func TestGatesAddUp(t *testing.T) {
	s := newScene(t)
	first := s.gate(t, gate.Config{Scopes: []string{"openid"}})
	raw := s.sign(t, "alice")
	for _, c := range []struct {
		scope  string
		passes bool
	}{{"orders:read", true}, {"orders:write", false}} {
		second := s.gate(t, gate.Config{Scopes: []string{c.scope}})
		r := request(raw)
		first.Strip(r)
		p, err := first.Check(r, s.now)
		if err != nil {
			t.Fatal(err)
		}
		p.Apply(r.Header)
		if p, err = second.Recheck(p, r, s.now); (err == nil) != c.passes {
			t.Errorf("%s: %v", c.scope, err)
		} else if err == nil && p.Claims.Subject != "alice" {
			t.Errorf("%s: %v", c.scope, p)
		}
	}
	// An exception of the first gate is none of the second.
	open := s.gate(t, gate.Config{Except: []string{"/orders"}})
	r := request("")
	p, err := open.Check(r, s.now)
	if err != nil {
		t.Fatal(err)
	}
	_, err = first.Recheck(p, r, s.now)
	wantReason(t, err, oauth.NoBearerToken)
}

func TestPassAndRefusalKeepTheTokenToThemselves(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Audiences: []string{"shop"}})
	raw := s.sign(t, "alice")
	p, err := g.Check(request(raw), s.now)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, p); got != "pass of alice" {
			t.Errorf("%s prints %s", verb, got)
		}
	}
	_, err = g.Check(request(raw+"A"), s.now)
	if err == nil || strings.Contains(fmt.Sprintf("%v %s", err, refusal(t, err).Challenge), raw[:10]) {
		t.Errorf("refusal: %v", err)
	}
}

// J01: a flood of bad tokens leaves nothing behind, and the good stay known.
func TestFloodOfBadTokensIsNotRemembered(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{})
	good := s.sign(t, "alice")
	for range 2 {
		if err := s.again(t, g, good); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	bad := request("")
	for i := range 20_000 {
		bad.Header["Authorization"] = []string{fmt.Sprintf("Bearer %s.%d", strings.Repeat("A", 400), i)}
		if _, err := g.Check(bad, s.now); err == nil {
			t.Fatal("accepted")
		}
	}
	s.cache.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("20,000 bad tokens left %d bytes", grown)
	}
	// Known: a hit does not parse, so it does not need the key's bytes again.
	known := request(good)
	if n := testing.AllocsPerRun(100, func() { _, _ = g.Check(known, s.now) }); n > 1 {
		t.Errorf("%v allocations: the good token was forgotten", n)
	}
}

// Target: a handful of allocations a hit, whatever the token says.
func TestHitAllocatesLittle(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{Audiences: []string{"shop"}, Scopes: []string{"orders:read"}, Claims: []gate.Claim{{"sub", []string{"alice"}}}})
	r := request(s.sign(t, "alice"))
	authorization := r.Header["Authorization"]
	mustPass(t, g, r, s.now)
	s.cache.Wait()
	if n := testing.AllocsPerRun(1000, func() {
		r.Header["Authorization"] = authorization
		mustPass(t, g, r, s.now)
	}); n > 3 {
		t.Errorf("%v allocations", n)
	}
}

func TestGateServesManyAtOnce(t *testing.T) {
	s := newScene(t)
	g := s.gate(t, gate.Config{})
	other := s.gate(t, gate.Config{Headers: []gate.Header{{"X-Id", "{claim.sub}"}}})
	raws := []string{s.sign(t, "alice"), s.sign(t, "bob")}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 200 {
				want := []string{"alice", "bob"}[i%2]
				r := request(raws[i%2])
				if err := through(g, r, s.now); err != nil || r.Header.Get("X-Auth-Subject") != want {
					t.Errorf("%v, %q", err, r.Header.Get("X-Auth-Subject"))
				}
				r = request(raws[i%2])
				if err := through(other, r, s.now); err != nil || r.Header.Get("X-Id") != want {
					t.Errorf("%v, %q", err, r.Header.Get("X-Id"))
				}
			}
		})
	}
	all.Wait()
}
