package gate_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/token"
)

// Strip, Check and Apply on the headers of a browser: what a proxied request
// costs over the same request without a gate.

func BenchmarkHit(b *testing.B) {
	for _, tokens := range []int{1, 2000} {
		b.Run("tokens="+strconv.Itoa(tokens), func(b *testing.B) {
			s := newSceneWith(b, token.RS256) // the longest tokens
			g := s.gate(b, gate.Config{Audiences: []string{"shop"}, Scopes: []string{"orders:read"}})
			requests := make([]*http.Request, tokens)
			for i := range requests {
				requests[i] = request(s.sign(b, fmt.Sprintf("account-%d", i)))
			}
			authorization := make([][]string, tokens)
			for i, r := range requests {
				authorization[i] = r.Header["Authorization"]
				mustPass(b, g, r, s.now)
			}
			s.cache.Wait()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r := requests[i%tokens]
				r.Header["Authorization"] = authorization[i%tokens]
				mustPass(b, g, r, s.now)
			}
		})
	}
}

func BenchmarkMiss(b *testing.B) {
	for _, alg := range []token.Algorithm{token.RS256, token.ES256, token.EdDSA} {
		b.Run(string(alg), func(b *testing.B) {
			s := newSceneWith(b, alg)
			g := s.gate(b, gate.Config{})
			// More tokens than are asked for twice before the cache could hold them.
			raws := make([]string, 64)
			for i := range raws {
				raws[i] = s.sign(b, fmt.Sprintf("account-%d", i))
			}
			s.cache.Close()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				mustPass(b, g, request(raws[i%len(raws)]), s.now)
			}
		})
	}
}

// What one request of a flood costs: a token that nobody signed, with our key id.
func BenchmarkBadSignature(b *testing.B) {
	s := newScene(b)
	g := s.gate(b, gate.Config{})
	raw := s.sign(b, "account")
	raw = raw[:len(raw)-8] + "AAAAAAAA"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Check(request(raw), s.now); err == nil {
			b.Fatal("accepted")
		}
	}
}

func BenchmarkStripNothing(b *testing.B) {
	s := newScene(b)
	g := s.gate(b, gate.Config{})
	r := request(s.sign(b, "account"))
	b.ReportAllocs()
	for b.Loop() {
		g.Strip(r)
	}
}

func mustPass(t testing.TB, g *gate.Gate, r *http.Request, now time.Time) {
	g.Strip(r)
	p, err := g.Check(r, now)
	if err != nil {
		t.Fatal(err)
	}
	p.Apply(r.Header)
}
