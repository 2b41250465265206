package gate_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
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
	if n := testing.AllocsPerRun(100, func() { _, _ = g.Check(known, s.now) }); n > 2 {
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
