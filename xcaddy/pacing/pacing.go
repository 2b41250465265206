// Package pacing keeps the garbage collector from running too often while the heap is small.
//
// Go collects when the heap has doubled, and Caddy's live heap is so small that
// under load it doubles many times a second. With this package a collection
// starts at a heap of 48 MiB at the earliest. A live heap below 128 MiB gets twice
// the room of Go's own target, but no more than 128 MiB; a larger one Go's own
// target, and from 256 MiB on one that leaves less. A memory limit (Caddy derives
// one from the container's) still comes first, and an operator who sets GOGC or
// GOMEMLIMIT is not overruled.
package pacing

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// floor is the heap in bytes below which no collection starts.
const floor = 48 << 20

// most is the room in bytes beside a live heap that is given beyond Go's own target.
const most = 128 << 20

// large is the live heap in bytes from which room is dearer than the collector's time.
const large = 256 << 20

func init() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	// Nothing is live yet, so nothing can be computed: Go's first target is 4 MiB.
	debug.SetGCPercent(400)
	watch(&collection{percent: 400})
}

// collection is garbage from the start: its finalizer is how a program hears
// that a collection has ended. The padding keeps it out of the allocator for
// tiny objects, where it would live as long as its neighbours.
type collection struct {
	percent int
	_       [2]int
}

func watch(c *collection) {
	runtime.SetFinalizer(c, func(c *collection) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		// Setting the target stops the world for a moment: a change of less than an eighth is not worth it.
		if p := percent(live[0].Value.Uint64()); p > c.percent+c.percent/8 || p < c.percent-c.percent/8 {
			debug.SetGCPercent(p)
			c.percent = p
		}
		watch(c)
	})
}

// percent is the GOGC value that leaves a heap of live bytes its room until the next collection.
func percent(live uint64) int {
	if live >= large {
		return 70
	}
	live = max(live, 1<<20)
	room := max(live, min(2*live, most))
	if live < floor {
		room = max(room, floor-live)
	}
	return int(room * 100 / live)
}
