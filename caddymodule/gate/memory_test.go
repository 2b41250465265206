package gate_test

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

func BenchmarkMemoryOfTokens(b *testing.B) {
	const tokens = 200_000
	s := newScene(b)
	cache, err := gate.NewCache(4 << 30)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cache.Close)
	s.cache = cache
	g := s.gate(b, gate.Config{})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for b.Loop() {
		for n := range tokens {
			mustPass(b, g, request(s.sign(b, "3f8e3c1e-9d1b-4f5c-8a53-"+strconv.Itoa(100000000000+n))), s.now)
		}
	}
	cache.Wait()
	b.ReportMetric(float64(heap()-before)/tokens, "B/token")
}
