package gate

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func numbered(n int) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 0x0a000000+uint32(n))
	return netip.AddrFrom4(a)
}

// Who brings thousands stands in nobody's way: each host has its turn.
func TestHostsTakeTurns(t *testing.T) {
	q := newQueue(1)
	q.stand(numbered(0))
	flood, others := make([]*waiter, 3000), make([]*waiter, 6)
	for n := range flood {
		flood[n] = q.stand(numbered(1))
	}
	for n := range others {
		others[n] = q.stand(numbered(2 + n%2)) // two hosts, three of each
	}
	came := func(all []*waiter) (n int) {
		for _, w := range all {
			select {
			case <-w.come:
				n++
			default:
			}
		}
		return n
	}
	for range 9 {
		q.leave()
	}
	if came(flood) != 3 || came(others) != 6 {
		t.Errorf("of nine turns %d were the flood's, and %d the others'", came(flood), came(others))
	}
	for n, w := range flood[:4] {
		if came([]*waiter{w}) != map[bool]int{true: 1}[n < 3] {
			t.Error("those of one host do not keep their order")
		}
	}
}

// Whatever leaves, and when, no turn is lost and none is made.
func TestTurnsAreNeitherLostNorMade(t *testing.T) {
	const most = 3
	q := newQueue(most)
	var inside, came, left atomic.Int32
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			for range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(300))*time.Microsecond)
				if q.enter(ctx, numbered(n%17), time.Duration(rand.IntN(300))*time.Microsecond) {
					if inside.Add(1) > most {
						t.Error("more at a time than there are turns")
					}
					came.Add(1)
					time.Sleep(10 * time.Microsecond)
					inside.Add(-1)
					q.leave()
				} else {
					left.Add(1)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if q.free != most || q.hosts.Len() != 0 || len(q.of) != 0 {
		t.Errorf("%d free, %d hosts wait, %d are known", q.free, q.hosts.Len(), len(q.of))
	}
	if came.Load() == 0 || left.Load() == 0 {
		t.Errorf("%d came, %d left", came.Load(), left.Load())
	}
}
