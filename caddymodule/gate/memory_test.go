package gate_test

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate"
)

// BenchmarkMemory says what a remembered token takes on the heap, the cache's own
// tables included. A million: go test -bench Memory -benchtime 1000000x.
func BenchmarkMemory(b *testing.B) {
	s := newScene(b)
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	cache, err := gate.NewCache(max(1<<20, 512*int64(b.N)))
	if err != nil {
		b.Fatal(err)
	}
	defer cache.Close()
	s.cache = cache
	g := s.gate(b, gate.Config{})
	for n := range b.N {
		mustPass(b, g, request(s.sign(b, "3f8e3c1e-9d1b-4f5c-8a53-"+strconv.Itoa(100_000_000_000+n))), s.now)
		if n%1000 == 0 {
			cache.Wait() // or ristretto drops what comes too fast
		}
	}
	cache.Wait()
	after := heap()
	b.ReportMetric((after-before)/float64(b.N), "heap-B/token")
	runtime.KeepAlive(cache)
}
