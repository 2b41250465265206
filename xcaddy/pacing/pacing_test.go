package pacing

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestTargetIsTheFloorOrTheDouble(t *testing.T) {
	for _, c := range []struct {
		live uint64 // MiB
		want int
	}{
		{0, 4800},
		{8, 500},
		{16, 200},
		{23, 108},
		{24, 100},
		{255, 100},
		{256, 70},
		{500, 70},
	} {
		if got := percent(c.live << 20); got != c.want {
			t.Errorf("%d MiB live: GOGC %d, want %d", c.live, got, c.want)
		}
	}
}

func TestCollectionMovesTheTarget(t *testing.T) {
	old := debug.SetGCPercent(100)
	defer debug.SetGCPercent(old)
	watch(&collection{percent: 1}) // far from any target, so the first collection must set it
	for range 100 {
		runtime.GC()
		runtime.Gosched()
		if p := debug.SetGCPercent(100); p > 100 {
			return
		}
	}
	t.Fatal("after 100 collections of a small heap the target is still Go's own")
}
