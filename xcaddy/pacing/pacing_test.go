package pacing

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestRoomBesideALiveHeap(t *testing.T) {
	for _, c := range []struct {
		live uint64 // MiB
		want int
	}{
		{0, 4700},
		{8, 500},
		{12, 300},
		{16, 200}, // the floor
		{24, 200},
		{64, 200}, // 128 MiB of room
		{100, 128},
		{128, 100}, // Go's own
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
