package remote_test

import (
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/remote"
)

// What every request with a foreign token pays, cached or not.
func BenchmarkKey(b *testing.B) {
	s := newSite(b)
	k := open(b, remote.KeysConfig{Issuer: s.URL, Roots: s.roots(), Wait: time.Minute})
	kid := s.newest()
	if err := k.Await(b.Context(), kid); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !known(k, kid) {
			b.Fatal("unknown")
		}
	}
}
